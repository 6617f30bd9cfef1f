// Key material: in locked memory, wiped when it goes, never printed, compared in constant time.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/secret_memory.h"

namespace slipgate {

// Overwrites in a way that the compiler may not leave out.
inline void wipe(MutableBytes bytes) {
  explicit_bzero(bytes.data(), bytes.size());
}

template <size_t N>
class Secret {
 public:
  static constexpr size_t kSize = N;

  Secret() = default;                                                     // zeros
  explicit Secret(Bytes bytes) { std::memcpy(data(), bytes.data(), N); }  // exactly N bytes
  Secret(const Secret &other) : Secret(other.bytes()) {}
  Secret &operator=(const Secret &other) {
    std::memmove(data(), other.data(), N);
    return *this;
  }
  ~Secret() { give_secret_memory_back(bytes_, N); }

  Bytes bytes() const { return {bytes_, N}; }
  MutableBytes mutable_bytes() { return {bytes_, N}; }
  const uint8_t *data() const { return bytes_; }
  uint8_t *data() { return bytes_; }

  bool operator==(const Secret &other) const {
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < N; i++) difference = difference | (bytes_[i] ^ other.bytes_[i]);
    return difference == 0;
  }
  bool is_zero() const { return *this == Secret(); }

 private:
  static_assert(N <= kLargestSecret);
  uint8_t *const bytes_ = static_cast<uint8_t *>(take_secret_memory(N));
};

}  // namespace slipgate
