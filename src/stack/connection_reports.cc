// What is told to the peer beside data and acknowledgments, and by it: congestion that is notified (ECN), and what came
// twice (DSACK).
#include <algorithm>
#include <iterator>
#include <utility>

#include "stack/connection.h"
#include "stack/world.h"

namespace slipgate {

// --- congestion that is notified (RFC 3168) ---

// Section 6.1.1. A SYN that asks for accurate ECN (RFC 9768) asks for this, too.
void Connection::agree_on_ecn(const TcpHeader &syn) {
  constexpr uint8_t kAsks = TcpHeader::kEce | TcpHeader::kCwr;
  ecn_ = (syn.flags & kAsks) == kAsks;
}

void Connection::note_marks(const TcpHeader &header, uint8_t traffic_class, size_t payload) {
  // Section 6.1.3. A packet may end one notification and begin the next.
  if (header.flags & TcpHeader::kCwr) echo_congestion_ = false;
  if (payload > 0 && (traffic_class & kEcnMask) == kCongestionExperienced) echo_congestion_ = true;
  // Section 6.1.2.
  if ((header.flags & TcpHeader::kEce) && sender_ && sender_->congestion_echoed(world_.timers.now())) {
    window_reduced_ = true;  // lesson: ecn-reduces
  }
}

// What lwIP sends: data for the first time, a SYN-ACK, acknowledgments. Only the first may be marked on the way
// (sections 6.1.4 and 6.1.5: neither acknowledgments alone, nor repetitions, nor SYNs).
void Connection::mark(uint8_t *ip, TcpHeader &header, size_t payload) {
  // lwIP keeps the headers of what it may send once more.
  header.flags &= static_cast<uint8_t>(~(TcpHeader::kEce | TcpHeader::kCwr));
  if (!ecn_ || (header.flags & TcpHeader::kRst)) return;
  if (header.flags & TcpHeader::kSyn) {
    header.flags |= TcpHeader::kEce;
    return;
  }
  if (echo_congestion_) header.flags |= TcpHeader::kEce;
  if (payload == 0) return;
  if (std::exchange(window_reduced_, false)) header.flags |= TcpHeader::kCwr;
  // The traffic class begins in the middle of an IPv6 header's first byte.
  ip[1] |= ip[0] >> 4 == 4 ? kEcnCapable : kEcnCapable << 4;
}

// --- what came twice (RFC 2883) ---

// Section 4: what came twice, below the acknowledgment or within what is held out of order. The range is for
// the next acknowledgment, as the first block of its SACK option.
bool Connection::note_duplicate(uint32_t begin, size_t size) {
  if (!(pcb_->flags & TF_SACK)) return false;
  uint32_t end = begin + static_cast<uint32_t>(size);
  if (sequence_before(begin, pcb_->rcv_nxt)) {
    if (pcb_->rcv_nxt - begin > TCP_WND) return false;  // no window reached so far
    if (sequence_before(pcb_->rcv_nxt, end)) end = pcb_->rcv_nxt;
  } else {
    auto holds = [&](const tcp_sack_range &range) {
      return !sequence_before(begin, range.left) && !sequence_before(range.right, end);
    };
    if (std::none_of(std::begin(pcb_->rcv_sacks), std::end(pcb_->rcv_sacks), holds)) return false;
  }
  if (duplicate_.right == begin && duplicate_.left != duplicate_.right) {
    duplicate_.right = end;
  } else {
    report_duplicate();  // each is told once
    duplicate_ = {begin, end};
  }
  return true;
}

// lwIP writes the blocks that it keeps: for one acknowledgment they are one more.
void Connection::report_duplicate() {
  if (duplicate_.left == duplicate_.right) return;
  tcp_sack_range(&blocks)[LWIP_TCP_MAX_SACK_NUM] = pcb_->rcv_sacks;
  tcp_sack_range kept[LWIP_TCP_MAX_SACK_NUM];
  std::copy(std::begin(blocks), std::end(blocks), kept);
  std::copy(kept, std::end(kept) - 1, blocks + 1);
  blocks[0] = {duplicate_.left, duplicate_.right};
  tcp_send_empty_ack(pcb_);  // lesson: duplicates-reported
  std::copy(kept, std::end(kept), blocks);
  duplicate_ = {};
}

}  // namespace slipgate
