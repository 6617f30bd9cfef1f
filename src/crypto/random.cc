#include "crypto/random.h"

#include <sodium.h>

#include <cstdlib>

namespace slipgate {

void prepare_crypto() {
  // sodium_init() fails only where the system has no random numbers: nothing can be done safely then.
  static const bool kReady = sodium_init() >= 0;
  if (!kReady) std::abort();
}

void fill_random(MutableBytes bytes) {
  prepare_crypto();
  if (!bytes.empty()) randombytes_buf(bytes.data(), bytes.size());
}

uint32_t random_u32() {
  prepare_crypto();
  return randombytes_random();
}

uint32_t random_below(uint32_t bound) {
  prepare_crypto();
  return randombytes_uniform(bound);
}

}  // namespace slipgate
