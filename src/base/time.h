// Time as the protocol engines see it: they are given `now`, they never ask for it.
#pragma once

#include <chrono>
#include <cstdint>

namespace slipgate {

// CLOCK_BOOTTIME: counts while the machine sleeps (sessions age then, too), and never jumps with the wall clock.
struct BootClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
  static time_point now() noexcept;
};

using Time = BootClock::time_point;
using Duration = BootClock::duration;

inline constexpr Time kNever = Time::max();

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

}  // namespace slipgate
