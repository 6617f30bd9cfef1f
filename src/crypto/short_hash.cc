#include "crypto/short_hash.h"

#include <sodium.h>

#include "crypto/random.h"

namespace slipgate {

ShortHash::ShortHash() {
  fill_random(key_);
}

uint64_t ShortHash::operator()(Bytes bytes) const {
  le64 hash;
  static_assert(sizeof(hash) == crypto_shorthash_BYTES);
  crypto_shorthash(reinterpret_cast<uint8_t *>(&hash), bytes.data(), bytes.size(), key_.data());
  return hash;
}

}  // namespace slipgate
