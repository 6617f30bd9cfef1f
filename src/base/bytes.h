// Views of bytes, headers laid over them, and cursors for formats of variable length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/endian.h"

namespace slipgate {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

// A header struct (alignment 1, made of wire integers) laid over the start of `bytes`; null when there are too few.
template <typename T>
const T *view_as(Bytes bytes) {
  static_assert(alignof(T) == 1);
  return bytes.size() < sizeof(T) ? nullptr : reinterpret_cast<const T *>(bytes.data());
}

template <typename T>
T *view_as(MutableBytes bytes) {
  static_assert(alignof(T) == 1);
  return bytes.size() < sizeof(T) ? nullptr : reinterpret_cast<T *>(bytes.data());
}

// The bytes of a header or integer; text has its own below.
template <typename T>
requires(std::is_trivially_copyable_v<T> && !std::is_convertible_v<const T &, std::string_view>) Bytes
    bytes_of(const T &object) {
  return {reinterpret_cast<const uint8_t *>(&object), sizeof(T)};
}

inline Bytes bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

// Reads from the front; after the first read past the end every read gives zeros and ok() stays false.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : whole_(bytes) {}

  bool ok() const { return ok_; }
  size_t position() const { return position_; }
  size_t remaining() const { return ok_ ? whole_.size() - position_ : 0; }
  Bytes whole() const { return whole_; }

  Bytes take(size_t count) {
    if (count > remaining()) {
      ok_ = false;
      return {};
    }
    Bytes taken = whole_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  Bytes rest() { return take(remaining()); }
  void skip(size_t count) { take(count); }
  void seek(size_t position) {
    if (position > whole_.size()) ok_ = false;
    if (ok_) position_ = position;
  }

  uint8_t u8() {
    Bytes taken = take(1);
    return taken.empty() ? 0 : taken[0];
  }
  uint16_t u16() { return number<be16>().value(); }
  uint32_t u32() { return number<be32>().value(); }
  uint64_t u64() { return number<be64>().value(); }

 private:
  template <typename Wire>
  Wire number() {
    Wire wire(0);
    if (Bytes taken = take(sizeof(Wire)); !taken.empty()) std::memcpy(&wire, taken.data(), sizeof(Wire));
    return wire;
  }

  Bytes whole_;
  size_t position_ = 0;
  bool ok_ = true;
};

// Writes from the front of a given room; after the first write that does not fit ok() stays false and nothing is
// written.
class ByteWriter {
 public:
  explicit ByteWriter(MutableBytes room) : room_(room) {}

  bool ok() const { return ok_; }
  size_t size() const { return size_; }
  Bytes written() const { return room_.first(size_); }

  void put(Bytes bytes) {
    if (MutableBytes slot = reserve(bytes.size()); !bytes.empty() && !slot.empty()) {
      std::memcpy(slot.data(), bytes.data(), bytes.size());
    }
  }
  // Room to be filled in later (a length, a count); empty when it does not fit.
  MutableBytes reserve(size_t count) {
    if (!ok_ || count > room_.size() - size_) {
      ok_ = false;
      return {};
    }
    MutableBytes slot = room_.subspan(size_, count);
    size_ += count;
    return slot;
  }
  void u8(uint8_t value) { put({&value, 1}); }
  void u16(uint16_t value) { put(bytes_of(be16(value))); }
  void u32(uint32_t value) { put(bytes_of(be32(value))); }
  void u64(uint64_t value) { put(bytes_of(be64(value))); }
  void truncate(size_t size) {
    if (size <= size_) size_ = size;
  }

 private:
  MutableBytes room_;
  size_t size_ = 0;
  bool ok_ = true;
};

}  // namespace slipgate
