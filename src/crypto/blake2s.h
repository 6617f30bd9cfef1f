// BLAKE2s (RFC 7693), its keyed MAC, HMAC over it (RFC 2104) and the key derivation of the WireGuard whitepaper
// (section 5.4, "Kdf"). Messages are given in parts that are hashed one after the other.
//
// Any thread; nothing allocates.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "base/bytes.h"
#include "base/secret.h"

namespace slipgate {

using Parts = std::initializer_list<Bytes>;

// Hash(input)
std::array<uint8_t, 32> blake2s(Parts input);
// Mac(key, input), 16 bytes; the key has at most 32.
std::array<uint8_t, 16> blake2s_mac(Bytes key, Parts input);
// The same with an output of 32 bytes.
std::array<uint8_t, 32> blake2s_mac32(Bytes key, Parts input);
// Hmac(key, input); the key has at most 64 bytes.
Secret<32> hmac_blake2s(Bytes key, Parts input);

// Kdf1, Kdf2 and Kdf3: that many keys from `key` and `input`.
template <size_t N>
std::array<Secret<32>, N> kdf(const Secret<32> &key, Bytes input) {
  static_assert(N >= 1 && N <= 3);
  Secret<32> extracted = hmac_blake2s(key.bytes(), {input});
  std::array<Secret<32>, N> keys;
  for (uint8_t i = 0; i < N; i++) {
    const uint8_t number = i + 1;
    keys[i] = hmac_blake2s(extracted.bytes(), {i == 0 ? Bytes() : keys[i - 1].bytes(), Bytes(&number, 1)});
  }
  return keys;
}

}  // namespace slipgate
