// The buffers that the links of one shard receive into. Packets go from link to link and into the stack, so these
// outlive both.
#pragma once

#include "base/packet.h"
#include "io/udp_socket.h"

namespace slipgate {

struct LinkBuffers {
  static constexpr uint32_t kSingle = 2048;

  // Runs of datagrams; those alive at one time are what streams hold unread: 128 MB, of which 2 MB stay for reuse.
  BufferPool batches{UdpSocket::kBatchBuffer, 2048, 32};
  // Lone datagrams, handshake messages and keepalives.
  BufferPool singles{kSingle, 16384, 256};

  // Room for `size` bytes, headroom and tailroom; empty when buffers are exhausted.
  Packet allocate(size_t size) {
    const bool small = Packet::kHeadroom + size + Packet::kTailroom <= kSingle;
    return (small ? singles : batches).allocate(size);
  }
};

}  // namespace slipgate
