// What a connection holds at the end of a turn: counted as its client's, bounded, and no small packet in a large
// buffer.
#include <cstring>

#include "stack/connection.h"
#include "stack/packet_pbuf.h"
#include "stack/world.h"

namespace slipgate {
namespace {

// The same for a segment out of order as ReceiveQueue does for those in order: lwIP needs its header, too.
void settle_segment(tcp_seg &segment) {
  const Packet *packet = PacketPbufs::packet_of(segment.p);
  if (!packet || size_t{segment.len} * 4 >= packet->held_bytes()) return;
  pbuf *copy = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(sizeof(tcp_hdr) + segment.p->tot_len), PBUF_RAM);
  if (!copy) return;
  std::memcpy(copy->payload, segment.tcphdr, sizeof(tcp_hdr));
  segment.tcphdr = static_cast<tcp_hdr *>(copy->payload);
  pbuf_remove_header(copy, sizeof(tcp_hdr));
  pbuf_copy_partial(segment.p, copy->payload, copy->len, 0);
  pbuf_free(segment.p);
  segment.p = copy;
}

}  // namespace

// What is held counts as the client's; in steps, so that small exchanges need no counting.
void Connection::settle_held() {
  constexpr size_t kStep = Stack::World::kLeastHeld;
  const size_t now = (received_.size() + sending_.size()) / kStep * kStep;
  if (now == held_) return;
  world_.client(client).held += now - held_;
  world_.held += now - held_;
  held_ = now;
  world_.forget_client(client);
}

// What lwIP holds out of order is counted, copied out of large buffers, and bounded per client.
void Connection::settle_out_of_order() {
  if (!pcb_->ooseq && out_of_order_ == 0) return;
  size_t bytes = 0;
  for (tcp_seg *segment = pcb_->ooseq; segment; segment = segment->next) {
    settle_segment(*segment);
    bytes += segment->len;
  }
  Stack::World::Client &owner = world_.client(client);
  owner.out_of_order += bytes - out_of_order_;
  out_of_order_ = bytes;
  if (owner.out_of_order > Stack::World::kMostOutOfOrderPerClient) {  // lesson: tcp-out-of-order-bounded
    // All of this connection's: the peer still has it, and sends it again.
    tcp_free_ooseq(pcb_);
    owner.out_of_order -= out_of_order_;
    out_of_order_ = 0;
    world_.counters.drop(DropReason::out_of_order_limit);
  }
  world_.forget_client(client);
}

}  // namespace slipgate
