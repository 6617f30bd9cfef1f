// What an operator may say about where flows may go: values only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "flow/socket_target.h"
#include "wire/flow_key.h"

namespace slipgate {

// One `--allow` or `--deny` rule: [tcp|udp|icmp]://IP-or-CIDR-or-NAME[:PORT[-PORT]].
struct PolicyRule {
  std::optional<Protocol> protocol;  // none: every protocol; icmp covers ICMPv6
  IpPrefix prefix;                   // unused while `name` is set and not resolved
  std::string name;                  // a host name, whose addresses are matched in full; empty: `prefix` counts
  std::vector<IpAddress> resolved;   // of `name`, filled in by the gateway
  uint16_t port_low = 0;             // 0-65535: every port
  uint16_t port_high = 65535;
};

struct PolicyOptions {
  std::vector<PolicyRule> deny;   // first
  std::vector<PolicyRule> allow;  // then these, then the defaults
  bool enable_host = false;       // the host's own addresses may be reached (loopback only by rule)
  bool closed = false;            // nothing is allowed but by rule (slirpnetstack)
};

// A proxy that connections, and datagrams if it carries them, leave by.
struct Proxy {
  enum class Kind : uint8_t { socks5, http };

  Kind kind = Kind::socks5;
  std::string host;  // IP literal or host name
  uint16_t port = 0;
  std::string user, password;  // for socks5 (RFC 1929); empty: none

  bool operator==(const Proxy &) const = default;
  std::string to_string() const;  // "socks5://192.0.2.1:1080": never the user and the password
};
using ProxyPtr = std::shared_ptr<const Proxy>;

// One `--egress [RULE=]URL`.
struct EgressRule {
  std::optional<std::vector<PolicyRule>> rules;  // for flows that any of them is about; none: for all
  ProxyPtr proxy;                                // null: directly
  std::string text;                              // as it was written, without user and password
};
using EgressOptions = std::vector<EgressRule>;  // the first that matches counts

// `-L`, `-R`, `-t`, `-u`: a listener on one side whose connections or datagrams go to a target on the other.
struct Forward {
  enum class Direction : uint8_t { local, remote };  // local: listen on the host, connect inside; remote: the other way
  // tcp_proxy: the PROXY protocol before the data; read on the host (either version), sent to it (version 1).
  // tcp_proxy_v2: version 2, for `-R` alone.
  enum class Transport : uint8_t { tcp, udp, udp_rpc, tcp_proxy, tcp_proxy_v2, udp_spp };

  Direction direction = Direction::local;
  Transport transport = Transport::tcp;
  Endpoint listen;                 // port 0: ephemeral, printed
  std::string target;              // IP literal or host name; empty: the default of the direction
  uint16_t target_port = 0;        // 0: the listener's port
  SocketTarget socket;             // of `-R`, instead of these two: a socket of the host that is no Internet one
  std::optional<Endpoint> source;  // what the inside sees as source (wgslirpy's `src`); none: the real client
  std::string spec;                // as it was written, for messages

  // Whether it is for TCP connections inside; else for datagrams.
  bool is_tcp() const {
    return transport == Transport::tcp || transport == Transport::tcp_proxy || transport == Transport::tcp_proxy_v2;
  }
  // "203.0.113.2:80", "unix:/run/x.sock"; `port`: of the listener.
  std::string target_text(uint16_t port) const;
  bool operator==(const Forward &) const = default;
};

// The forwards of a gateway by number; null where one was taken away. Who serves one holds it: its slot may be used
// again meanwhile.
using ForwardPtr = std::shared_ptr<const Forward>;
using ForwardList = std::vector<ForwardPtr>;

// `--rate`: how fast one peer may send and receive, in bytes a second.
struct RateRule {
  std::string peer;                  // its name, public key, or one of its inside addresses
  std::optional<uint64_t> up, down;  // from the peer, to the peer; 0: no limit; none: not said
};

struct FlowLimits {
  size_t max_flows = 262144;
  size_t max_flows_per_client = 16384;
  size_t max_connecting_per_client = 256;
  Duration tcp_idle_timeout = seconds(7440);  // RFC 5382 REQ-5: 2 h 4 min
  Duration udp_idle_timeout = seconds(300);   // RFC 4787 REQ-5: recommended
};

}  // namespace slipgate
