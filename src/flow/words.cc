#include "flow/words.h"

#include <charconv>

namespace slipgate {

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

bool is_host_name(std::string_view text) {
  constexpr size_t kMostName = 253, kMostLabel = 63;  // RFC 1035 section 2.3.4
  if (text.empty() || text.size() > kMostName) return false;
  bool any_letter = false;
  size_t label = 0;
  for (char c : text) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      continue;
    }
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '_' && !(c == '-' && label > 0)) return false;
    if (++label > kMostLabel) return false;
    any_letter = any_letter || letter;
  }
  return any_letter;
}

}  // namespace slipgate
