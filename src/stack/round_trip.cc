#include "stack/round_trip.h"

namespace slipgate {

void RoundTrip::add(Duration longest, Duration shortest, Time now) {
  // A clock that stands still during a turn must not look like "not measured".
  longest = std::max<Duration>(longest, microseconds(1));
  shortest = std::max<Duration>(shortest, microseconds(1));
  latest_ = shortest;
  if (minimum_ == Duration{} || shortest <= minimum_ || now - minimum_at_ > kMinimumWindow) {
    minimum_ = shortest;
    minimum_at_ = now;
  }
  if (smoothed_ == Duration{}) {  // RFC 6298 section 2.2
    smoothed_ = longest;
    variation_ = longest / 2;
    return;
  }
  Duration deviation = smoothed_ > longest ? smoothed_ - longest : longest - smoothed_;
  variation_ = (variation_ * 3 + deviation) / 4;
  smoothed_ = (smoothed_ * 7 + longest) / 8;
}

Duration RoundTrip::timeout() const {
  if (!measured()) return kFirstTimeout;
  return std::clamp(smoothed_ + std::max<Duration>(variation_ * 4, milliseconds(1)), kLeastTimeout, kMostTimeout);
}

}  // namespace slipgate
