// Packets lent to lwIP: a pbuf whose payload is the packet's own bytes, taken from a free list.
#pragma once

#include <cstddef>

#include "base/packet.h"
#include "stack/lwip.h"

namespace slipgate {

class PacketPbufs {
 public:
  // Free pbufs kept for reuse: two batches of a full UDP_GRO receive.
  static constexpr size_t kKept = 1024;

  PacketPbufs() = default;
  ~PacketPbufs();
  PacketPbufs(const PacketPbufs &) = delete;
  PacketPbufs &operator=(const PacketPbufs &) = delete;

  // A pbuf of `size` bytes at `offset` of the packet, which it owns until lwIP and we freed it. size <= 65535.
  pbuf *lend(Packet packet, size_t offset, size_t size);

  // The packet behind a pbuf, null when the bytes are the pbuf's own.
  static const Packet *packet_of(const pbuf *buffer);

 private:
  struct Lent {
    pbuf_custom custom;
    Packet packet;
    PacketPbufs *owner;
    Lent *next_free;
  };
  static void give_back(pbuf *buffer);

  Lent *free_ = nullptr;
  size_t free_count_ = 0;
};

}  // namespace slipgate
