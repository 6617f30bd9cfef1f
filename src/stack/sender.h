// What decides when a connection sends what: beside lwIP, which keeps the bytes, their order and the connection's
// state.
//
// Loss is found by time (RACK, RFC 8985 section 6): a packet is lost when one that left later arrived and a quarter of
// a round trip has passed since. A flight whose end goes unanswered is probed (TLP, section 7), and when nothing helps
// the retransmission timer sends everything again (RFC 6298). How much may be in flight, and how fast it leaves, is for
// the CongestionControl to say. Peers without SACK are counted by their duplicate acknowledgments (RFC 6582).
//
// A turn: acknowledged() for each segment that came, then update(), then next_resend() and room() until both are
// exhausted, then finished(). deadline() says when to come again without a segment, expired() what for.
//
// One per connection, made when the connection first sends. It knows no packets and asks no clock.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "stack/congestion.h"
#include "stack/round_trip.h"
#include "stack/scoreboard.h"
#include "wire/tcp_options.h"

namespace slipgate {

class Sender {
 public:
  // Timeouts in a row after which the connection has failed (RFC 9293 section 3.8.3: R2, at least 100 s).
  static constexpr int kMostTimeouts = 12;
  // Paths shorter than this are not paced: the wheel's tick is coarser than what there is to spread.
  static constexpr Duration kUnpaced = milliseconds(2);

  // `begin`: the first sequence number that it will send.
  Sender(Congestion kind, uint32_t mss, bool sack, const RoundTrip &round_trip, uint32_t begin, Time now);

  // --- what came ---
  // A segment that acknowledges up to `acknowledgment`, of which the connection has accepted everything up to
  // `accepted`. `duplicate`: it said nothing else (RFC 5681 section 2).
  void acknowledged(uint32_t accepted, uint32_t acknowledgment, std::span<const SackBlock> reported, bool duplicate,
                    Time now);
  // After all of the turn's.
  void update(Time now);
  // The peer says that something arrived marked (RFC 3168 section 6.1.2). True: the window is smaller for it, which
  // happens once a round trip; the peer is to be told.
  bool congestion_echoed(Time now);
  // The peer answers, and its window is closed: it may be for as long as it likes (RFC 9293 section 3.8.6.1).
  void window_closed() {
    closed_ = true;
    unanswered_ = 0;
  }
  // It is open. What was lost meanwhile is sent again soon, not when the backed-off timer would have it.
  void window_open() {
    if (std::exchange(closed_, false)) timeouts_ = 0;
  }

  // --- what leaves ---
  struct Range {
    uint32_t from, to;
  };
  // The next packet to send again, when the window and the pace allow it; it counts as sent.
  std::optional<Range> next_resend(Time now);
  // How many bytes of new data may leave.
  uint32_t room(Time now);
  void sent(uint32_t from, uint32_t to, Time now);
  // Nothing more leaves now. `waiting`: there was more to send; `blocked`: only the peer's window kept it.
  void finished(bool waiting, bool blocked);

  // --- time ---
  enum class Due : uint8_t { nothing, probe, timeout };
  Time deadline() const;
  Due expired(Time now);
  // The probe: the last packet once more. For a probe by new data: sent(), then probed(false).
  Range last_packet(Time now);
  void probed(bool repetition, Time now);
  // False: it was the last.
  bool timed_out(Time now);

  bool idle() const { return board_.empty(); }
  uint32_t outstanding() const { return board_.outstanding(); }
  uint32_t in_flight() const;
  uint32_t window() const { return congestion_->window(); }
  const RoundTrip &round_trip() const { return round_trip_; }
  const CongestionControl &congestion() const { return *congestion_; }
  bool recovering() const { return state_ != State::open; }
  uint64_t delivered() const { return delivered_; }
  uint64_t resent() const { return resent_; }
  void release_memory() { board_.release_memory(); }

 private:
  enum class State : uint8_t { open, recovery, loss };

  void delivered_run(const SentRun &run, Time now);
  void found_lost(size_t at);
  void detect_losses(Time now);
  Duration reordering_window() const;
  void enter_recovery(Time now);
  void leave_recovery();
  void duplicates_seen(uint32_t bytes, Time now);
  void undo(uint32_t bytes, Time now);
  void check_probe(bool duplicate);
  Duration timeout() const;
  Time timeout_at() const;
  Time probe_at() const;
  bool may_probe() const;
  bool paced() const;
  void stamp(SentRun &run, Time now) const;
  void spend(uint32_t size, Time now);

  Scoreboard board_;
  RoundTrip round_trip_;
  std::unique_ptr<CongestionControl> congestion_;
  const uint32_t mss_;
  uint32_t acknowledged_;  // the cumulative acknowledgment
  uint32_t end_;           // behind the last byte sent
  State state_ = State::open;
  const bool sack_;
  bool reordering_seen_ = false;
  bool reports_duplicates_ = false;  // RFC 2883
  bool window_limited_ = false;
  bool pace_limited_ = false;
  bool probing_ = false;  // a probe is under way
  bool probe_is_repetition_ = false;
  bool first_resend_ = false;  // of a recovery: leaves whatever the window says
  bool undo_possible_ = false;
  bool changed_ = false;  // something for update()
  bool advanced_ = false;
  bool duplicate_seen_ = false;   // this turn reported a duplicate (RFC 2883)
  bool closed_ = false;           // the peer's window, with something in flight
  uint8_t timeouts_ = 0;          // in a row: the timer's backoff
  uint8_t unanswered_ = 0;        // of these, since the peer last said anything that counts
  uint8_t reordering_steps_ = 1;  // RFC 8985 section 6.2, RACK.reo_wnd_mult
  uint8_t reordering_persist_ = 0;
  uint32_t recover_ = 0;  // recovery ends when everything up to here is acknowledged (RFC 6675 RecoveryPoint)
  uint32_t probe_end_ = 0;
  uint32_t duplicate_round_ = 0;  // a further duplicate counts only behind this
  uint32_t highest_delivered_ = 0;
  uint32_t duplicates_ = 0;     // without SACK: duplicate acknowledgments in a row
  uint32_t resent_undone_ = 0;  // repeated in this recovery, less what turned out to be duplicates
  uint32_t next_lost_ = 0;      // runs before this one need no repetition
  // RACK's latest: of all packets delivered, the one that was sent last.
  Time rack_sent_{};
  uint32_t rack_end_ = 0;
  Duration rack_round_trip_{};
  bool rack_valid_ = false;
  Time reordering_at_ = kNever;  // when a packet will have been late for long enough
  Time timeout_base_{};
  Time probe_base_{};
  Time last_sent_{};
  Time next_send_{};      // pacing
  Time granted_at_{};     // what one turn may send is decided once
  uint32_t granted_ = 0;  // of that, not sent yet
  // Delivery rate (draft-ietf-ccwg-bbr section 4.1).
  uint64_t delivered_ = 0;
  uint64_t lost_ = 0;
  uint64_t resent_ = 0;
  uint64_t marked_until_ = 0;       // delivered_ at which another mark counts
  uint64_t app_limited_until_ = 0;  // 0: not
  Time delivered_at_{};
  Time first_sent_{};
  // Of the turn.
  uint32_t prior_in_flight_ = 0;
  uint32_t newly_delivered_ = 0;
  uint32_t newly_lost_ = 0;
  uint32_t acknowledgments_ = 0;
  Duration longest_{};
  Duration shortest_{};
  SentRun sample_{};
  bool sampled_ = false;
};

}  // namespace slipgate
