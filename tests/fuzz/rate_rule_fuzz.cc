// Any text as a rate; what is accepted is within bounds, and reads the same when it is written again.
#include "base/bytes.h"
#include "flow/rate_rule.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<RateRule> rule = parse_rate_rule(text_of({data, size}));
  if (!rule) {
    if (rule.error().text.empty()) __builtin_trap();
    return 0;
  }
  if (rule->peer.empty() || (!rule->up && !rule->down)) __builtin_trap();
  for (const std::optional<uint64_t> &rate : {rule->up, rule->down}) {
    if (!rate) continue;
    if (*rate != 0 && (*rate < kSlowestRate || *rate > kFastestRate)) __builtin_trap();
    Result<RateRule> again = parse_rate_rule("peer=" + rate_text(*rate));
    if (!again || !again->up || (*again->up == 0) != (*rate == 0)) __builtin_trap();
  }
  return 0;
}
