// Gives the heap's free pages back after a crowd of flows has gone: the C library keeps what small blocks once needed,
// and a gateway that served ten thousand connections in the morning would hold their memory all day.
//
// Lives on one shard.
#pragma once

#include <cstddef>

#include "base/timer_wheel.h"
#include "flow/flow_table.h"

namespace slipgate {

class HeapTrim final : TimerTarget {
 public:
  // So many flows must have gone since the last time: a call walks the whole heap (milliseconds).
  static constexpr size_t kWorthwhile = 1000;
  static constexpr Duration kLook = seconds(2);

  HeapTrim(TimerWheel &timers, const FlowTable &flows) : timers_(timers), flows_(flows) {
    timers_.arm(timer_, timers_.now() + kLook);
  }

 private:
  void on_timer(Timer &timer, Time now) override;

  TimerWheel &timers_;
  const FlowTable &flows_;
  size_t most_ = 0;  // flows at one time since the last call
  Timer timer_{*this};
};

}  // namespace slipgate
