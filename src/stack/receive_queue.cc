#include "stack/receive_queue.h"

#include <algorithm>

#include "stack/packet_pbuf.h"

namespace slipgate {
namespace {

// One pbuf of a chain, alone. The lengths of a chain (tot_len) are 16 bits and mean nothing in a queue of megabytes.
void free_one(pbuf *buffer) {
  buffer->next = nullptr;
  buffer->tot_len = buffer->len;
  pbuf_free(buffer);
}

}  // namespace

void ReceiveQueue::append(pbuf *chain) {
  while (chain) {
    pbuf *buffer = chain;
    chain = chain->next;
    buffer->next = nullptr;
    if (buffer->len == 0) {  // trimmed away by lwIP
      free_one(buffer);
      continue;
    }
    (last_ ? last_->next : first_) = buffer;
    last_ = buffer;
    size_ += buffer->len;
  }
}

size_t ReceiveQueue::peek(size_t most, Pieces &pieces) const {
  size_t count = 0;
  size_t bytes = 0;
  for (pbuf *buffer = first_; buffer && count < pieces.size() && bytes < most; buffer = buffer->next) {
    pieces[count++] = {buffer->payload, buffer->len};
    bytes += buffer->len;
  }
  return count;
}

void ReceiveQueue::consume(size_t count) {
  size_ -= count;
  while (count > 0) {
    pbuf *buffer = first_;
    if (count < buffer->len) {
      buffer->payload = static_cast<uint8_t *>(buffer->payload) + count;
      buffer->len = static_cast<u16_t>(buffer->len - count);
      return;
    }
    count -= buffer->len;
    first_ = buffer->next;
    if (!first_) last_ = nullptr;
    if (settled_ == buffer) settled_ = nullptr;
    free_one(buffer);
  }
}

void ReceiveQueue::clear() {
  consume(size_);
}

void ReceiveQueue::settle() {
  if (settled_ == last_) return;
  pbuf **link = settled_ ? &settled_->next : &first_;
  pbuf *before = settled_;
  while (*link) {
    // A run of pbufs that lie in one buffer.
    const Packet *packet = PacketPbufs::packet_of(*link);
    pbuf *end = *link;
    size_t bytes = 0;
    do {
      bytes += end->len;
      end = end->next;
    } while (end && packet && PacketPbufs::packet_of(end) && PacketPbufs::packet_of(end)->same_buffer(*packet) &&
             bytes + end->len <= 0xffff);
    if (packet && bytes * 4 < packet->held_bytes()) {  // lesson: tcp-held-small-copied
      if (pbuf *copy = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(bytes), PBUF_RAM)) {
        uint8_t *to = static_cast<uint8_t *>(copy->payload);
        while (*link != end) {
          pbuf *buffer = *link;
          std::memcpy(to, buffer->payload, buffer->len);
          to += buffer->len;
          *link = buffer->next;
          free_one(buffer);
        }
        copy->next = end;
        *link = copy;
        before = copy;
        link = &copy->next;
        continue;
      }
    }
    while (*link != end) {
      before = *link;
      link = &(*link)->next;
    }
  }
  last_ = before;
  settled_ = last_;
}

}  // namespace slipgate
