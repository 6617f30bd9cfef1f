// `--rate` as people write it: PEER=RATE, PEER=up:RATE, PEER=down:RATE, or both with a comma.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "flow/options.h"

namespace slipgate {

inline constexpr uint64_t kSlowestRate = 1000;  // bytes a second: a packet in little more than one
inline constexpr uint64_t kFastestRate = 1'000'000'000'000;

// RATE: bytes a second, "800k", "2.5M", "1G" (thousands, as rates are told), with or without "/s"; "none": no limit.
Result<RateRule> parse_rate_rule(std::string_view text);

// "2.5M", "none".
std::string rate_text(uint64_t bytes_per_second);

}  // namespace slipgate
