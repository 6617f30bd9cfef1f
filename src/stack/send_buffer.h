// Bytes that the stream's owner wrote, kept until the peer acknowledged them. lwIP refers to them and copies nothing,
// so they do not move.
//
// Lives in a connection. Nothing is held when it is empty: an idle connection costs no buffer.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace slipgate {

// Blocks of send buffers, with some of the free ones kept.
class ChunkPool {
 public:
  static constexpr uint32_t kSmall = 2048 - 64;       // a request or an answer
  static constexpr uint32_t kLarge = 32 * 1024 - 64;  // a stream
  static constexpr size_t kKept = 64;                 // of the large ones

  struct Chunk {
    Chunk *next;
    uint32_t capacity;
    uint32_t begin;  // the first byte that is still needed
    uint32_t end;    // behind the last byte written

    uint8_t *bytes() { return reinterpret_cast<uint8_t *>(this + 1); }
  };

  ChunkPool() = default;
  ~ChunkPool();
  ChunkPool(const ChunkPool &) = delete;
  ChunkPool &operator=(const ChunkPool &) = delete;

  Chunk *allocate(uint32_t capacity);
  void release(Chunk *chunk);

 private:
  Chunk *free_ = nullptr;
  size_t free_count_ = 0;
};

class SendBuffer {
 public:
  explicit SendBuffer(ChunkPool &pool) : pool_(pool) {}
  ~SendBuffer() { clear(); }
  SendBuffer(const SendBuffer &) = delete;
  SendBuffer &operator=(const SendBuffer &) = delete;

  size_t size() const { return size_; }              // not acknowledged
  size_t waiting() const { return size_ - given_; }  // not yet given to lwIP

  // Places for the next bytes, at most `most` of them; fill() says how many are there, and gives back the rest.
  std::span<const iovec> room(size_t most);
  void fill(size_t count);
  // Copies the first `count` bytes of `pieces`.
  void append(std::span<const iovec> pieces, size_t count);
  // The next bytes for lwIP, up to `most` and in one piece; give() says how many of them it took.
  Bytes next(size_t most) const;
  void give(size_t count);
  // The oldest bytes are not needed any more.
  void release(size_t count);
  // Copies bytes that were given, from the `offset`-th of those still here, as often as asked: for retransmissions.
  void copy(size_t offset, MutableBytes to) const;
  void clear();

 private:
  using Chunk = ChunkPool::Chunk;
  static constexpr size_t kPlaces = 3;  // the end of a block, and two more

  void link(Chunk *chunk);

  ChunkPool &pool_;
  Chunk *first_ = nullptr;
  Chunk *last_ = nullptr;
  Chunk *next_ = nullptr;     // holds the next byte for lwIP
  uint32_t next_offset_ = 0;  // in next_
  size_t size_ = 0;
  size_t given_ = 0;
  Chunk *spare_ = nullptr;  // offered by room(), with no byte yet
  std::array<iovec, kPlaces> places_;
};

}  // namespace slipgate
