// BBR, version 3 (draft-ietf-ccwg-bbr-06): a model of the path, its bandwidth and its shortest round trip, from
// delivery-rate samples; the pace follows the bandwidth, the window is about twice what the path holds, and loss
// bounds both where it exceeds 2 % of what was in flight.
//
// One thing is not the draft's: how much loss counts. Where round trips show a queue it is the draft's 2 % of what was
// in flight; where they show none, a path that loses packets by itself (radio) is likelier than congestion, and it is
// 10 %, what a policer costs at least. Less than that changes nothing: on such paths the draft's answer to every lossy
// round, a lower bound that follows the measured rate down, leaves a third of what version 1 gets. But where less than
// 80 % of what we believe in arrives, the pace is too fast for somebody's buffer, and it is 2 % again: the bandwidth of
// startup's bursts stays in the filter for two probes, some 5 s. For the same reason one lossy round does not end
// startup, which a burst too much for some buffer on the way brings about long before the bandwidth is found; two in a
// row do, and as ever three rounds without growth.
//
// A mark of congestion (ECN) comes from a queue, whatever round trips show: it bounds as loss beyond the threshold
// does.
//
// Names are the draft's; bandwidths are bytes per second, volumes bytes.
#pragma once

#include <array>

#include "stack/congestion.h"

namespace slipgate {

class Bbr final : public CongestionControl {
 public:
  Bbr(uint32_t mss, Duration round_trip, Time now, uint32_t seed);

  uint32_t window() const override { return cwnd_; }
  double pacing_rate() const override { return pacing_rate_; }
  uint32_t quantum() const override { return send_quantum_; }
  void on_lost(const Loss &loss) override;
  void on_delivery(const Delivery &delivery) override;
  void on_sent(uint32_t) override {}
  void on_recovery(uint32_t outstanding, Time now) override;
  void on_recovered(uint32_t in_flight) override;
  void on_marked(uint32_t in_flight, uint64_t delivered_total, Time now) override;
  void on_timeout(uint32_t in_flight, bool again, Time now) override;
  void on_spurious(Time now) override;
  void on_restart(Time now, Duration idle, Duration timeout) override;

  enum class State : uint8_t { startup, drain, probe_down, probe_cruise, probe_refill, probe_up, probe_rtt };
  State state() const { return state_; }
  double bandwidth() const { return bw_; }
  double max_bandwidth() const { return max_bw_; }
  Duration min_rtt() const { return min_rtt_; }
  uint32_t inflight_longterm() const { return inflight_longterm_; }

 private:
  static constexpr uint32_t kInfinity = UINT32_MAX;
  static constexpr double kInfiniteBandwidth = 1e18;
  // Section 5.5.2: which phase of a bandwidth probe acknowledgments belong to.
  enum class AckPhase : uint8_t { init, refilling, probe_starting, probe_feedback, probe_stopping };

  void update_model(const Delivery &rs);
  void update_round(const Delivery &rs);
  void start_round(uint64_t delivered) { next_round_delivered_ = delivered; }
  void update_max_bw(const Delivery &rs);
  void update_congestion_signals(const Delivery &rs);
  void update_ack_aggregation(const Delivery &rs);
  void check_full_bw_reached(const Delivery &rs);
  void check_startup_done(const Delivery &rs);
  void check_startup_high_loss(const Delivery &rs);
  void end_startup();
  void check_drain_done(const Delivery &rs);
  void update_probe_bw_cycle(const Delivery &rs);
  bool adapt_longterm_model(const Delivery &rs);
  void update_min_rtt(const Delivery &rs);
  void check_probe_rtt(const Delivery &rs);
  void handle_probe_rtt(const Delivery &rs);
  void check_probe_rtt_done(Time now, uint64_t delivered);

  void enter_startup();
  void enter_drain();
  void start_probe_down(Time now, uint64_t delivered);
  void start_probe_cruise();
  void start_probe_refill(uint64_t delivered);
  void start_probe_up(const Delivery &rs);
  void raise_inflight_longterm_slope();
  void probe_inflight_longterm_upward(const Delivery &rs);
  void handle_inflight_too_high(uint32_t sent_in_flight, bool app_limited, Time now, uint64_t delivered);
  bool is_time_to_probe(Time now, uint64_t delivered);
  bool is_time_to_go_down(const Delivery &rs);
  bool in_probe_bw() const { return state_ >= State::probe_down && state_ <= State::probe_up; }
  bool probing_bandwidth() const {
    return state_ == State::startup || state_ == State::probe_refill || state_ == State::probe_up;
  }
  void reset_congestion_signals();
  void reset_short_term_model();
  void reset_full_bw();
  void note_loss(uint64_t delivered, uint32_t size);
  bool queue_visible() const;
  double loss_threshold() const;
  void save_state_upon_loss();
  void save_cwnd();
  void bound_bw() { bw_ = max_bw_ < bw_shortterm_ ? max_bw_ : bw_shortterm_; }

  void set_pacing_rate(double gain);
  void set_send_quantum();
  void set_cwnd(const Delivery &rs);
  uint32_t bdp_multiple(double bandwidth, double gain) const;
  uint32_t quantization_budget(uint32_t cap) const;
  uint32_t inflight(double gain) const { return quantization_budget(bdp_multiple(max_bw_, gain)); }
  uint32_t inflight_with_headroom() const;
  uint32_t probe_rtt_cwnd() const;
  uint32_t target_inflight() const;
  uint32_t min_pipe_cwnd() const { return 4 * mss_; }
  uint32_t random(uint32_t below);

  const uint32_t mss_;
  uint32_t random_;
  State state_ = State::startup;
  AckPhase ack_phase_ = AckPhase::init;
  bool in_recovery_ = false;
  bool round_start_ = false;
  bool full_bw_reached_ = false;
  bool full_bw_now_ = false;
  uint8_t full_bw_count_ = 0;
  bool loss_round_start_ = false;
  bool loss_in_round_ = false;
  uint8_t loss_events_in_round_ = 0;
  uint8_t startup_lossy_rounds_ = 0;  // in a row
  bool marked_in_round_ = false;
  bool is_bw_probe_sample_ = false;
  bool prev_probe_too_high_ = false;
  bool prev_probe_precautionary_ = false;
  bool idle_restart_ = false;
  bool probe_rtt_expired_ = false;
  bool probe_rtt_round_done_ = false;
  bool rtt_initialized_ = false;
  State undo_state_ = State::drain;  // drain: none
  uint8_t bw_probe_up_rounds_ = 0;
  uint8_t extra_acked_slot_ = 0;
  double pacing_gain_ = 0, cwnd_gain_ = 0;
  double pacing_rate_ = 0;
  double max_bw_ = 0;
  std::array<double, 2> max_bw_filter_{};  // of the last cycle and this one
  double bw_ = 0;
  double bw_shortterm_ = kInfiniteBandwidth;
  double bw_latest_ = 0;
  double full_bw_ = 0;
  uint32_t cwnd_;
  uint32_t prior_cwnd_ = 0;
  uint32_t send_quantum_;
  uint32_t inflight_longterm_ = kInfinity;
  uint32_t inflight_shortterm_ = kInfinity;
  uint32_t inflight_latest_ = 0;
  uint32_t lost_in_round_ = 0;
  std::array<Duration, 2> round_rtt_{};  // the shortest of the last round and of this one, 0: none
  uint32_t probe_up_acked_per_inc_ = kInfinity;
  uint32_t bw_probe_up_acked_ = 0;
  uint32_t rounds_since_probe_up_ = 0;
  uint32_t round_count_ = 0;
  uint32_t whole_from_ = 0;  // the round from which deliveries are ProbeRTT's no more
  uint32_t drain_start_round_ = 0;
  uint32_t extra_acked_round_ = 0;
  uint64_t next_round_delivered_ = 0;
  uint64_t loss_round_delivered_ = 0;
  uint64_t extra_acked_delivered_ = 0;
  std::array<uint32_t, 2> extra_acked_filter_{};
  Time extra_acked_start_;
  Time cycle_stamp_{};
  Duration bw_probe_wait_{};
  Duration min_rtt_{};  // 0: infinite
  Time min_rtt_stamp_;
  Duration probe_rtt_min_delay_{};
  Time probe_rtt_min_stamp_;
  Time probe_rtt_done_stamp_{};
  Time now_{};
  double undo_bw_shortterm_ = kInfiniteBandwidth;
  uint32_t undo_inflight_shortterm_ = kInfinity;
  uint32_t undo_inflight_longterm_ = kInfinity;
};

}  // namespace slipgate
