// A hierarchical timing wheel (Varghese and Lauck 1987): arm, cancel and expire in constant time, whatever the number
// of timers. Only what is due is touched. It knows no clock: the owner says what time it is.
//
// Lives on one shard. A Timer cancels itself when it is destroyed; it must not outlive its wheel.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace slipgate {

class Timer;
class TimerWheel;

class TimerTarget {
 public:
  // `timer` is not armed any more, and may be armed again or destroyed here.
  virtual void on_timer(Timer &timer, Time now) = 0;

 protected:
  ~TimerTarget() = default;
};

class Timer {
 public:
  explicit Timer(TimerTarget &target) : target_(target) {}
  ~Timer() { cancel(); }
  Timer(const Timer &) = delete;
  Timer &operator=(const Timer &) = delete;

  bool armed() const { return previous_ != nullptr; }
  Time deadline() const { return deadline_; }  // kNever when not armed
  void cancel();

 private:
  friend class TimerWheel;
  TimerTarget &target_;
  TimerWheel *wheel_ = nullptr;
  Timer *next_ = nullptr;
  Timer **previous_ = nullptr;  // what points at us: a slot's head or the earlier timer's next_
  Time deadline_ = kNever;
};

class TimerWheel {
 public:
  // Deadlines are rounded up to this; a timer never fires early.
  static constexpr Duration kTick = milliseconds(1);

  explicit TimerWheel(Time now);
  ~TimerWheel();
  TimerWheel(const TimerWheel &) = delete;
  TimerWheel &operator=(const TimerWheel &) = delete;

  // The time of the last advance(): what everything that happens in this turn happens at.
  Time now() const { return now_; }
  // Arms, or moves when it is armed already. A deadline in the past fires at the next advance().
  void arm(Timer &timer, Time deadline);
  // Sets the time, and fires every timer that is due, in order of their ticks.
  void advance(Time now);
  // No timer is due before this; kNever when none is armed. May be earlier than the first deadline (never later): a far
  // one comes nearer in a few steps.
  Time next_deadline() const;
  size_t armed() const { return armed_; }

 private:
  friend class Timer;
  static constexpr int kLevels = 6;  // 64 slots each: 64^6 ms is two years
  static constexpr int kBits = 6;
  static constexpr int kSlots = 1 << kBits;

  void place(Timer &timer);
  void unlink(Timer &timer);
  uint64_t next_tick() const;
  static uint64_t tick_of(Time time);  // rounded up

  Time now_;
  uint64_t tick_;  // every slot before this one is empty
  size_t armed_ = 0;
  std::array<std::array<Timer *, kSlots>, kLevels> slots_{};
  std::array<uint64_t, kLevels> occupied_{};  // one bit per slot
};

}  // namespace slipgate
