// The sender's loss recovery, which lwIP lacks: a scoreboard of what the client says it holds (SACK, RFC 2018), holes
// sent again (RFC 6675) once they are older than reordering explains (RFC 8985 section 6.2), a probe when the tail of a
// flight goes unanswered (RFC 8985 section 7). lwIP keeps its queues, its window growth between losses, and its
// retransmission timer as the last resort.
//
// One per connection, made when the client first reports a hole or stops answering.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/time.h"
#include "stack/lwip.h"
#include "wire/tcp_options.h"

namespace slipgate {

class Recovery {
 public:
  // Ranges that the client holds; a client that reports more, one by one, has its older reports forgotten.
  static constexpr size_t kMostRanges = 128;
  // Repetitions of one hole without an answer, each after twice the time, before lwIP's timer is left to act.
  static constexpr int kMostRepetitions = 4;

  // Sends the bytes [from, to) of the stream again.
  using Resend = std::function<void(uint32_t from, uint32_t to)>;

  // Before lwIP sees a segment: what it reports. Only for a PCB that agreed on SACK.
  void before_input(tcp_pcb &pcb, std::span<const SackBlock> reported, Time now);
  // When lwIP has seen it, and at each tick: sends what is missing, as the congestion window allows, and lets out new
  // data.
  void act(tcp_pcb &pcb, Time now, Duration round_trip, const Resend &resend);
  // Nothing was acknowledged for two round trips: asks with the last segment. Once per flight.
  void probe(tcp_pcb &pcb, const Resend &resend);

  // Nothing left to do: may be destroyed.
  bool idle() const { return sacked_.empty() && !recovering_ && !probed_; }

 private:
  struct Range {
    uint32_t left, right;
    Time since;  // first reported: what lies before it is late for as long
  };
  void add(Range range);
  void forget_before(uint32_t sequence);
  uint32_t sacked_bytes() const;

  std::vector<Range> sacked_;  // in order, apart from each other
  bool recovering_ = false;
  bool probed_ = false;
  uint32_t probed_at_ = 0;     // lastack when the probe was sent
  uint32_t recover_ = 0;       // recovery ends when everything up to here is acknowledged (RFC 6675 RecoveryPoint)
  uint32_t resent_up_to_ = 0;  // holes below this were sent again
  uint32_t window_ = 0;        // the congestion window during recovery
  uint32_t head_ = 0;          // the first hole, and when it was last sent
  Time head_sent_{};
  int head_repetitions_ = 0;
};

}  // namespace slipgate
