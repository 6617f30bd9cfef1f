#include "stack/send_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace slipgate {

ChunkPool::~ChunkPool() {
  while (free_) {
    Chunk *next = free_->next;
    ::operator delete(free_);
    free_ = next;
  }
}

ChunkPool::Chunk *ChunkPool::allocate(uint32_t capacity) {
  Chunk *chunk = nullptr;
  if (capacity == kLarge && free_) {
    chunk = free_;
    free_ = chunk->next;
    free_count_--;
  } else {
    chunk = static_cast<Chunk *>(::operator new(sizeof(Chunk) + capacity));
    chunk->capacity = capacity;
  }
  chunk->next = nullptr;
  chunk->begin = chunk->end = 0;
  return chunk;
}

void ChunkPool::release(Chunk *chunk) {
  if (chunk->capacity != kLarge || free_count_ == kKept) {
    ::operator delete(chunk);
    return;
  }
  chunk->next = free_;
  free_ = chunk;
  free_count_++;
}

void SendBuffer::link(Chunk *chunk) {
  (last_ ? last_->next : first_) = chunk;
  last_ = chunk;
  if (!next_) {
    next_ = chunk;
    next_offset_ = 0;
  }
}

std::span<const iovec> SendBuffer::room(size_t most) {
  fill(0);  // what was offered before
  size_t count = 0;
  auto offer = [&](uint8_t *at, size_t size) {
    places_[count++] = {at, std::min(size, most)};
    most -= std::min(size, most);
  };
  if (last_ && last_->end < last_->capacity) offer(last_->bytes() + last_->end, last_->capacity - last_->end);
  for (Chunk **spare = &spare_; most > 0 && count < kPlaces; spare = &(*spare)->next) {
    *spare = pool_.allocate(ChunkPool::kLarge);
    offer((*spare)->bytes(), (*spare)->capacity);
  }
  return {places_.data(), count};
}

void SendBuffer::fill(size_t count) {
  size_ += count;
  if (last_) {
    const size_t part = std::min<size_t>(count, last_->capacity - last_->end);
    last_->end += static_cast<uint32_t>(part);
    count -= part;
  }
  while (spare_) {
    Chunk *chunk = spare_;
    spare_ = chunk->next;
    chunk->next = nullptr;
    if (count == 0) {
      pool_.release(chunk);
      continue;
    }
    chunk->end = static_cast<uint32_t>(std::min<size_t>(count, chunk->capacity));
    count -= chunk->end;
    link(chunk);
  }
}

void SendBuffer::append(std::span<const iovec> pieces, size_t count) {
  for (const iovec &piece : pieces) {
    const uint8_t *from = static_cast<const uint8_t *>(piece.iov_base);
    size_t left = std::min(piece.iov_len, count);
    count -= left;
    while (left > 0) {
      if (!last_ || last_->end == last_->capacity) {
        link(pool_.allocate(size_ + left + count <= ChunkPool::kSmall ? ChunkPool::kSmall : ChunkPool::kLarge));
      }
      size_t part = std::min<size_t>(left, last_->capacity - last_->end);
      std::memcpy(last_->bytes() + last_->end, from, part);
      last_->end += static_cast<uint32_t>(part);
      from += part;
      left -= part;
      size_ += part;
    }
  }
}

Bytes SendBuffer::next(size_t most) const {
  if (!next_) return {};
  if (next_offset_ == next_->end) {
    if (!next_->next) return {};
    return Bytes(next_->next->bytes(), std::min<size_t>(most, next_->next->end));
  }
  return Bytes(next_->bytes() + next_offset_, std::min<size_t>(most, next_->end - next_offset_));
}

void SendBuffer::give(size_t count) {
  given_ += count;
  while (count > 0) {
    if (next_offset_ == next_->end) {
      next_ = next_->next;
      next_offset_ = 0;
    }
    size_t part = std::min<size_t>(count, next_->end - next_offset_);
    next_offset_ += static_cast<uint32_t>(part);
    count -= part;
  }
}

void SendBuffer::release(size_t count) {
  size_ -= count;
  given_ -= count;
  while (first_) {
    uint32_t part = static_cast<uint32_t>(std::min<size_t>(count, first_->end - first_->begin));
    first_->begin += part;
    count -= part;
    if (first_->begin < first_->end) return;
    Chunk *done = first_;
    if (next_ == done) {
      next_ = done->next;
      next_offset_ = 0;
    }
    first_ = done->next;
    if (!first_) last_ = nullptr;
    pool_.release(done);
  }
}

void SendBuffer::copy(size_t offset, MutableBytes to) const {
  uint8_t *at = to.data();
  size_t left = to.size();
  for (Chunk *chunk = first_; chunk && left > 0; chunk = chunk->next) {
    size_t here = chunk->end - chunk->begin;
    if (offset >= here) {
      offset -= here;
      continue;
    }
    size_t part = std::min(left, here - offset);
    std::memcpy(at, chunk->bytes() + chunk->begin + offset, part);
    at += part;
    left -= part;
    offset = 0;
  }
}

void SendBuffer::clear() {
  fill(0);
  while (first_) {
    Chunk *next = first_->next;
    pool_.release(first_);
    first_ = next;
  }
  last_ = next_ = nullptr;
  next_offset_ = 0;
  size_ = given_ = 0;
}

}  // namespace slipgate
