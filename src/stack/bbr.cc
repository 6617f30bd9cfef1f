#include "stack/bbr.h"

#include <algorithm>

namespace slipgate {
namespace {

// Section 2.6 and what the sections name.
constexpr double kStartupPacingGain = 2.77;
constexpr double kDrainPacingGain = 0.5;
constexpr double kDefaultCwndGain = 2.0;
constexpr double kProbeDownPacingGain = 0.90;
constexpr double kProbeUpPacingGain = 1.25;
constexpr double kProbeUpCwndGain = 2.25;
constexpr double kProbeRTTCwndGain = 0.5;
constexpr double kPacingMargin = 0.99;  // PacingMarginPercent
constexpr double kLossThresh = 0.02;
constexpr double kLossThreshWithoutQueue = 0.1;  // bbr.h says why
constexpr double kDelivered = 0.8;               // of the pace; bbr.h says why
constexpr double kBeta = 0.7;
constexpr uint32_t kDrainRounds = 3;
constexpr double kHeadroom = 0.15;
constexpr int kStartupFullLossCnt = 6;
constexpr uint8_t kStartupLossyRounds = 2;
constexpr uint32_t kExtraAckedRounds = 5;  // two slots of five rounds: ExtraAckedFilterLen is 10
constexpr Duration kMinRTTFilterLen = seconds(10);
constexpr Duration kProbeRTTInterval = seconds(5);
constexpr Duration kProbeRTTDuration = milliseconds(200);

double in_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

uint32_t bounded(double value) {
  return value < 1e9 ? static_cast<uint32_t>(value) : 1'000'000'000;
}

}  // namespace

Bbr::Bbr(uint32_t mss, Duration round_trip, Time now, uint32_t seed)
    : mss_(mss),
      random_(seed | 1),
      cwnd_(kInitialSegments * mss),
      send_quantum_(2 * mss),
      extra_acked_start_(now),
      min_rtt_(round_trip),
      min_rtt_stamp_(now),
      probe_rtt_min_delay_(round_trip),
      probe_rtt_min_stamp_(now),
      now_(now) {
  // Section 5.6.2, InitPacingRate.
  rtt_initialized_ = round_trip > Duration{};
  double nominal = cwnd_ / in_seconds(rtt_initialized_ ? round_trip : milliseconds(1));
  enter_startup();
  pacing_rate_ = kStartupPacingGain * nominal;
  set_send_quantum();
}

uint32_t Bbr::random(uint32_t below) {
  random_ = random_ * 1664525 + 1013904223;
  return (random_ >> 8) % below;
}

// Section 5.2.3: on every acknowledgment.
void Bbr::on_delivery(const Delivery &rs) {
  now_ = rs.now;
  if (rs.round_trip > Duration{} && (round_rtt_[1] == Duration{} || rs.round_trip < round_rtt_[1])) {
    round_rtt_[1] = rs.round_trip;
  }
  if (!rtt_initialized_ && rs.smoothed > Duration{}) {
    rtt_initialized_ = true;
    pacing_rate_ = kStartupPacingGain * CongestionControl::kInitialSegments * mss_ / in_seconds(rs.smoothed);
  }
  update_model(rs);
  bound_bw();
  set_pacing_rate(pacing_gain_);
  set_send_quantum();
  set_cwnd(rs);
}

void Bbr::update_model(const Delivery &rs) {
  // UpdateLatestDeliverySignals
  loss_round_start_ = false;
  if (rs.sampled > 0) {
    bw_latest_ = std::max(bw_latest_, rs.rate);
    inflight_latest_ = std::max(inflight_latest_, rs.sampled);
    if (rs.prior_delivered >= loss_round_delivered_) {
      loss_round_delivered_ = rs.delivered_total;
      loss_round_start_ = true;
    }
  }
  update_congestion_signals(rs);
  update_ack_aggregation(rs);
  check_full_bw_reached(rs);
  check_startup_done(rs);
  check_drain_done(rs);
  update_probe_bw_cycle(rs);
  update_min_rtt(rs);
  check_probe_rtt(rs);
  // AdvanceLatestDeliverySignals
  if (loss_round_start_) {
    bw_latest_ = rs.rate;
    inflight_latest_ = rs.sampled;
  }
}

// Section 5.5.1.
void Bbr::update_round(const Delivery &rs) {
  round_start_ = rs.sampled > 0 && rs.prior_delivered >= next_round_delivered_;
  if (!round_start_) return;
  start_round(rs.delivered_total);
  round_count_++;
  rounds_since_probe_up_++;
  round_rtt_[0] = round_rtt_[1];
  round_rtt_[1] = {};
}

// Section 5.5.5.
void Bbr::update_max_bw(const Delivery &rs) {
  update_round(rs);
  if (rs.rate > 0 && (rs.rate >= max_bw_ || !rs.application_limited)) {
    max_bw_filter_[1] = std::max(max_bw_filter_[1], rs.rate);
    max_bw_ = std::max(max_bw_filter_[0], max_bw_filter_[1]);
  }
}

// Section 5.5.10.3.
void Bbr::update_congestion_signals(const Delivery &rs) {
  update_max_bw(rs);
  if (!loss_round_start_) return;
  // A round that was sent, in part, with the small window of ProbeRTT delivers less for no other reason.
  bool whole = state_ != State::probe_rtt && round_count_ >= whole_from_;
  bool behind = whole && bw_latest_ < kDelivered * bw_ && !rs.application_limited;  // lesson: bbr-behind-its-pace
  double threshold = behind ? kLossThresh : loss_threshold();
  bool high = lost_in_round_ > threshold * (static_cast<double>(inflight_latest_) + lost_in_round_);
  // What startup sent faster than it could arrive is lost until a few rounds into what follows, and says nothing new.
  bool of_startup = round_count_ <= drain_start_round_ + kDrainRounds;
  if (((high && !of_startup) || marked_in_round_) && !probing_bandwidth()) {
    if (bw_shortterm_ == kInfiniteBandwidth) bw_shortterm_ = max_bw_;
    if (inflight_shortterm_ == kInfinity) inflight_shortterm_ = cwnd_;
    bw_shortterm_ = std::max(bw_latest_, kBeta * bw_shortterm_);
    inflight_shortterm_ = std::max(inflight_latest_, bounded(kBeta * inflight_shortterm_));
  }
  loss_in_round_ = marked_in_round_ = false;
  lost_in_round_ = 0;
}

bool Bbr::queue_visible() const {
  Duration shortest = std::max(round_rtt_[0], round_rtt_[1]);
  return shortest > min_rtt_ + min_rtt_ / 16 + milliseconds(1);
}

double Bbr::loss_threshold() const {
  return queue_visible() ? kLossThresh : kLossThreshWithoutQueue;  // lesson: bbr-loss-without-queue
}

// Section 5.5.9.
void Bbr::update_ack_aggregation(const Delivery &rs) {
  double expected = bw_ * in_seconds(rs.now - extra_acked_start_);
  if (static_cast<double>(extra_acked_delivered_) <= expected) {
    extra_acked_delivered_ = 0;
    extra_acked_start_ = rs.now;
    expected = 0;
  }
  extra_acked_delivered_ += rs.newly_delivered;
  double extra = std::min<double>(static_cast<double>(extra_acked_delivered_) - expected, cwnd_);
  uint32_t rounds = full_bw_reached_ ? kExtraAckedRounds : 1;
  if (round_start_ && round_count_ - extra_acked_round_ >= rounds) {
    extra_acked_round_ = round_count_;
    extra_acked_slot_ ^= 1;
    extra_acked_filter_[extra_acked_slot_] = 0;
  }
  uint32_t &slot = extra_acked_filter_[extra_acked_slot_];
  slot = std::max(slot, static_cast<uint32_t>(extra > 0 ? extra : 0));
}

// --- startup and drain (section 5.3.1, 5.3.2) ---

void Bbr::enter_startup() {
  state_ = State::startup;
  pacing_gain_ = kStartupPacingGain;
  cwnd_gain_ = kDefaultCwndGain;
}

void Bbr::reset_full_bw() {
  full_bw_ = 0;
  full_bw_count_ = 0;
  full_bw_now_ = false;
}

// Section 5.3.1.2.
void Bbr::check_full_bw_reached(const Delivery &rs) {
  if (full_bw_now_ || !round_start_ || rs.application_limited || rs.rate == 0) return;
  if (rs.rate >= full_bw_ * 1.25) {
    reset_full_bw();
    full_bw_ = rs.rate;
    return;
  }
  full_bw_count_++;
  full_bw_now_ = full_bw_count_ >= 3;
  if (full_bw_now_) full_bw_reached_ = true;
}

void Bbr::check_startup_done(const Delivery &rs) {
  check_startup_high_loss(rs);
  if (state_ == State::startup && full_bw_reached_) enter_drain();
}

// Section 5.3.1.3; two rounds of it, not one: bbr.h says why.
void Bbr::check_startup_high_loss(const Delivery &rs) {
  if (full_bw_reached_ || state_ != State::startup || !loss_round_start_) return;
  bool high = in_recovery_ && loss_events_in_round_ >= kStartupFullLossCnt &&
              static_cast<double>(rs.lost_since) > rs.sent_in_flight * loss_threshold();
  loss_events_in_round_ = 0;
  startup_lossy_rounds_ = high ? static_cast<uint8_t>(startup_lossy_rounds_ + 1) : uint8_t{0};
  if (startup_lossy_rounds_ < kStartupLossyRounds) return;  // lesson: bbr-startup-burst
  undo_state_ = State::startup;
  end_startup();
}

void Bbr::end_startup() {
  full_bw_reached_ = true;
  inflight_longterm_ = std::max(bdp_multiple(max_bw_, 1), inflight_latest_);
}

void Bbr::enter_drain() {
  state_ = State::drain;
  pacing_gain_ = kDrainPacingGain;
  cwnd_gain_ = kDefaultCwndGain;
  drain_start_round_ = round_count_;
}

void Bbr::check_drain_done(const Delivery &rs) {
  if (state_ != State::drain) return;
  if (rs.in_flight <= inflight(1) || round_count_ > drain_start_round_ + kDrainRounds) {
    cwnd_gain_ = kDefaultCwndGain;
    start_probe_down(rs.now, rs.delivered_total);
  }
}

// --- probing for bandwidth (section 5.3.3) ---

void Bbr::reset_congestion_signals() {
  lost_in_round_ = 0;
  loss_in_round_ = false;
  bw_latest_ = 0;
  inflight_latest_ = 0;
}

void Bbr::reset_short_term_model() {
  bw_shortterm_ = kInfiniteBandwidth;
  inflight_shortterm_ = kInfinity;
}

void Bbr::start_probe_down(Time now, uint64_t delivered) {
  reset_congestion_signals();
  probe_up_acked_per_inc_ = kInfinity;
  // PickProbeWait
  rounds_since_probe_up_ = random(2);
  bw_probe_wait_ = seconds(2) + milliseconds(random(1001));
  cycle_stamp_ = now;
  ack_phase_ = AckPhase::probe_stopping;
  start_round(delivered);
  state_ = State::probe_down;
  pacing_gain_ = kProbeDownPacingGain;
  cwnd_gain_ = kDefaultCwndGain;
}

void Bbr::start_probe_cruise() {
  state_ = State::probe_cruise;
  pacing_gain_ = 1;
  cwnd_gain_ = kDefaultCwndGain;
}

void Bbr::start_probe_refill(uint64_t delivered) {
  reset_short_term_model();
  bw_probe_up_rounds_ = 0;
  bw_probe_up_acked_ = 0;
  prev_probe_precautionary_ = false;
  ack_phase_ = AckPhase::refilling;
  start_round(delivered);
  state_ = State::probe_refill;
  pacing_gain_ = 1;
  cwnd_gain_ = kDefaultCwndGain;
}

void Bbr::start_probe_up(const Delivery &rs) {
  ack_phase_ = AckPhase::probe_starting;
  start_round(rs.delivered_total);
  reset_full_bw();
  full_bw_ = rs.rate;
  state_ = State::probe_up;
  pacing_gain_ = kProbeUpPacingGain;
  cwnd_gain_ = kProbeUpCwndGain;
  raise_inflight_longterm_slope();
}

void Bbr::raise_inflight_longterm_slope() {
  uint32_t growth = 1u << bw_probe_up_rounds_;
  bw_probe_up_rounds_ = std::min<uint8_t>(static_cast<uint8_t>(bw_probe_up_rounds_ + 1), 30);
  probe_up_acked_per_inc_ = std::max(cwnd_ / growth, mss_);
}

void Bbr::probe_inflight_longterm_upward(const Delivery &rs) {
  if (!rs.window_limited || cwnd_ < inflight_longterm_) return;
  bw_probe_up_acked_ += rs.newly_delivered;
  if (bw_probe_up_acked_ >= probe_up_acked_per_inc_) {
    uint32_t delta = bw_probe_up_acked_ / probe_up_acked_per_inc_;
    bw_probe_up_acked_ -= delta * probe_up_acked_per_inc_;
    inflight_longterm_ = bounded(static_cast<double>(inflight_longterm_) + static_cast<double>(delta) * mss_);
  }
  if (round_start_) raise_inflight_longterm_slope();
}

uint32_t Bbr::target_inflight() const {
  return std::min(bdp_multiple(bw_, 1), cwnd_);
}

bool Bbr::is_time_to_probe(Time now, uint64_t delivered) {
  // Section 5.3.3.8: like Reno would, on paths where Reno does well.
  uint32_t rounds = std::min(target_inflight() / mss_, 63u);
  if (now <= cycle_stamp_ + bw_probe_wait_ && rounds_since_probe_up_ < rounds) return false;
  start_probe_refill(delivered);
  return true;
}

bool Bbr::is_time_to_go_down(const Delivery &rs) {
  if (prev_probe_too_high_ && rs.in_flight >= inflight_longterm_) {
    prev_probe_precautionary_ = true;
    return true;
  }
  if (rs.window_limited && cwnd_ >= inflight_longterm_) {
    reset_full_bw();
    full_bw_ = rs.rate;
    return false;
  }
  return full_bw_now_;
}

void Bbr::update_probe_bw_cycle(const Delivery &rs) {
  if (!full_bw_reached_) return;
  if (adapt_longterm_model(rs)) return;
  switch (state_) {
    case State::probe_down:
      if (is_time_to_probe(rs.now, rs.delivered_total)) return;
      if (rs.in_flight <= inflight_with_headroom() && rs.in_flight <= inflight(1)) start_probe_cruise();
      return;
    case State::probe_cruise:
      is_time_to_probe(rs.now, rs.delivered_total);
      return;
    case State::probe_refill:
      if (round_start_) {
        is_bw_probe_sample_ = true;
        start_probe_up(rs);
      }
      return;
    case State::probe_up:
      if (is_time_to_go_down(rs)) {
        prev_probe_too_high_ = false;
        start_probe_down(rs.now, rs.delivered_total);
      }
      return;
    default:
      return;
  }
}

bool Bbr::adapt_longterm_model(const Delivery &rs) {
  if (ack_phase_ == AckPhase::probe_starting && round_start_) ack_phase_ = AckPhase::probe_feedback;
  if (ack_phase_ == AckPhase::probe_stopping && round_start_) {
    is_bw_probe_sample_ = false;
    ack_phase_ = AckPhase::init;
    if (in_probe_bw() && !rs.application_limited) {
      // AdvanceMaxBwFilter
      max_bw_filter_[0] = max_bw_filter_[1];
      max_bw_filter_[1] = 0;
    }
    if (in_probe_bw() && prev_probe_precautionary_ && !prev_probe_too_high_) {
      start_probe_refill(rs.delivered_total);
      return true;
    }
  }
  bool too_high = static_cast<double>(rs.lost_since) > rs.sent_in_flight * loss_threshold();
  if (rs.sampled == 0 || too_high || inflight_longterm_ == kInfinity) return false;
  inflight_longterm_ = std::max(inflight_longterm_, rs.sent_in_flight);
  if (state_ == State::probe_up) probe_inflight_longterm_upward(rs);
  return false;
}

// --- loss (section 5.5.10) ---

void Bbr::note_loss(uint64_t delivered, uint32_t size) {
  lost_in_round_ += size;
  if (!loss_in_round_) {
    loss_round_delivered_ = delivered;
    save_state_upon_loss();
  }
  loss_in_round_ = true;
}

void Bbr::on_lost(const Loss &loss) {
  note_loss(loss.delivered_total, loss.size);
  if (loss_events_in_round_ < UINT8_MAX) loss_events_in_round_++;
  if (!is_bw_probe_sample_) return;
  double threshold = loss_threshold();
  if (static_cast<double>(loss.lost_since) <= loss.sent_in_flight * threshold) return;
  // InflightAtLoss: how much of it went well.
  double before = static_cast<double>(loss.sent_in_flight) - loss.size;
  double lost_before = static_cast<double>(loss.lost_since) - loss.size;
  double prefix = std::max(threshold * before - lost_before, 0.0) / (1 - threshold);
  handle_inflight_too_high(bounded(std::max(before + prefix, 0.0)), loss.application_limited, now_,
                           loss.delivered_total);
}

void Bbr::on_marked(uint32_t in_flight, uint64_t delivered_total, Time now) {
  marked_in_round_ = true;
  if (state_ == State::startup) {
    end_startup();
  } else if (is_bw_probe_sample_) {
    handle_inflight_too_high(in_flight, false, now, delivered_total);
  }
}

void Bbr::handle_inflight_too_high(uint32_t sent_in_flight, bool app_limited, Time now, uint64_t delivered) {
  prev_probe_too_high_ = true;
  is_bw_probe_sample_ = false;
  if (!app_limited) inflight_longterm_ = std::max(sent_in_flight, bounded(target_inflight() * kBeta));
  if (state_ == State::probe_up) {
    undo_state_ = State::probe_up;
    start_probe_down(now, delivered);
  }
}

// Section 5.5.11.1.
void Bbr::save_state_upon_loss() {
  save_cwnd();
  undo_state_ = State::drain;
  undo_bw_shortterm_ = bw_shortterm_;
  undo_inflight_shortterm_ = inflight_shortterm_;
  undo_inflight_longterm_ = inflight_longterm_;
}

void Bbr::save_cwnd() {
  if (!in_recovery_ && state_ != State::probe_rtt) {
    prior_cwnd_ = cwnd_;
  } else {
    prior_cwnd_ = std::max(prior_cwnd_, cwnd_);
  }
}

// Section 5.6.4.4.
void Bbr::on_recovery(uint32_t, Time) {
  save_cwnd();
  in_recovery_ = true;
}

void Bbr::on_recovered(uint32_t) {
  in_recovery_ = false;
  cwnd_ = std::max(cwnd_, prior_cwnd_);
}

void Bbr::on_timeout(uint32_t in_flight, bool, Time now) {
  now_ = now;
  save_cwnd();
  in_recovery_ = true;
  cwnd_ = in_flight + mss_;
}

// Section 5.5.11.2.
void Bbr::on_spurious(Time now) {
  in_recovery_ = false;
  cwnd_ = std::max(cwnd_, prior_cwnd_);
  loss_in_round_ = false;
  reset_full_bw();
  bw_shortterm_ = std::max(bw_shortterm_, undo_bw_shortterm_);
  inflight_shortterm_ = std::max(inflight_shortterm_, undo_inflight_shortterm_);
  inflight_longterm_ = std::max(inflight_longterm_, undo_inflight_longterm_);
  if (undo_state_ == State::startup && state_ != State::startup) {
    full_bw_reached_ = false;
    if (state_ != State::probe_rtt) enter_startup();
  } else if (undo_state_ == State::probe_up && state_ != State::probe_up && state_ != State::probe_rtt) {
    start_probe_refill(next_round_delivered_);
  }
  undo_state_ = State::drain;
  now_ = now;
}

// --- the shortest round trip (section 5.3.4) ---

void Bbr::update_min_rtt(const Delivery &rs) {
  probe_rtt_expired_ = rs.now > probe_rtt_min_stamp_ + kProbeRTTInterval;
  if (rs.round_trip > Duration{} &&
      (probe_rtt_min_delay_ == Duration{} || rs.round_trip < probe_rtt_min_delay_ || probe_rtt_expired_)) {
    probe_rtt_min_delay_ = rs.round_trip;
    probe_rtt_min_stamp_ = rs.now;
  }
  bool expired = rs.now > min_rtt_stamp_ + kMinRTTFilterLen;
  if (probe_rtt_min_delay_ > Duration{} && (min_rtt_ == Duration{} || probe_rtt_min_delay_ < min_rtt_ || expired)) {
    min_rtt_ = probe_rtt_min_delay_;
    min_rtt_stamp_ = probe_rtt_min_stamp_;
  }
}

uint32_t Bbr::probe_rtt_cwnd() const {
  return std::max(bdp_multiple(bw_, kProbeRTTCwndGain), min_pipe_cwnd());
}

void Bbr::check_probe_rtt(const Delivery &rs) {
  if (state_ != State::probe_rtt && probe_rtt_expired_ && !idle_restart_) {
    save_cwnd();
    state_ = State::probe_rtt;
    pacing_gain_ = 1;
    cwnd_gain_ = kProbeRTTCwndGain;
    probe_rtt_done_stamp_ = {};
    ack_phase_ = AckPhase::probe_stopping;
    start_round(rs.delivered_total);
  }
  if (state_ == State::probe_rtt) handle_probe_rtt(rs);
  if (rs.newly_delivered > 0) idle_restart_ = false;
}

void Bbr::handle_probe_rtt(const Delivery &rs) {
  if (probe_rtt_done_stamp_ == Time{}) {
    if (rs.in_flight > probe_rtt_cwnd()) return;
    probe_rtt_done_stamp_ = rs.now + kProbeRTTDuration;
    probe_rtt_round_done_ = false;
    start_round(rs.delivered_total);
    return;
  }
  if (round_start_) probe_rtt_round_done_ = true;
  if (probe_rtt_round_done_) check_probe_rtt_done(rs.now, rs.delivered_total);
}

void Bbr::check_probe_rtt_done(Time now, uint64_t delivered) {
  if (probe_rtt_done_stamp_ == Time{} || now <= probe_rtt_done_stamp_) return;
  probe_rtt_min_stamp_ = now;
  whole_from_ = round_count_ + 3;
  cwnd_ = std::max(cwnd_, prior_cwnd_);
  reset_short_term_model();
  if (full_bw_reached_) {
    start_probe_down(now, delivered);
    start_probe_cruise();
  } else {
    enter_startup();
  }
}

// Section 5.4.1.
void Bbr::on_restart(Time now, Duration, Duration) {
  now_ = now;
  if (round_count_ == 0) return;
  idle_restart_ = true;
  extra_acked_start_ = now;
  if (in_probe_bw()) {
    set_pacing_rate(1);
  } else if (state_ == State::probe_rtt) {
    check_probe_rtt_done(now, next_round_delivered_);
  }
}

// --- what follows from the model (section 5.6) ---

void Bbr::set_pacing_rate(double gain) {
  double rate = gain * bw_ * kPacingMargin;
  if (rate > 0 && (full_bw_reached_ || rate > pacing_rate_)) pacing_rate_ = rate;
}

// Section 5.6.3.
void Bbr::set_send_quantum() {
  send_quantum_ = std::max(bounded(std::min(pacing_rate_ / 1000, 65536.0)), 2 * mss_);
}

uint32_t Bbr::bdp_multiple(double bandwidth, double gain) const {
  if (min_rtt_ == Duration{} || bandwidth == 0) return kInitialSegments * mss_;
  return bounded(gain * bandwidth * in_seconds(min_rtt_));
}

uint32_t Bbr::quantization_budget(uint32_t cap) const {
  cap = std::max({cap, 3 * send_quantum_, min_pipe_cwnd()});  // section 5.5.8: offload_budget
  if (state_ == State::probe_up) cap += 2 * mss_;
  return cap;
}

uint32_t Bbr::inflight_with_headroom() const {
  if (inflight_longterm_ == kInfinity) return kInfinity;
  uint32_t headroom = std::max(mss_, bounded(kHeadroom * inflight_longterm_));
  return std::max(inflight_longterm_ > headroom ? inflight_longterm_ - headroom : 0, min_pipe_cwnd());
}

// Sections 5.6.4.6 and 5.6.4.7.
void Bbr::set_cwnd(const Delivery &rs) {
  uint32_t extra = std::max(extra_acked_filter_[0], extra_acked_filter_[1]);
  uint32_t most = quantization_budget(bounded(static_cast<double>(bdp_multiple(bw_, cwnd_gain_)) + extra));
  if (full_bw_reached_) {
    cwnd_ = std::min(bounded(static_cast<double>(cwnd_) + rs.newly_delivered), most);
  } else if (cwnd_ < most || rs.delivered_total < kInitialSegments * mss_) {
    cwnd_ = bounded(static_cast<double>(cwnd_) + rs.newly_delivered);
  }
  cwnd_ = std::max(cwnd_, min_pipe_cwnd());
  if (state_ == State::probe_rtt) cwnd_ = std::min(cwnd_, probe_rtt_cwnd());
  uint32_t cap = kInfinity;
  if (in_probe_bw() && state_ != State::probe_cruise) {
    cap = inflight_longterm_;
  } else if (state_ == State::probe_rtt || state_ == State::probe_cruise) {
    cap = inflight_with_headroom();
  }
  cap = std::max(std::min(cap, inflight_shortterm_), min_pipe_cwnd());
  cwnd_ = std::min(cwnd_, cap);
}

}  // namespace slipgate
