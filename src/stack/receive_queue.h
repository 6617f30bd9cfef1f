// Bytes that lwIP delivered in order and the stream's owner has not taken yet: a chain of pbufs, mostly the packets
// themselves.
//
// A small packet can keep a large buffer alive (64 kB, when the kernel joined datagrams). What is still here at the end
// of a turn and is less than a quarter of the buffers that it holds is copied out of them.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>

#include "io/stream.h"
#include "stack/lwip.h"

namespace slipgate {

class ReceiveQueue {
 public:
  using Pieces = std::array<iovec, Peeked::kMost>;

  ReceiveQueue() = default;
  ~ReceiveQueue() { clear(); }
  ReceiveQueue(const ReceiveQueue &) = delete;
  ReceiveQueue &operator=(const ReceiveQueue &) = delete;

  // Takes the chain.
  void append(pbuf *chain);
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The first bytes, until `pieces` is full or they reach `most`. How many pieces.
  size_t peek(size_t most, Pieces &pieces) const;
  void consume(size_t count);  // count <= size()
  void clear();

  // The end of the turn.
  void settle();

 private:
  pbuf *first_ = nullptr;
  pbuf *last_ = nullptr;
  pbuf *settled_ = nullptr;  // settle() has seen everything up to here
  size_t size_ = 0;
};

}  // namespace slipgate
