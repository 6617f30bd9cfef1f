// Integers with a byte order, stored as bytes: what headers on the wire are made of.
//
// No htons() outside this file. Alignment is 1, so a header struct of these may be laid over any byte.
#pragma once

#include <cstdint>
#include <cstring>

namespace slipgate {

template <typename T>
constexpr T byte_swap(T value) {
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
}

// `Swap` says that the stored order differs from the machine's.
template <typename T, bool Swap>
class WireInteger {
 public:
  WireInteger() = default;
  WireInteger(T value) { *this = value; }
  WireInteger &operator=(T value) {
    if constexpr (Swap) value = byte_swap(value);
    std::memcpy(bytes_, &value, sizeof(T));
    return *this;
  }
  operator T() const {
    T value;
    std::memcpy(&value, bytes_, sizeof(T));
    if constexpr (Swap) value = byte_swap(value);
    return value;
  }
  T value() const { return *this; }

 private:
  uint8_t bytes_[sizeof(T)];
};

inline constexpr bool kLittleEndian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

using be16 = WireInteger<uint16_t, kLittleEndian>;
using be32 = WireInteger<uint32_t, kLittleEndian>;
using be64 = WireInteger<uint64_t, kLittleEndian>;
using le16 = WireInteger<uint16_t, !kLittleEndian>;
using le32 = WireInteger<uint32_t, !kLittleEndian>;
using le64 = WireInteger<uint64_t, !kLittleEndian>;

static_assert(sizeof(be16) == 2 && alignof(be16) == 1);
static_assert(sizeof(be64) == 8 && alignof(be64) == 1);

}  // namespace slipgate
