// How fast bytes may pass: an allowance that fills at a rate, for who can hold back (streams, sockets that need not be
// read yet) and for packets that nobody can.
//
// Who can hold back asks grant() before it moves anything and waits its turn when there is nothing left; those that
// wait are woken in order, each with its share. What cannot be held back passes while anything is left, and is dropped
// after. Neither starves the other: who waits gets at least half.
//
// Lives on one shard.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/timer_wheel.h"

namespace slipgate {

class Pace;

// Something that waits for its turn to move bytes, at one pace at a time.
class PaceWaiter {
 public:
  // Ask again. Also told when the limit, or the Pace, is no more.
  virtual void on_pace() = 0;

 protected:
  PaceWaiter() = default;
  ~PaceWaiter();
  PaceWaiter(const PaceWaiter &) = delete;
  PaceWaiter &operator=(const PaceWaiter &) = delete;

 private:
  friend class Pace;
  Pace *pace_ = nullptr;  // at which it waits
  PaceWaiter *next_ = nullptr;
  PaceWaiter *previous_ = nullptr;
  size_t granted_ = 0;  // when it was woken, until it asks
};

class Pace final : private TimerTarget {
 public:
  static constexpr uint64_t kNoLimit = 0;

  explicit Pace(TimerWheel &timers) : timers_(timers), timer_(*this), filled_(timers.now()) {}
  ~Pace();
  Pace(const Pace &) = delete;
  Pace &operator=(const Pace &) = delete;

  // Bytes a second; applies at once.
  void set_rate(uint64_t rate);
  uint64_t rate() const { return rate_; }

  // How many bytes `who` may move now, which it then charges; more than that by a packet does no harm. 0: it waits, and
  // is told by on_pace().
  size_t grant(PaceWaiter &who);
  void charge(size_t bytes);
  // Whether a packet that cannot wait may pass; it is charged if so.
  bool admit(size_t bytes);

 private:
  friend class PaceWaiter;
  static constexpr int kWokenAtOnce = 16;

  void on_timer(Timer &timer, Time now) override;
  void fill();
  void enqueue(PaceWaiter &who);
  void remove(PaceWaiter &who);
  void wake(PaceWaiter &who, size_t granted);
  Duration time_for(double bytes) const;
  // What may pass at once after a pause: a tenth of a second's worth, but no less than a few packets.
  double depth() const;
  // What is worth waking somebody for: a two-hundredth of a second's worth.
  double quantum() const;

  TimerWheel &timers_;
  Timer timer_;  // armed while somebody waits
  uint64_t rate_ = kNoLimit;
  double left_ = 0;  // below zero: passed already, and to be made up for
  Time filled_;
  Time woken_{};  // when somebody was last
  PaceWaiter *first_ = nullptr, *last_ = nullptr;
  size_t waiting_ = 0;
};

}  // namespace slipgate
