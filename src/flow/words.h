// Words that rules and forwards are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace slipgate {

std::optional<uint16_t> parse_port(std::string_view text);  // decimal, 0-65535, nothing else

// A name that a resolver may be asked for (RFC 1123 section 2.1, and underscores, which people use). Digits and dots
// alone are a mistyped address.
bool is_host_name(std::string_view text);

}  // namespace slipgate
