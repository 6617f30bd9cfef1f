// ChaCha20-Poly1305 by Intel's IPsec library, the fastest on processors with AVX-512 IFMA, whatever the length
// (BoringSSL beside it: 64 bytes 0.20 and 0.27 us, 1,420 bytes 0.70 and 1.43 us).
//
// Any thread. Nothing allocates per message but a thread's first.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace slipgate::ipsec_mb {

// Whether the library was there at build time and this processor has what makes it fast.
bool available();

// As AeadKey's; `key`: 32 bytes, `nonce`: 12. Only when available().
void seal(const uint8_t *key, const uint8_t *nonce, MutableBytes message, Bytes additional);
[[nodiscard]] bool open(const uint8_t *key, const uint8_t *nonce, MutableBytes message, Bytes additional);

}  // namespace slipgate::ipsec_mb
