// Keys as text: base64 as in configuration files (44 characters), hexadecimal as in the UAPI (64 characters).
//
// Any thread. The conversions take the same time for every key.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"

namespace slipgate {

// Exactly 44 characters that stand for exactly 32 bytes; none otherwise.
std::optional<Secret<32>> key_from_base64(std::string_view text);
// Exactly 64 hexadecimal digits, of either case.
std::optional<Secret<32>> key_from_hex(std::string_view text);

std::string to_base64(Bytes bytes);
std::string to_hex(Bytes bytes);

// A public key, which is no secret, out of what the functions above gave.
std::array<uint8_t, 32> public_bytes(const Secret<32> &key);

}  // namespace slipgate
