// Round trips as measured, and the retransmission timeout that follows (RFC 6298).
#pragma once

#include <algorithm>

#include "base/time.h"

namespace slipgate {

class RoundTrip {
 public:
  // RFC 6298 section 2.4 says a second; as kernels do, less: acknowledgments are delayed by 40 ms at most these days.
  static constexpr Duration kLeastTimeout = milliseconds(200);
  static constexpr Duration kMostTimeout = seconds(60);     // section 2.5
  static constexpr Duration kFirstTimeout = seconds(1);     // section 2.1
  static constexpr Duration kMinimumWindow = seconds(300);  // how long a minimum counts

  // `longest`: for the timeout; `shortest`: of the packet sent last, for the minimum.
  void add(Duration longest, Duration shortest, Time now);

  bool measured() const { return smoothed_ > Duration{}; }
  Duration smoothed() const { return smoothed_; }
  Duration variation() const { return variation_; }
  Duration minimum() const { return minimum_; }
  Duration latest() const { return latest_; }
  // Section 2.3, without backoff.
  Duration timeout() const;

 private:
  Duration smoothed_{};
  Duration variation_{};
  Duration minimum_{};
  Duration latest_{};
  Time minimum_at_{};
};

}  // namespace slipgate
