#include "crypto/x25519.h"

#include <sodium.h>

#include "crypto/random.h"

namespace slipgate {

Secret<32> generate_private_key() {
  Secret<32> key;
  fill_random(key.mutable_bytes());
  clamp(key);
  return key;
}

void clamp(Secret<32> &private_key) {
  private_key.data()[0] &= 248;
  private_key.data()[31] = (private_key.data()[31] & 127) | 64;
}

X25519PublicKey public_key_of(const Secret<32> &private_key) {
  prepare_crypto();
  X25519PublicKey key;
  crypto_scalarmult_base(key.data(), private_key.data());
  return key;
}

std::optional<Secret<32>> x25519(const Secret<32> &private_key, const X25519PublicKey &public_key) {
  prepare_crypto();
  Secret<32> shared;
  bool accepted = crypto_scalarmult(shared.data(), private_key.data(), public_key.data()) == 0;
  // libsodium refuses small orders itself; the rule is ours, so it does not rest on that.
  if (!accepted || shared.is_zero()) return std::nullopt;  // lesson: wg-zero-dh-refused
  return shared;
}

}  // namespace slipgate
