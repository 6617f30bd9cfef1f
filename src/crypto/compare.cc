#include "crypto/compare.h"

#include <sodium.h>

namespace slipgate {

bool equal_in_constant_time(Bytes a, Bytes b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace slipgate
