#include "base/packet.h"

#include <new>

namespace slipgate {

Packet Packet::slice(size_t offset, size_t size) const {
  return carve(*this, offset, size, 0, 0);
}

Packet carve(const Packet &whole, size_t offset, size_t size, size_t headroom, size_t tailroom) {
  return BufferPool::share(whole, offset, size, headroom, tailroom);
}

BufferPool::BufferPool(uint32_t capacity, size_t most, size_t kept) : capacity_(capacity), most_(most), kept_(kept) {}

BufferPool::~BufferPool() {
  while (free_) {
    Buffer *next = free_->next_free;
    ::operator delete(free_, std::align_val_t(alignof(Buffer)));
    free_ = next;
  }
}

Packet BufferPool::allocate(size_t size, size_t headroom) {
  if (size > capacity_ || headroom > capacity_ - size) return {};
  Buffer *buffer = free_;
  if (buffer) {
    free_ = buffer->next_free;
    free_count_--;
  } else {
    if (alive_ == most_) return {};  // lesson: packet-pool-bounded
    buffer = static_cast<Buffer *>(::operator new(sizeof(Buffer) + capacity_, std::align_val_t(alignof(Buffer))));
    buffer->pool = this;
    buffer->capacity = capacity_;
  }
  alive_++;
  buffer->references = 1;
  Packet packet;
  packet.buffer_ = buffer;
  packet.offset_ = static_cast<uint32_t>(headroom);
  packet.size_ = static_cast<uint32_t>(size);
  packet.headroom_ = static_cast<uint32_t>(headroom);
  packet.tailroom_ = static_cast<uint32_t>(capacity_ - headroom - size);
  return packet;
}

Packet BufferPool::share(const Packet &whole, size_t offset, size_t size, size_t headroom, size_t tailroom) {
  Packet part;
  part.buffer_ = whole.buffer_;
  part.buffer_->references++;
  part.offset_ = static_cast<uint32_t>(whole.offset_ + offset);
  part.size_ = static_cast<uint32_t>(size);
  part.headroom_ = static_cast<uint32_t>(headroom);
  part.tailroom_ = static_cast<uint32_t>(tailroom);
  part.client = whole.client;
  part.link = whole.link;
  part.authentic = whole.authentic;
  return part;
}

void BufferPool::release(Buffer *buffer) {
  alive_--;
  if (free_count_ < kept_) {
    buffer->next_free = free_;
    free_ = buffer;
    free_count_++;
  } else {
    ::operator delete(buffer, std::align_val_t(alignof(Buffer)));
  }
}

}  // namespace slipgate
