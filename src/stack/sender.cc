#include "stack/sender.h"

#include <algorithm>

namespace slipgate {
namespace {

constexpr uint32_t kDuplicateThreshold = 3;                     // RFC 5681, RFC 6675 DupThresh
constexpr Duration kWorstAcknowledgeDelay = milliseconds(200);  // RFC 8985 section 7.2
constexpr Duration kLeastProbe = milliseconds(10);
constexpr uint8_t kMostReorderingSteps = 20;
constexpr uint8_t kReorderingPersists = 16;  // recoveries (RFC 8985 section 6.2 step 4)
constexpr double kMostAtOnce = 4 << 20;

// Time that pacing may have lost and makes good: the wheel's tick, and a turn that was late.
constexpr Duration kPaceSlack = milliseconds(2);

}  // namespace

Sender::Sender(Congestion kind, uint32_t mss, bool sack, const RoundTrip &round_trip, uint32_t begin, Time now)
    : board_(mss),
      round_trip_(round_trip),
      congestion_(make_congestion_control(kind, mss, round_trip.smoothed(), now, begin)),
      mss_(mss),
      acknowledged_(begin),
      end_(begin),
      sack_(sack),
      duplicate_round_(begin),
      highest_delivered_(begin),
      last_sent_(now),
      next_send_(now),
      delivered_at_(now),
      first_sent_(now) {}

// --- what came ---

uint32_t Sender::in_flight() const {
  uint32_t known = board_.in_flight();
  // Each duplicate says that one packet left the network (RFC 6582 section 3.2 step 3).
  return known - std::min(known, sack_ ? 0 : duplicates_ * mss_);
}

void Sender::acknowledged(uint32_t accepted, uint32_t acknowledgment, std::span<const SackBlock> reported,
                          bool duplicate, Time now) {
  if (!changed_) {
    changed_ = true;
    prior_in_flight_ = in_flight();
    newly_delivered_ = newly_lost_ = acknowledgments_ = 0;
    longest_ = shortest_ = {};
    sampled_ = advanced_ = duplicate_seen_ = false;
  }
  acknowledgments_++;
  if (!sack_) reported = {};  // not agreed on
  auto visit = [&](const SentRun &run) { delivered_run(run, now); };
  if (sequence_before(acknowledged_, accepted)) {
    board_.acknowledge(accepted, visit);
    acknowledged_ = accepted;
    advanced_ = true;
    timeouts_ = unanswered_ = 0;
    timeout_base_ = probe_base_ = now;
    next_lost_ = 0;
    if (!sack_) duplicates_ = 0;
  }
  for (const SackBlock &block : reported) {
    if (!sequence_before(block.left, block.right)) continue;
    if (!sequence_before(acknowledgment, block.right)) {
      // RFC 2883 section 4.1: the peer got it twice.
      if (&block != &reported.front()) continue;
      duplicate_seen_ = reports_duplicates_ = true;
      // The answer to a probe says nothing about reordering.
      if (probing_ && probe_is_repetition_ && block.right == probe_end_) continue;
      duplicates_seen(block.right - block.left, now);
      continue;
    }
    // What was never sent, or ends the hole at whose left edge the acknowledgment stands, is not believed.
    if (!sequence_before(accepted, block.left) || sequence_before(end_, block.right))
      continue;  // lesson: tcp-sack-lies
    uint32_t before = newly_delivered_;
    board_.sack(block.left, block.right, visit);
    if (newly_delivered_ != before) next_lost_ = 0;
  }
  if (!sack_ && duplicate && !board_.empty() && accepted == acknowledged_ && duplicates_ < board_.in_flight() / mss_) {
    duplicates_++;
    newly_delivered_ += mss_;
  }
  check_probe(duplicate && reported.empty());
}

void Sender::delivered_run(const SentRun &run, Time now) {
  uint32_t size = run.size();
  newly_delivered_ += size;
  delivered_ += size;
  delivered_at_ = now;
  if (!run.resent) {
    Duration round_trip = std::max<Duration>(now - run.sent, nanoseconds(1));
    longest_ = std::max(longest_, round_trip);
    shortest_ = shortest_ == Duration{} ? round_trip : std::min(shortest_, round_trip);
    // RFC 8985 section 6.2 step 3: delivered behind something that was sent later.
    if (sequence_before(run.end, highest_delivered_)) reordering_seen_ = true;
  }
  if (sequence_before(highest_delivered_, run.end)) highest_delivered_ = run.end;
  // Step 2: the packet that was sent last. A repetition that is answered sooner than anything ever was: it was the
  // original's answer.
  bool ambiguous = run.resent && now - run.sent < round_trip_.minimum();
  // So it was late, not lost. Peers that report duplicates say the same later, and are believed instead.
  if (ambiguous && !reports_duplicates_) {
    reordering_seen_ = true;
    undo(run.size(), now);
  }
  if (!ambiguous &&
      (!rack_valid_ || rack_sent_ < run.sent || (rack_sent_ == run.sent && sequence_before(rack_end_, run.end)))) {
    rack_valid_ = true;
    rack_sent_ = run.sent;
    rack_end_ = run.end;
    rack_round_trip_ = now - run.sent;
  }
  // draft-ietf-ccwg-bbr section 4.1.2.3: the packet that was sent last makes the sample.
  if (!sampled_ || run.delivered > sample_.delivered ||
      (run.delivered == sample_.delivered && run.sent > sample_.sent)) {
    sampled_ = true;
    sample_ = run;
    first_sent_ = run.sent;
  }
}

// A duplicate at the peer: a repetition was not needed.
void Sender::duplicates_seen(uint32_t bytes, Time now) {
  // RFC 8985 section 6.2 step 4: more patience, one step a round trip.
  if (!sequence_before(acknowledged_, duplicate_round_)) {
    reordering_steps_ = std::min<uint8_t>(static_cast<uint8_t>(reordering_steps_ + 1), kMostReorderingSteps);
    reordering_persist_ = kReorderingPersists;
    reordering_seen_ = true;
    duplicate_round_ = end_;
  }
  undo(bytes, now);
}

// So many of the bytes that were sent again need not have been.
void Sender::undo(uint32_t bytes, Time now) {
  if (!undo_possible_ || resent_undone_ == 0) return;
  resent_undone_ -= std::min(resent_undone_, bytes);
  if (resent_undone_ == 0) {
    undo_possible_ = false;
    congestion_->on_spurious(now);  // lesson: undo
    if (state_ != State::open) state_ = State::open;
  }
}

// RFC 8985 section 7.4: did the probe repair a loss that nobody saw?
void Sender::check_probe(bool duplicate) {
  if (!probing_ || sequence_before(acknowledged_, probe_end_)) return;
  if (!probe_is_repetition_ || duplicate_seen_ || duplicate) {
    probing_ = false;
  } else if (sequence_before(probe_end_, acknowledged_) || board_.empty()) {
    // Without a report of the duplicate by now: it was needed.
    bool answered_alone = acknowledged_ == probe_end_;
    if (answered_alone) return;  // the duplicate's report may be on its way
    probing_ = false;
    if (state_ == State::open) {
      congestion_->on_recovery(prior_in_flight_, delivered_at_);
      congestion_->on_recovered(in_flight());
    }
  }
}

void Sender::found_lost(size_t at) {
  board_.mark_lost(at);
  const SentRun &run = board_[at];
  newly_lost_ += run.size();
  lost_ += run.size();
  next_lost_ = std::min<uint32_t>(next_lost_, static_cast<uint32_t>(at));
  Loss loss;
  loss.size = run.size();
  loss.sent_in_flight = run.in_flight;
  loss.lost_since = lost_ - run.lost_before;
  loss.delivered_total = delivered_;
  loss.application_limited = run.app_limited;
  congestion_->on_lost(loss);
}

// RFC 8985 section 6.2 step 4.
Duration Sender::reordering_window() const {
  if (!reordering_seen_ && (state_ != State::open || board_.sacked_bytes() >= kDuplicateThreshold * mss_)) return {};
  return std::min(round_trip_.minimum() / 4 * reordering_steps_, round_trip_.smoothed());
}

// Step 5.
void Sender::detect_losses(Time now) {
  reordering_at_ = kNever;
  if (!sack_) {
    if (board_.empty()) return;
    // RFC 6582 section 3.2: the third duplicate, and every partial acknowledgment in recovery, point at the first
    // packet.
    bool third = state_ == State::open && duplicates_ >= kDuplicateThreshold;
    bool partial = state_ == State::recovery && advanced_ && sequence_before(acknowledged_, recover_);
    if ((third || partial) && !board_.front().lost && !(board_.front().resent && !advanced_)) {
      if (board_.front().size() > mss_) board_.split(0, mss_);
      found_lost(0);
    }
    return;
  }
  if (!rack_valid_ || (board_.sacked_bytes() == 0 && state_ == State::open)) return;
  Duration patience = rack_round_trip_ + reordering_window();
  for (size_t at = 0; at < board_.size(); at++) {
    const SentRun &run = board_[at];
    if (run.sacked || run.lost) continue;
    bool earlier = run.sent < rack_sent_ ||
                   (run.sent == rack_sent_ && sequence_before(run.end, rack_end_));  // lesson: rack-resends
    if (!earlier) continue;
    Time late = run.sent + patience;
    if (late <= now) {  // lesson: sack-recovery
      found_lost(at);
    } else {
      reordering_at_ = std::min(reordering_at_, late);
    }
  }
}

void Sender::enter_recovery(Time now) {
  state_ = State::recovery;
  recover_ = end_;
  first_resend_ = true;
  undo_possible_ = true;
  resent_undone_ = 0;
  probing_ = false;
  congestion_->on_recovery(in_flight() + newly_lost_, now);
}

void Sender::leave_recovery() {
  state_ = State::open;
  if (!sack_) duplicates_ = 0;
  if (reordering_persist_ > 0 && --reordering_persist_ == 0) reordering_steps_ = 1;
  congestion_->on_recovered(in_flight());
}

void Sender::update(Time now) {
  bool late = reordering_at_ <= now;
  if (!changed_ && !late) return;
  if (!changed_) {
    prior_in_flight_ = in_flight();
    newly_delivered_ = newly_lost_ = acknowledgments_ = 0;
    longest_ = shortest_ = {};
    sampled_ = advanced_ = false;
  }
  changed_ = false;
  if (shortest_ > Duration{}) round_trip_.add(longest_, shortest_, now);
  detect_losses(now);
  if (newly_lost_ > 0 && state_ == State::open) enter_recovery(now);
  bool over = state_ != State::open && !sequence_before(acknowledged_, recover_);

  Delivery delivery;
  delivery.now = now;
  delivery.newly_delivered = newly_delivered_;
  delivery.newly_lost = newly_lost_;
  delivery.prior_in_flight = prior_in_flight_;
  delivery.in_flight = in_flight();
  delivery.acknowledgments = acknowledgments_;
  delivery.round_trip = shortest_;
  delivery.smoothed = round_trip_.smoothed();
  delivery.minimum = round_trip_.minimum();
  delivery.delivered_total = delivered_;
  delivery.window_limited = window_limited_;
  delivery.advanced = advanced_;
  delivery.window_end = end_;
  delivery.acknowledged = acknowledged_;
  if (app_limited_until_ != 0 && delivered_ > app_limited_until_) app_limited_until_ = 0;
  if (sampled_) {
    delivery.prior_delivered = sample_.delivered;
    delivery.sampled = static_cast<uint32_t>(std::min<uint64_t>(delivered_ - sample_.delivered, UINT32_MAX));
    delivery.sent_in_flight = sample_.in_flight;
    delivery.lost_since = lost_ - sample_.lost_before;
    delivery.application_limited = sample_.app_limited;
    // Whichever took longer, sending or being acknowledged; shorter than any round trip, it would be a burst's.
    Duration interval = std::max(sample_.sent - sample_.first_sent, now - sample_.delivered_at);
    if (interval >= round_trip_.minimum() && interval > Duration{}) {
      delivery.rate = static_cast<double>(delivery.sampled) / std::chrono::duration<double>(interval).count();
    }
  }
  if (over) leave_recovery();
  congestion_->on_delivery(delivery);
  if (board_.empty()) {
    reordering_at_ = kNever;
    timeouts_ = unanswered_ = 0;
  }
}

bool Sender::congestion_echoed(Time now) {
  if (board_.empty() || delivered_ < marked_until_) return false;
  marked_until_ = delivered_ + board_.outstanding();
  // In recovery the window has been reduced already.
  if (state_ == State::open) congestion_->on_marked(in_flight(), delivered_, now);
  return true;
}

// --- what leaves ---

void Sender::stamp(SentRun &run, Time now) const {
  run.sent = now;
  run.first_sent = first_sent_;
  run.delivered_at = delivered_at_;
  run.delivered = delivered_;
  run.lost_before = lost_;
  run.app_limited = app_limited_until_ != 0;
}

bool Sender::paced() const {
  return congestion_->pacing_rate() > 0 && round_trip_.smoothed() >= kUnpaced;
}

uint32_t Sender::room(Time now) {
  pace_limited_ = false;
  uint32_t window = congestion_->window(), flying = in_flight();
  if (flying >= window) return 0;
  uint32_t room = window - flying;
  if (!paced()) return room;
  if (granted_at_ != now) {
    next_send_ = std::max(next_send_, now - kPaceSlack);
    if (next_send_ > now) {
      pace_limited_ = true;
      return 0;
    }
    double credit = std::chrono::duration<double>(now - next_send_).count() * congestion_->pacing_rate();
    granted_at_ = now;
    granted_ = static_cast<uint32_t>(std::min<double>(credit, kMostAtOnce)) + congestion_->quantum();
  }
  if (granted_ < room) {
    pace_limited_ = true;
    return granted_;
  }
  return room;
}

void Sender::spend(uint32_t size, Time now) {
  last_sent_ = now;
  granted_ -= std::min(granted_, size);
  if (!paced()) return;
  next_send_ += nanoseconds(static_cast<int64_t>(static_cast<double>(size) * 1e9 / congestion_->pacing_rate()));
}

void Sender::sent(uint32_t from, uint32_t to, Time now) {
  uint32_t size = to - from;
  if (board_.empty()) {
    // draft-ietf-ccwg-bbr section 4.1.2.2: a flight begins.
    first_sent_ = delivered_at_ = now;
    timeout_base_ = now;
    timeouts_ = unanswered_ = 0;
    congestion_->on_restart(now, now - last_sent_, timeout());
  }
  probe_base_ = now;
  end_ = to;
  congestion_->on_sent(size);
  spend(size, now);
  if (!board_.empty()) {
    // Of one turn: one run.
    SentRun &last = board_.back();
    const bool plain = last.end == from && !last.sacked && !last.lost && !last.resent;
    const bool alike = last.sent == now && last.delivered == delivered_ && last.size() % mss_ == 0;
    if (plain && (alike || board_.size() >= Scoreboard::kMostRuns)) {
      last.end = to;
      last.in_flight = in_flight();
      return;
    }
  }
  SentRun run{};
  run.begin = from;
  run.end = to;
  stamp(run, now);
  board_.append(run);
  board_.back().in_flight = in_flight();
}

std::optional<Sender::Range> Sender::next_resend(Time now) {
  if (board_.lost_bytes() == 0) return std::nullopt;
  uint32_t allowed = room(now);
  if (allowed < mss_ && !(first_resend_ && !pace_limited_)) return std::nullopt;
  for (size_t at = next_lost_; at < board_.size(); at++) {
    if (!board_[at].lost) continue;
    next_lost_ = static_cast<uint32_t>(at);
    if (board_[at].size() > mss_ && !board_.split(at, mss_)) return std::nullopt;
    first_resend_ = false;
    SentRun &run = board_[at];
    board_.mark_resent(at);
    stamp(run, now);
    run.in_flight = in_flight();
    if (undo_possible_) resent_undone_ += run.size();
    resent_ += run.size();
    congestion_->on_sent(run.size());
    spend(run.size(), now);
    // RFC 6298 section 5: the timer runs from the repetition of the first hole.
    if (run.begin == acknowledged_) timeout_base_ = now;
    return Range{run.begin, run.end};
  }
  return std::nullopt;
}

void Sender::finished(bool waiting, bool blocked) {
  uint32_t flying = in_flight(), window = congestion_->window();
  bool more = (waiting && !blocked) || board_.lost_bytes() > 0;
  if (more && !pace_limited_) {
    window_limited_ = true;
  } else if (!more) {
    window_limited_ = flying + mss_ > window;
  }
  // draft-ietf-ccwg-bbr section 4.1.2.4.
  if (!waiting && board_.lost_bytes() == 0 && flying < window) {
    app_limited_until_ = std::max<uint64_t>(delivered_ + flying, 1);
  }
  if (!more) pace_limited_ = false;
}

// --- time ---

Duration Sender::timeout() const {
  return std::min<Duration>(round_trip_.timeout() * (int64_t{1} << std::min<int>(timeouts_, 12)),
                            RoundTrip::kMostTimeout);
}

Time Sender::timeout_at() const {
  return timeout_base_ + timeout();
}

// RFC 8985 section 7.2.
Time Sender::probe_at() const {
  Duration wait = seconds(1);
  if (round_trip_.measured()) {
    wait = round_trip_.smoothed() * 2;
    wait += board_.outstanding() <= mss_ ? kWorstAcknowledgeDelay : kLeastProbe;
  }
  return std::min(probe_base_ + wait, timeout_at());
}

bool Sender::may_probe() const {
  return sack_ && !probing_ && state_ == State::open && timeouts_ == 0 &&
         board_.sacked_bytes() == 0 &&  // lesson: tail-probe
         board_.lost_bytes() == 0;
}

Time Sender::deadline() const {
  Time due = pace_limited_ ? next_send_ : kNever;
  if (board_.empty()) return due;
  due = std::min(due, reordering_at_);
  return std::min(due, may_probe() ? probe_at() : timeout_at());
}

Sender::Due Sender::expired(Time now) {
  if (board_.empty()) return Due::nothing;
  if (may_probe()) return probe_at() <= now ? Due::probe : Due::nothing;
  return timeout_at() <= now ? Due::timeout : Due::nothing;
}

Sender::Range Sender::last_packet(Time now) {
  size_t last = board_.size() - 1;
  uint32_t size = board_.back().size();
  if (size > mss_ && board_.split(last, (size - 1) / mss_ * mss_)) last++;
  SentRun &run = board_[last];
  board_.mark_resent(last);
  stamp(run, now);
  resent_ += run.size();
  return {run.end - std::min(run.size(), mss_), run.end};
}

void Sender::probed(bool repetition, Time now) {
  probing_ = true;
  probe_is_repetition_ = repetition;
  probe_end_ = end_;
  timeout_base_ = now;
}

// RFC 6298 section 5.4 to 5.6, RFC 8985 section 6.3.
bool Sender::timed_out(Time now) {
  if (++unanswered_ > kMostTimeouts) return false;
  if (timeouts_ < kMostTimeouts) timeouts_++;
  timeout_base_ = now;
  probing_ = false;
  next_lost_ = 0;
  bool again = state_ == State::loss;
  // RFC 2018 section 8: what the peer reported it may have thrown away since.
  if (board_.front().sacked || timeouts_ > 2) board_.forget_sacked();
  if (!again) {
    undo_possible_ = true;
    resent_undone_ = 0;
  }
  for (size_t at = 0; at < board_.size(); at++) {
    if (!board_[at].sacked && !board_[at].lost) found_lost(at);
  }
  newly_lost_ = 0;
  duplicates_ = 0;
  state_ = State::loss;
  recover_ = end_;
  first_resend_ = true;
  reordering_at_ = kNever;
  next_send_ = now;
  granted_at_ = {};
  congestion_->on_timeout(in_flight(), again, now);
  return true;
}

}  // namespace slipgate
