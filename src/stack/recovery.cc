#include "stack/recovery.h"

#include <algorithm>

#include "wire/tcp.h"

namespace slipgate {

void Recovery::add(Range range) {
  size_t at = 0;
  while (at < sacked_.size() && sequence_before(sacked_[at].right, range.left)) at++;
  size_t end = at;
  while (end < sacked_.size() && !sequence_before(range.right, sacked_[end].left)) {
    if (sequence_before(sacked_[end].left, range.left)) range.left = sacked_[end].left;
    if (sequence_before(range.right, sacked_[end].right)) range.right = sacked_[end].right;
    range.since = std::min(range.since, sacked_[end].since);
    end++;
  }
  sacked_.erase(sacked_.begin() + static_cast<ptrdiff_t>(at), sacked_.begin() + static_cast<ptrdiff_t>(end));
  if (sacked_.size() < kMostRanges) sacked_.insert(sacked_.begin() + static_cast<ptrdiff_t>(at), range);
}

void Recovery::forget_before(uint32_t sequence) {
  while (!sacked_.empty() && !sequence_before(sequence, sacked_.front().right)) sacked_.erase(sacked_.begin());
  if (!sacked_.empty() && sequence_before(sacked_.front().left, sequence)) sacked_.front().left = sequence;
}

uint32_t Recovery::sacked_bytes() const {
  uint32_t bytes = 0;
  for (const Range &range : sacked_) bytes += range.right - range.left;
  return bytes;
}

void Recovery::before_input(tcp_pcb &pcb, std::span<const SackBlock> reported, Time now) {
  for (const SackBlock &block : reported) {
    // What was never sent, or is acknowledged already (RFC 2883's duplicates), or upside down: not believed.
    if (!sequence_before(block.left, block.right) || !sequence_before(pcb.lastack, block.left + 1) ||
        sequence_before(pcb.snd_nxt, block.right)) {  // lesson: tcp-sack-lies
      continue;
    }
    add({block.left, block.right, now});
  }
  // lwIP's own fast retransmission would collapse the window for each hole; and what it lets out while it works on this
  // segment must not run ahead of act().
  pcb.dupacks = 0;
  if (recovering_) pcb.cwnd = pcb.snd_nxt - pcb.lastack;
}

void Recovery::act(tcp_pcb &pcb, Time now, Duration round_trip, const Resend &resend) {
  const uint32_t mss = pcb.mss;
  if (pcb.flags & TF_RTO || !pcb.unacked) {
    // lwIP sends everything again, or there is nothing to recover.
    sacked_.clear();
    recovering_ = probed_ = false;
    return;
  }
  forget_before(pcb.lastack);
  if (probed_ && pcb.lastack != probed_at_) probed_ = false;
  if (recovering_ && !sequence_before(pcb.lastack, recover_)) {
    recovering_ = false;
    pcb.cwnd = window_;
    pcb.bytes_acked = 0;
  }
  if (sacked_.empty() && !recovering_) return;
  // Packets that overtook each other look the same for a quarter of a round trip.
  const Time late = now - round_trip / 4;
  uint32_t highest = pcb.lastack;
  for (const Range &range : sacked_) {
    if (range.since <= late) highest = range.right;
  }
  if (!recovering_) {
    // RFC 6675 section 4: three segments' worth beyond the hole; or all that was sent has been reported.
    bool tail = highest == pcb.snd_nxt && probed_;
    if ((sacked_bytes() < 3 * mss && !tail) || highest == pcb.lastack) return;
    recovering_ = true;
    recover_ = pcb.snd_nxt;
    resent_up_to_ = head_ = pcb.lastack;
    head_repetitions_ = 0;
    head_sent_ = now;
    // RFC 9438 section 4.6.
    uint32_t flight = std::min<uint32_t>(pcb.snd_nxt - pcb.lastack, pcb.cwnd);
    window_ = std::max(flight / 10 * 7, 2 * mss);
    pcb.ssthresh = window_;
    probed_ = false;
  }
  if (head_ != pcb.lastack) {
    // The hole was filled by a second repetition: what was first repeated before it is lost as well (RFC 8985
    // section 6.2).
    if (head_repetitions_ > 0) resent_up_to_ = pcb.lastack;
    head_ = pcb.lastack;
    head_sent_ = now;
    head_repetitions_ = 0;
    pcb.rtime = 0;
  }
  // In flight: what was sent, less what the client holds, less holes that were not sent again yet (they are lost).
  auto holes = [&](uint32_t from, uint32_t to, const auto &visit) {
    uint32_t at = from;
    for (const Range &range : sacked_) {
      if (!sequence_before(range.left, to)) break;
      if (sequence_before(at, range.left) && !visit(at, range.left)) return;
      if (sequence_before(at, range.right)) at = range.right;
    }
  };
  uint32_t lost = 0;
  uint32_t from = sequence_before(resent_up_to_, pcb.lastack) ? pcb.lastack : resent_up_to_;
  holes(from, highest, [&](uint32_t left, uint32_t right) {
    lost += right - left;
    return true;
  });
  uint32_t in_flight = pcb.snd_nxt - pcb.lastack - sacked_bytes() - lost;
  holes(from, highest, [&](uint32_t left, uint32_t right) {
    for (uint32_t at = left; sequence_before(at, right);) {
      // The first hole goes out whatever the window says.
      if (in_flight + mss > window_ && at != pcb.lastack) return false;
      uint32_t end = right - at > mss ? at + mss : right;
      resend(at, end);
      pcb.rtime = 0;
      in_flight += end - at;
      resent_up_to_ = end;
      at = end;
    }
    return true;
  });
  // A repetition that was lost, too.
  Duration patience = (round_trip + round_trip / 2 + milliseconds(10)) * (1 << head_repetitions_);
  if (head_repetitions_ < kMostRepetitions && now - head_sent_ >= patience) {
    uint32_t end = sacked_.empty() ? pcb.snd_nxt : sacked_.front().left;
    end = end - pcb.lastack > mss ? pcb.lastack + mss : end;
    resend(pcb.lastack, end);
    head_sent_ = now;
    head_repetitions_++;
    pcb.rtime = 0;
  }
  // What the window has left is for new data: lwIP counts from the last acknowledgment.
  pcb.cwnd = pcb.snd_nxt - pcb.lastack + (window_ > in_flight ? window_ - in_flight : 0);
}

void Recovery::probe(tcp_pcb &pcb, const Resend &resend) {
  if (probed_ || recovering_ || pcb.flags & TF_RTO || !pcb.unacked) return;
  probed_ = true;
  probed_at_ = pcb.lastack;
  uint32_t flight = pcb.snd_nxt - pcb.lastack;
  resend(flight > pcb.mss ? pcb.snd_nxt - pcb.mss : pcb.lastack, pcb.snd_nxt);
  pcb.rtime = 0;
}

}  // namespace slipgate
