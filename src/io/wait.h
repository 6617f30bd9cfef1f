// How a coroutine waits for something that happens elsewhere on its loop: one notification, one waiter, a deadline.
//
// Lives on one shard. The Event outlives the wait (it is a member or a local of what waits).
#pragma once

#include "base/time.h"
#include "base/timer_wheel.h"
#include "io/loop.h"

namespace slipgate {

enum class Woken { notified, timed_out, cancelled };

class Event final : TimerTarget {
 public:
  explicit Event(Loop &loop) : loop_(loop), timer_(*this) {}
  Event(const Event &) = delete;
  Event &operator=(const Event &) = delete;

  // Wakes the waiter, not from within this call but in a later handler; without one, the next wait() ends at once.
  void notify();
  // Until notify(), the deadline or the cancellation of the task (asio::cancellation_signal), whichever comes first.
  Task<Woken> wait(Time deadline = kNever);

 private:
  class Waiter;
  template <typename Handler>
  class HandlerWaiter;

  void finish(Woken woken);
  void on_timer(Timer &timer, Time now) override;

  Loop &loop_;
  Timer timer_;
  Waiter *waiter_ = nullptr;  // the loop's (Parked)
  bool notified_ = false;
};

}  // namespace slipgate
