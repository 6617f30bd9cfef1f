// Who may go where: deny rules, then allow rules, then the defaults of an authenticated link. Pure: no look-ups, no
// I/O; the gateway says which addresses are the host's and what names resolve to.
//
// Lives on one shard (each has its copy). Asked once per flow, or per datagram of an unconnected one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/drop_reason.h"
#include "flow/options.h"
#include "flow/rules.h"

namespace slipgate {

struct Verdict {
  bool allowed = false;
  std::string_view why;  // "loopback address", "deny rule", …: for the log
  bool of_host = false;  // closed for no other reason than that it is an address of the host
};

// An address of one of the host's interfaces, with the length of its network.
struct HostAddress {
  IpAddress address;
  int prefix_length = 128;
};

class Policy {
 public:
  explicit Policy(PolicyOptions options);

  // May key.inside talk to key.outside? By default everything is open but: the host's own addresses (unless
  // enable_host), loopback, link-local and the clouds' metadata services, multicast, broadcast, unspecified; and every
  // IPv6 address that carries such an IPv4 address inside (IPv4-compatible, NAT64, 6to4, Teredo), because a translator
  // on the way would unwrap it. Deny rules match what is carried inside too; allow rules only what is written.
  Verdict check(const FlowKey &key) const;

  // All addresses of the host, again whenever they change.
  void set_host_addresses(const std::vector<HostAddress> &addresses);
  // Names in rules, as Rules has them.
  std::vector<std::string> names() const;
  void set_resolved(std::string_view name, const std::vector<IpAddress> &addresses);
  void keep_resolved(const Policy &before);

 private:
  std::string_view closed_by_default(const IpAddress &address) const;  // why; empty: open

  Rules deny_, allow_;
  bool enable_host_, closed_;
  std::vector<IpAddress> host_addresses_;   // sorted
  std::vector<IpAddress> host_broadcasts_;  // sorted; of the host's IPv4 networks
};

// The IPv4 address that an IPv6 address carries, for which a translator or tunnel may unwrap it.
std::optional<IpAddress> embedded_v4(const IpAddress &address);

}  // namespace slipgate
