// ChaCha20-Poly1305 by Intel's IPsec library, where that is the fastest: messages of a packet's size, on processors
// with AVX-512 IFMA (1,420 bytes: 0.84 us, BoringSSL 1.30 us). Shorter ones cost it more than BoringSSL.
//
// Any thread. Nothing allocates per message.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slipgate::ipsec_mb {

// From this length on, with the tag, it is the faster one.
inline constexpr size_t kShortest = 640;

// Whether the library was there at build time and this processor has what makes it fast.
bool available();

// As AeadKey's; `key`: 32 bytes, `nonce`: 12. Only when available().
void seal(const uint8_t *key, const uint8_t *nonce, MutableBytes message, Bytes additional);
[[nodiscard]] bool open(const uint8_t *key, const uint8_t *nonce, MutableBytes message, Bytes additional);

}  // namespace slipgate::ipsec_mb
