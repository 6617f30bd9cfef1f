// One thread's loop: our poller for the sockets, our timer wheel, Asio's context for the coroutines, and the end of the
// turn.
//
// A turn is: wait in the poller, fire timers, hand out what is ready, resume coroutines, then run what asked for the
// end of the turn (send batches that gathered). Asio never waits here: nothing in the program is one of its I/O
// objects, so that a turn costs one system call. Lives on one shard; only post() and stop() may be called from any
// thread.
#pragma once

#include <asio/awaitable.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/timer_wheel.h"
#include "io/fd.h"
#include "io/poller.h"

namespace slipgate {

class Loop;

template <typename T = void>
using Task = asio::awaitable<T, asio::io_context::executor_type>;

// Something that gathers work during a turn and does it at its end.
class TurnEnd {
 public:
  virtual void on_turn_end() = 0;

 protected:
  ~TurnEnd() = default;

 private:
  friend class Loop;
  uint8_t waiting_ = 0;  // one bit per rank that it waits in: asking again costs nothing
};

// One large buffer per loop, for what is read and handed on at once: an idle socket needs no buffer of its own. Who
// leaves bytes in it is its keeper, and is asked to move them away when somebody else needs the room.
class ScratchKeeper {
 public:
  virtual void on_scratch_wanted() = 0;

 protected:
  ~ScratchKeeper() = default;
};

class Scratch {
 public:
  static constexpr size_t kStreamBytes = 65536;         // for streams
  static constexpr size_t kDatagramBytes = 16 * 65536;  // for batches of datagrams; used within one call, never kept

  // The streams' part, emptied of what anybody else left there. `keeper` null: nothing will be left.
  uint8_t *stream(ScratchKeeper *keeper);
  void forget(ScratchKeeper *keeper);  // nothing of it is left there any more
  uint8_t *datagrams();

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  ScratchKeeper *keeper_ = nullptr;
};

// Something that waits on the loop and owns a suspended coroutine: an Event's waiter, a relay. The loop knows all of
// them, so that they do not outlive it.
class Parked {
 public:
  explicit Parked(Loop &loop);
  virtual ~Parked();
  Parked(const Parked &) = delete;
  Parked &operator=(const Parked &) = delete;

 private:
  friend class Loop;
  Parked *next_;
  Parked **previous_;  // what points at us
};

class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop &) = delete;
  Loop &operator=(const Loop &) = delete;

  // Turns until stop() is called.
  void run();
  void stop();  // any thread
  // One turn; waits for something to happen, but not beyond `longest`. For tests, and for who has a loop of its own.
  void turn(Duration longest);
  // Destroys every coroutine that waits for an Event or a relay, with its streams. After run(), before the parts that
  // they use (the stack) go.
  void abandon();

  asio::io_context &context() { return context_; }
  TimerWheel &timers() { return timers_; }
  Poller &poller() { return poller_; }
  Scratch &scratch() { return scratch_; }
  // The time of this turn.
  Time now() const { return timers_.now(); }

  // Runs `work` on this loop's thread, in a later turn. Any thread.
  void post(std::function<void()> work);
  // Calls part.on_turn_end() once, at the end of this turn; repeated calls in one turn count once. Parts run in the
  // order of `rank` (lower first): streams write (0), the stack acknowledges and sends (1), links transmit (2).
  void at_turn_end(TurnEnd &part, int rank);
  void forget(TurnEnd &part);  // before `part` is destroyed

 private:
  friend class Parked;
  static constexpr int kRanks = 3;
  static constexpr int kHandlersPerTurn = 64;  // coroutines resumed; the rest in the next turn, which does not wait

  // Its event says that post() or stop() was called; the counter is never read (each write is an edge).
  struct Waker final : Pollable {
    void on_events(uint32_t) override {}
    Fd descriptor;
  };

  void wake();
  void run_posted();
  bool run_handlers();
  void turn_end();

  asio::io_context context_{ASIO_CONCURRENCY_HINT_UNSAFE};
  asio::executor_work_guard<asio::io_context::executor_type> work_;  // having nothing to do is no reason to stop
  TimerWheel timers_;
  Scratch scratch_;
  Poller poller_;
  Waker waker_;

  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;
  bool asleep_ = false;  // what is posted now must wake us
  std::atomic<bool> stopped_ = false;

  std::vector<TurnEnd *> waiting_[kRanks];
  std::vector<TurnEnd *> running_;  // of the rank that runs now
  Parked *parked_ = nullptr;
};

}  // namespace slipgate
