// Packets: slices of pooled, counted buffers.
//
// A buffer holds one datagram, or a batch of them that the kernel joined (UDP_GRO); each Packet is a slice that may be
// decrypted, trimmed and sealed in place. A Packet owns a reference to its buffer; the last one gives it back to the
// pool.
//
// Lives on one shard: the counts are not atomic. A packet that goes to another shard is copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/bytes.h"

namespace slipgate {

class BufferPool;

// One buffer: this head, then `capacity` bytes.
struct alignas(64) Buffer {
  BufferPool *pool;
  Buffer *next_free;
  uint32_t references;
  uint32_t capacity;

  uint8_t *bytes() { return reinterpret_cast<uint8_t *>(this + 1); }
};

class Packet {
 public:
  // Bytes kept free before and behind an inner packet that the stack makes, so that a link can put its own framing
  // round it without copying: WireGuard's header (16) and tag (16) with padding (15), GUE, Ethernet with a WebSocket
  // head.
  static constexpr uint16_t kHeadroom = 64;
  static constexpr uint16_t kTailroom = 32;

  Packet() = default;
  Packet(Packet &&other) noexcept { swap(other); }
  Packet &operator=(Packet &&other) noexcept {
    Packet moved(std::move(other));
    swap(moved);
    return *this;
  }
  Packet(const Packet &) = delete;
  Packet &operator=(const Packet &) = delete;
  ~Packet() { reset(); }

  explicit operator bool() const { return buffer_ != nullptr; }
  uint8_t *data() { return buffer_->bytes() + offset_; }
  const uint8_t *data() const { return buffer_->bytes() + offset_; }
  size_t size() const { return size_; }
  Bytes bytes() const { return buffer_ ? Bytes(data(), size_) : Bytes(); }
  MutableBytes mutable_bytes() { return buffer_ ? MutableBytes(data(), size_) : MutableBytes(); }

  // Bytes before and behind that are this packet's own and may be written.
  size_t headroom() const { return headroom_; }
  size_t tailroom() const { return tailroom_; }
  void grow_front(size_t count) { offset_ -= count, size_ += count, headroom_ -= count; }    // count <= headroom()
  void shrink_front(size_t count) { offset_ += count, size_ -= count, headroom_ += count; }  // count <= size()
  void grow_back(size_t count) { size_ += count, tailroom_ -= count; }                       // count <= tailroom()
  void shrink_back(size_t count) { size_ -= count, tailroom_ += count; }                     // count <= size()
  void resize(size_t size) { size < size_ ? shrink_back(size_ - size) : grow_back(size - size_); }

  // A second handle on a part of the same bytes: [offset, offset + size), with no room of its own. Both see writes.
  Packet slice(size_t offset, size_t size) const;
  // Bytes of the whole buffer that this packet keeps alive: what holding it really costs.
  size_t held_bytes() const { return buffer_ ? buffer_->capacity : 0; }
  bool same_buffer(const Packet &other) const { return buffer_ == other.buffer_; }

  void reset();

  // Set by the link that received the packet: who sent it (the WireGuard peer, the Ethernet client), counted from 1
  // over the shard's life; 0: nobody, we did. On the way out: unused.
  uint32_t client = 0;
  // Which of the shard's links it came by, or is to leave by.
  uint16_t link = 0;
  // Its link proved that it is as the client sent it (WireGuard's tag): transport checksums need no look.
  bool authentic = false;

 private:
  friend class BufferPool;
  void swap(Packet &other) {
    std::swap(buffer_, other.buffer_);
    std::swap(offset_, other.offset_);
    std::swap(size_, other.size_);
    std::swap(headroom_, other.headroom_);
    std::swap(tailroom_, other.tailroom_);
    std::swap(client, other.client);
    std::swap(link, other.link);
    std::swap(authentic, other.authentic);
  }

  Buffer *buffer_ = nullptr;
  uint32_t offset_ = 0;
  uint32_t size_ = 0;
  uint32_t headroom_ = 0;
  uint32_t tailroom_ = 0;
};

// Buffers of one size, made when first needed and kept for reuse. Outlives every packet of it.
class BufferPool {
 public:
  // `most` bounds the buffers alive at one time; `kept` of the free ones stay for reuse, the rest go back to the heap.
  BufferPool(uint32_t capacity, size_t most, size_t kept);
  ~BufferPool();
  BufferPool(const BufferPool &) = delete;
  BufferPool &operator=(const BufferPool &) = delete;

  // A packet of `size` bytes with `headroom` before it and all the rest of the buffer behind it as tailroom. Empty when
  // `most` buffers are alive (the caller counts DropReason::buffers_exhausted), or when it would not fit one.
  Packet allocate(size_t size, size_t headroom = Packet::kHeadroom);

  uint32_t capacity() const { return capacity_; }
  size_t alive() const { return alive_; }

 private:
  friend class Packet;
  friend Packet carve(const Packet &whole, size_t offset, size_t size, size_t headroom, size_t tailroom);
  static Packet share(const Packet &whole, size_t offset, size_t size, size_t headroom, size_t tailroom);
  void release(Buffer *buffer);

  const uint32_t capacity_;
  const size_t most_;
  const size_t kept_;
  size_t alive_ = 0;
  size_t free_count_ = 0;
  Buffer *free_ = nullptr;
};

inline void Packet::reset() {
  if (buffer_ && --buffer_->references == 0) buffer_->pool->release(buffer_);
  buffer_ = nullptr;
  offset_ = size_ = headroom_ = tailroom_ = 0;
}

// Part of a packet with its own writable room up to `size + headroom + tailroom` of the original: how a datagram joined
// by the kernel is taken apart. Sets the slice's rooms inside the parent's bytes [offset - headroom, offset + size +
// tailroom).
Packet carve(const Packet &whole, size_t offset, size_t size, size_t headroom, size_t tailroom);

}  // namespace slipgate
