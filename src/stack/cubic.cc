#include "stack/cubic.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace slipgate {
namespace {

// RFC 9438 section 4.1.2, 4.6, 4.3.
constexpr double kC = 0.4;
constexpr double kBeta = 0.7;
constexpr double kRenoGrowth = 3 * (1 - kBeta) / (1 + kBeta);
constexpr double kLeastWindow = 2;

// RFC 9406 section 4.3.
constexpr Duration kMinRttThresh = milliseconds(4);
constexpr Duration kMaxRttThresh = milliseconds(16);
constexpr int kMinRttDivisor = 8;
constexpr uint32_t kRttSamples = 8;
constexpr int kCssGrowthDivisor = 4;
constexpr uint32_t kCssRounds = 5;
constexpr int kQueueGone = 4;  // what is left of a queue that counts, for it to be none

double in_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

void ProportionalRateReduction::begin(uint32_t outstanding) {
  delivered_ = out_ = 0;
  recover_flight_ = std::max(outstanding, 1u);
}

// RFC 6937 section 3.1, with the slow start reduction bound while repetitions make progress.
uint32_t ProportionalRateReduction::on_delivery(const Delivery &delivery, uint32_t threshold, uint32_t mss) {
  delivered_ += delivery.newly_delivered;
  uint64_t allowed = 0;
  if (delivery.in_flight > threshold) {
    uint64_t target = (delivered_ * threshold + recover_flight_ - 1) / recover_flight_;
    allowed = target > out_ ? target - out_ : 0;  // lesson: prr
  } else {
    uint64_t behind = delivered_ > out_ ? delivered_ - out_ : 0;
    uint64_t limit = std::max<uint64_t>(behind, delivery.newly_delivered);
    if (delivery.advanced && delivery.newly_lost == 0) limit += mss;
    allowed = std::min<uint64_t>(threshold - delivery.in_flight, limit);
  }
  // The first repetition leaves at once.
  if (out_ == 0) allowed = std::max<uint64_t>(allowed, mss);
  return static_cast<uint32_t>(std::min<uint64_t>(delivery.in_flight + allowed, UINT32_MAX));
}

void HyStart::reset() {
  *this = {};
}

// RFC 9406 section 4.2: RttThresh.
Duration HyStart::threshold() const {
  return std::clamp<Duration>(last_round_ / kMinRttDivisor, kMinRttThresh, kMaxRttThresh);
}

// A round ends when what had been sent at its start is acknowledged. False: slow start is over.
bool HyStart::end_round() {
  if (conservative_) {
    bool queue_stands = current_round_ >= last_round_ + threshold();
    return !queue_stands && ++conservative_rounds_ < kCssRounds;  // lesson: hystart-round
  }
  if (current_round_ > Duration{}) last_round_ = current_round_;
  return true;
}

bool HyStart::on_delivery(const Delivery &delivery) {
  if (!started_ || static_cast<int32_t>(delivery.acknowledged - round_end_) >= 0) {
    if (started_ && !end_round()) return false;
    started_ = true;
    round_end_ = delivery.window_end;
    current_round_ = {};
  }
  if (delivery.round_trip == Duration{}) return true;
  auto shorter = [&](Duration least) {
    return least == Duration{} ? delivery.round_trip : std::min(least, delivery.round_trip);
  };
  current_round_ = shorter(current_round_);
  run_ = shorter(run_);
  samples_ += delivery.acknowledgments;
  if (samples_ < kRttSamples) return true;
  if (last_round_ != Duration{}) {
    if (!conservative_ && run_ >= last_round_ + threshold()) {
      conservative_ = true;  // lesson: hystart
      conservative_rounds_ = 0;
      round_end_ = delivery.window_end;
      current_round_ = {};
    } else if (conservative_ && run_ < last_round_ + threshold() / kQueueGone) {
      conservative_ = false;  // what looked like a queue was none
    }
  }
  samples_ = 0;
  run_ = {};
  return true;
}

Cubic::Cubic(uint32_t mss, Duration round_trip)
    : mss_(mss), window_(kInitialSegments), threshold_(1e9), smoothed_(round_trip) {}

uint32_t Cubic::window() const {
  if (recovering_) return std::max(recovery_window_, mss_);
  return static_cast<uint32_t>(std::min(window_ * mss_, 1e9));
}

// Spread over the round trip with room to grow: bursts of half a window overflow queues that the window itself fits.
double Cubic::pacing_rate() const {
  if (smoothed_ == Duration{}) return 0;
  double gain = in_slow_start() && !hystart_.conservative() ? 2 : 1.25;
  return gain * std::max(window_ * mss_, static_cast<double>(recovering_ ? recovery_window_ : 0)) /
         in_seconds(smoothed_);
}

uint32_t Cubic::quantum() const {
  return std::max(static_cast<uint32_t>(std::min(pacing_rate() / 1000, 65536.0)), kInitialSegments * mss_);
}

void Cubic::on_sent(uint32_t size) {
  if (recovering_) reduction_.on_sent(size);
}

void Cubic::on_delivery(const Delivery &delivery) {
  smoothed_ = delivery.smoothed;
  if (recovering_) {
    recovery_window_ = reduction_.on_delivery(delivery, static_cast<uint32_t>(threshold_ * mss_), mss_);
    return;
  }
  if (delivery.newly_delivered > 0) grow(delivery);
}

void Cubic::grow(const Delivery &delivery) {
  double delivered = static_cast<double>(delivery.newly_delivered) / mss_;
  if (in_slow_start()) {
    const bool was_conservative = hystart_.conservative();
    if (threshold_ > 1e8 && !hystart_.on_delivery(delivery)) {
      threshold_ = window_;
    } else {
      // What made the queue is what was in flight: the window may be ahead of it, by what the peer's allowed.
      if (hystart_.conservative() && !was_conservative) {
        window_ = std::min(window_, std::max<double>(delivery.prior_in_flight / mss_, kInitialSegments));
      }
      // RFC 9438 section 5.8, RFC 7661: a window that is not used does not grow.
      bool used = delivery.window_limited || delivery.prior_in_flight * 2.0 >= window_ * mss_;
      if (!used) return;
      double growth = hystart_.conservative() ? delivered / kCssGrowthDivisor : delivered;
      window_ += growth;
      if (window_ < threshold_) return;
      window_ = std::max(threshold_, window_ - growth);
    }
  }
  // Congestion avoidance.
  if (!delivery.window_limited) {
    // The curve waits while the application does.
    if (epoch_) epoch_start_ += delivery.now - grown_at_;
    grown_at_ = delivery.now;
    return;
  }
  grown_at_ = delivery.now;
  if (!epoch_) {
    // RFC 9438 section 4.2: t is 0 now, at the window that there is.
    epoch_ = true;
    epoch_start_ = delivery.now;
    reno_ = window_;
    if (window_ >= most_) {
      inflection_ = 0;
      most_ = window_;
    } else {
      inflection_ = std::cbrt((most_ - window_) / kC);
    }
    if (prior_ == 0) prior_ = window_;
  }
  double t = in_seconds(delivery.now - epoch_start_);
  auto cubic = [&](double at) { return kC * std::pow(at - inflection_, 3) + most_; };
  // Section 4.3: what Reno would have by now, faster once it is where the last loss was.
  reno_ += (reno_ >= prior_ ? 1.0 : kRenoGrowth) * delivered / window_;
  if (cubic(t) < reno_) {
    window_ = std::max(window_, reno_);
    return;
  }
  // Sections 4.4 and 4.5.
  double target = std::clamp(cubic(t + in_seconds(delivery.smoothed)), window_, window_ * 1.5);
  window_ += (target - window_) / window_ * delivered;
}

// Section 4.6, and fast convergence of section 4.7.
void Cubic::reduce() {
  undo_ = {window_, threshold_, most_, prior_, reno_, inflection_, epoch_start_, epoch_};
  most_ = window_ < most_ ? window_ * (1 + kBeta) / 2 : window_;
  prior_ = window_;
  threshold_ = std::max(window_ * kBeta, kLeastWindow);
  epoch_ = false;
  hystart_.reset();
}

void Cubic::on_recovery(uint32_t outstanding, Time) {
  reduce();
  window_ = threshold_;
  recovering_ = true;
  reduction_.begin(outstanding);
  recovery_window_ = outstanding;
}

// RFC 3168 section 6.1.2: as a loss, but nothing is to be sent again.
void Cubic::on_marked(uint32_t, uint64_t, Time) {
  reduce();
  window_ = threshold_;
}

// After a time-out the window has grown by slow start, and goes on so.
void Cubic::on_recovered(uint32_t) {
  if (!std::exchange(recovering_, false)) return;  // lesson: cubic-slow-start-after-timeout
  window_ = std::max(threshold_, kLeastWindow);
}

// Section 4.8; RFC 5681 section 3.1: a segment, and the threshold once per flight.
void Cubic::on_timeout(uint32_t, bool again, Time) {
  recovering_ = false;
  if (!again) reduce();
  window_ = 1;
  epoch_ = false;
}

// Section 4.9.
void Cubic::on_spurious(Time) {
  recovering_ = false;
  if (undo_.window <= window_) return;
  window_ = undo_.window;
  threshold_ = undo_.threshold;
  most_ = undo_.most;
  prior_ = undo_.prior;
  reno_ = undo_.reno;
  inflection_ = undo_.inflection;
  epoch_start_ = undo_.epoch_start;
  epoch_ = undo_.epoch;
}

// RFC 5681 section 4.1: after an idle timeout the path is probed anew.
void Cubic::on_restart(Time now, Duration idle, Duration timeout) {
  if (idle > timeout) window_ = std::min<double>(window_, kInitialSegments);
  if (epoch_) epoch_start_ += now - grown_at_;
  grown_at_ = now;
}

}  // namespace slipgate
