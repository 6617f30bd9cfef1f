// Any text as rules; what is accepted is asked.
#include "flow/policy.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<std::vector<PolicyRule>> rules = parse_policy_rules(text_of({data, size}));
  if (!rules) {
    if (rules.error().text.empty()) __builtin_trap();
    return 0;
  }
  if (rules->empty()) __builtin_trap();
  for (const PolicyRule &rule : *rules) {
    if (rule.port_low > rule.port_high) __builtin_trap();
  }
  PolicyOptions options;
  options.deny = *rules;
  Policy policy(options);
  policy.set_resolved("a.b", {IpAddress::v4(192, 0, 2, 1)});
  for (const PolicyRule &rule : *rules) {
    if (!rule.name.empty()) continue;
    FlowKey key;
    key.inside.address = IpAddress::any(rule.prefix.address.is_v4());
    key.outside = {rule.prefix.address, rule.port_low};
    key.protocol = rule.protocol.value_or(Protocol::tcp);
    // The first address of a denied network is denied; a rule about ports says nothing about echo.
    if (policy.check(key).allowed) __builtin_trap();
  }
  return 0;
}
