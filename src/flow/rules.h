// Lists of rules as `--allow`, `--deny` and `--egress` have them: how they are written, and which flows they are about.
//
// Lives on one shard. Asked once per flow, or per datagram of an unconnected one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "flow/options.h"

namespace slipgate {

class Rules {
 public:
  explicit Rules(std::vector<PolicyRule> rules) : rules_(std::move(rules)) {}

  // Whether one of them is about this flow, were its outside at `address`.
  bool match(const FlowKey &key, const IpAddress &address) const;

  // Names match nothing until they are resolved: resolve them before serving.
  std::vector<std::string> names() const;
  void set_resolved(std::string_view name, const std::vector<IpAddress> &addresses);
  // Names that other rules know already need not wait for their look-up.
  void keep_resolved(const Rules &before);

 private:
  std::vector<PolicyRule> rules_;
};

// A comma list of rules: [tcp|udp|icmp]://IP-or-CIDR-or-NAME[:PORT[-PORT]]; IPv6 with a port in brackets. Without a
// protocol a rule is for `unnamed` (none: all). No port, 0 or 0-0: every port.
Result<std::vector<PolicyRule>> parse_policy_rules(std::string_view text,
                                                   std::optional<Protocol> unnamed = std::nullopt);

}  // namespace slipgate
