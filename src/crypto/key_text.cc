#include "crypto/key_text.h"

#include <sodium.h>

#include "crypto/random.h"

namespace slipgate {

std::optional<Secret<32>> key_from_base64(std::string_view text) {
  prepare_crypto();
  Secret<32> key;
  size_t size = 0;
  if (text.size() != 44) return std::nullopt;
  if (sodium_base642bin(key.data(), 32, text.data(), text.size(), nullptr, &size, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0 ||
      size != 32) {
    return std::nullopt;
  }
  return key;
}

std::optional<Secret<32>> key_from_hex(std::string_view text) {
  prepare_crypto();
  Secret<32> key;
  size_t size = 0;
  if (text.size() != 64) return std::nullopt;
  if (sodium_hex2bin(key.data(), 32, text.data(), text.size(), nullptr, &size, nullptr) != 0 || size != 32)
    return std::nullopt;
  return key;
}

std::string to_base64(Bytes bytes) {
  prepare_crypto();
  // The length that libsodium gives counts the final zero, which std::string has anyway.
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL) - 1, '\0');
  sodium_bin2base64(text.data(), text.size() + 1, bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  return text;
}

std::string to_hex(Bytes bytes) {
  prepare_crypto();
  std::string text(bytes.size() * 2, '\0');
  sodium_bin2hex(text.data(), text.size() + 1, bytes.data(), bytes.size());
  return text;
}

std::array<uint8_t, 32> public_bytes(const Secret<32> &key) {
  std::array<uint8_t, 32> bytes;
  std::memcpy(bytes.data(), key.data(), bytes.size());
  return bytes;
}

}  // namespace slipgate
