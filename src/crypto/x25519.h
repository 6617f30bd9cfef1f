// X25519 (RFC 7748).
//
// Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/secret.h"

namespace slipgate {

using X25519PublicKey = std::array<uint8_t, 32>;

// A new private key, clamped.
Secret<32> generate_private_key();
// Sets and clears the bits that RFC 7748 section 5 fixes. x25519() does the same inside; a key that is shown is clamped
// first.
void clamp(Secret<32> &private_key);
X25519PublicKey public_key_of(const Secret<32> &private_key);
// DH(private, public). None when the result is all zeros, which a peer can force with a point of small order.
std::optional<Secret<32>> x25519(const Secret<32> &private_key, const X25519PublicKey &public_key);

}  // namespace slipgate
