// CUBIC (RFC 9438): the window grows by the time since the last loss, not by round trips; slow start ends before the
// queue is full (HyStart++, RFC 9406); in recovery what leaves is proportional to what arrives (PRR, RFC 6937).
#pragma once

#include "stack/congestion.h"

namespace slipgate {

// RFC 6937: the window during fast recovery.
class ProportionalRateReduction {
 public:
  void begin(uint32_t outstanding);  // RecoverFS
  // What may be in flight now.
  uint32_t on_delivery(const Delivery &delivery, uint32_t threshold, uint32_t mss);
  void on_sent(uint32_t size) { out_ += size; }

 private:
  uint64_t delivered_ = 0;
  uint64_t out_ = 0;
  uint32_t recover_flight_ = 1;
};

// RFC 9406: slow start watches the round trips of each round.
//
// What differs is for a sender that paces. A round then leaves at twice the rate at which the last one arrived, so a
// queue comes and goes within the round, and the round's shortest trip shows it only when twice as much is on its way:
// it is eight samples in a row that are compared, not a round. And when a whole conservative round has found the queue
// standing, slow start is over: RFC 9406's five such rounds are for a jitter that could be mistaken for a queue.
class HyStart {
 public:
  // False: slow start is over.
  bool on_delivery(const Delivery &delivery);
  bool conservative() const { return conservative_; }
  void reset();

 private:
  bool end_round();
  Duration threshold() const;

  Duration last_round_{};     // lastRoundMinRTT, 0: infinite
  Duration current_round_{};  // currentRoundMinRTT
  Duration run_{};            // the shortest of the run of samples, 0: none yet
  uint32_t samples_ = 0;      // of the run
  uint32_t round_end_ = 0;
  uint32_t conservative_rounds_ = 0;
  bool started_ = false;
  bool conservative_ = false;
};

class Cubic final : public CongestionControl {
 public:
  Cubic(uint32_t mss, Duration round_trip);

  uint32_t window() const override;
  double pacing_rate() const override;
  uint32_t quantum() const override;
  void on_lost(const Loss &) override {}
  void on_delivery(const Delivery &delivery) override;
  void on_sent(uint32_t size) override;
  void on_recovery(uint32_t outstanding, Time now) override;
  void on_recovered(uint32_t in_flight) override;
  void on_marked(uint32_t in_flight, uint64_t delivered_total, Time now) override;
  void on_timeout(uint32_t in_flight, bool again, Time now) override;
  void on_spurious(Time now) override;
  void on_restart(Time now, Duration idle, Duration timeout) override;

  bool in_slow_start() const { return window_ < threshold_; }
  double segments() const { return window_; }

 private:
  void reduce();
  void grow(const Delivery &delivery);

  const uint32_t mss_;
  bool recovering_ = false;
  bool epoch_ = false;  // a congestion avoidance stage has begun
  // In segments, as RFC 9438 counts.
  double window_;          // cwnd
  double threshold_;       // ssthresh
  double most_ = 0;        // W_max
  double prior_ = 0;       // cwnd_prior
  double reno_ = 0;        // W_est
  double inflection_ = 0;  // K, seconds
  Time epoch_start_{};
  Time grown_at_{};
  uint32_t recovery_window_ = 0;  // bytes
  Duration smoothed_{};
  ProportionalRateReduction reduction_;
  HyStart hystart_;
  struct {
    double window, threshold, most, prior, reno, inflection;
    Time epoch_start;
    bool epoch;
  } undo_{};
};

}  // namespace slipgate
