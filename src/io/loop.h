// One thread's loop: Asio's context, our poller for the many host sockets, our timer wheel, and the end of the turn.
//
// A turn is: wait, handle what is ready, fire timers, then run what asked for the end of the turn (send batches that
// gathered). Lives on one shard; only post() may be called from any thread.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/io_context.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "base/timer_wheel.h"

namespace slipgate {

class Poller;

template <typename T = void>
using Task = asio::awaitable<T, asio::io_context::executor_type>;

// Something that gathers work during a turn and does it at its end.
class TurnEnd {
 public:
  virtual void on_turn_end() = 0;

 protected:
  ~TurnEnd() = default;
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop &) = delete;
  Loop &operator=(const Loop &) = delete;

  // Turns until stop() is called.
  void run();
  void stop();

  asio::io_context &context() { return context_; }
  TimerWheel &timers() { return timers_; }
  Poller &poller() { return *poller_; }
  // The time of this turn.
  Time now() const { return timers_.now(); }

  // Runs `work` on this loop's thread, in a later turn. Any thread.
  void post(std::function<void()> work);
  // Calls part.on_turn_end() once, at the end of this turn; repeated calls in one turn count once. Parts run in the order of
  // `rank` (lower first): streams write (0), the stack acknowledges and sends (1), links transmit (2).
  void at_turn_end(TurnEnd &part, int rank);
  void forget(TurnEnd &part);  // before `part` is destroyed

 private:
  static constexpr int kRanks = 3;

  void turn_end();

  asio::io_context context_{1};
  TimerWheel timers_;
  std::unique_ptr<Poller> poller_;
  std::vector<TurnEnd *> waiting_[kRanks];
};

}  // namespace slipgate
