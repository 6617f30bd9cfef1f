// Any text as an egress rule; what is accepted is asked.
#include "flow/egress.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<EgressRule> rule = parse_egress(text_of({data, size}));
  if (!rule) {
    if (rule.error().text.empty()) __builtin_trap();
    return 0;
  }
  // What is shown says the same, without the login.
  Result<EgressRule> again = parse_egress(rule->text);
  if (!again || again->text != rule->text || !again->proxy != !rule->proxy) __builtin_trap();
  if (again->proxy && (again->proxy->host != rule->proxy->host || again->proxy->port != rule->proxy->port)) {
    __builtin_trap();
  }
  Egress egress({*rule});
  const Egress::Way way = egress.choose({{IpAddress::any(true), 1}, {IpAddress::any(true), 2}, Protocol::tcp, 0});
  if (way.number != 0 && way.proxy != rule->proxy) __builtin_trap();
  return 0;
}
