#include "flow/rate_rule.h"

#include <charconv>
#include <cmath>

namespace slipgate {

namespace {

constexpr std::string_view kForm = "give PEER=RATE, such as alice=2M, alice=up:500k or alice=up:500k,down:none";

struct Unit {
  char letter;
  double bytes;
};
constexpr Unit kUnits[] = {{'G', 1e9}, {'M', 1e6}, {'k', 1e3}};

Result<uint64_t> parse_rate(std::string_view text) {
  const std::string wrong = "'" + std::string(text) + "' is no rate; " + std::string(kForm);
  if (text == "none") return uint64_t{0};
  if (text.ends_with("/s")) text.remove_suffix(2);
  double factor = 1;
  for (const Unit &unit : kUnits) {
    if (text.empty() || (text.back() | 0x20) != (unit.letter | 0x20)) continue;
    factor = unit.bytes;
    text.remove_suffix(1);
    break;
  }
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return Error{0, wrong};
  const double rate = number * factor;
  if (rate < double{kSlowestRate} || rate > double{kFastestRate}) {
    return Error{0, "'" + std::string(text) + "' is out of bounds; a rate is from 1k to 1000G bytes a second"};
  }
  return static_cast<uint64_t>(rate);
}

}  // namespace

Result<RateRule> parse_rate_rule(std::string_view text) {
  // Keys in base64 end with a '=' of their own.
  const size_t at = text.rfind('=');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size()) {
    return Error{0, "not PEER=RATE; " + std::string(kForm)};
  }
  RateRule rule;
  rule.peer = text.substr(0, at);
  std::string_view rest = text.substr(at + 1);
  while (true) {
    std::string_view part = rest.substr(0, rest.find(','));
    const bool up = part.starts_with("up:"), down = part.starts_with("down:");
    Result<uint64_t> rate = parse_rate(part.substr(up ? 3 : down ? 5 : 0));
    if (!rate) return rate.error();
    if ((!down && rule.up) || (!up && rule.down)) return Error{0, "a direction twice; " + std::string(kForm)};
    if (!down) rule.up = *rate;
    if (!up) rule.down = *rate;
    if (part.size() == rest.size()) return rule;
    rest.remove_prefix(part.size() + 1);
  }
}

std::string rate_text(uint64_t rate) {
  if (rate == 0) return "none";
  for (const Unit &unit : kUnits) {
    const double number = static_cast<double>(rate) / unit.bytes;
    if (number < 1) continue;
    char text[32];
    auto [end, error] = std::to_chars(text, text + sizeof(text), number, std::chars_format::general, 4);
    return std::string(text, end) + unit.letter;
  }
  return std::to_string(rate);
}

}  // namespace slipgate
