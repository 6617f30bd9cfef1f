// SipHash-2-4 (Aumasson and Bernstein 2012) for hash tables: who does not know the key cannot choose what meets in one
// slot.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace slipgate {

class ShortHash {
 public:
  ShortHash();  // a random key

  uint64_t operator()(Bytes bytes) const;

 private:
  std::array<uint8_t, 16> key_;
};

}  // namespace slipgate
