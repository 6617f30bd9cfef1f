// By which way flows leave: the host's own network, or a proxy. Pure: the gateway resolves names and dials.
//
// Lives on one shard (each has its copy). Asked once per flow, or per datagram of an unconnected one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "flow/options.h"
#include "flow/rules.h"

namespace slipgate {

class Egress {
 public:
  // In this order; what none matches leaves directly.
  explicit Egress(const EgressOptions &options);

  // What a flow to key.outside leaves by.
  struct Way {
    ProxyPtr proxy;       // null: directly
    uint16_t number = 0;  // its place among the rules, from 1; 0: none matched
  };
  Way choose(const FlowKey &key) const;

  // Names in rules, as Rules has them.
  std::vector<std::string> names() const;
  void set_resolved(std::string_view name, const std::vector<IpAddress> &addresses);
  void keep_resolved(const Egress &before);

 private:
  struct Choice {
    std::optional<Rules> rules;  // none: every flow
    ProxyPtr proxy;
  };
  std::vector<Choice> choices_;
};

// [RULE=]URL: a comma list of rules as policies have them, and `direct`, socks5://[USER:PASSWORD@]HOST:PORT or
// http://HOST:PORT; IPv6 in brackets, %XX for what is special in user and password. The error never repeats these.
Result<EgressRule> parse_egress(std::string_view text);

}  // namespace slipgate
