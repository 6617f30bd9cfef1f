// Key material: wiped when it goes, never printed, compared in constant time.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace slipgate {

// Overwrites in a way that the compiler may not leave out.
inline void wipe(MutableBytes bytes) {
  explicit_bzero(bytes.data(), bytes.size());
}

template <size_t N>
class Secret {
 public:
  static constexpr size_t kSize = N;

  Secret() : bytes_{} {}
  explicit Secret(Bytes bytes) { std::memcpy(bytes_.data(), bytes.data(), N); }  // exactly N bytes
  Secret(const Secret &) = default;
  Secret &operator=(const Secret &) = default;
  ~Secret() { wipe(bytes_); }  // lesson: secret-wiped

  Bytes bytes() const { return bytes_; }
  MutableBytes mutable_bytes() { return bytes_; }
  const uint8_t *data() const { return bytes_.data(); }
  uint8_t *data() { return bytes_.data(); }

  bool operator==(const Secret &other) const {
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < N; i++) difference = difference | (bytes_[i] ^ other.bytes_[i]);
    return difference == 0;
  }
  bool is_zero() const { return *this == Secret(); }

 private:
  std::array<uint8_t, N> bytes_;
};

}  // namespace slipgate
