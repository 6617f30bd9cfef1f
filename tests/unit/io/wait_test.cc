#include "io/wait.h"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>

#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

TEST_CASE("wait: a notification wakes the waiter, also one that came before") {
  Loop loop;
  Event event(loop);
  std::optional<Woken> woken;
  test::spawn(loop, event.wait(), &woken);
  test::run_ready(loop);
  CHECK(!woken);
  event.notify();
  test::run_ready(loop);
  CHECK(woken == Woken::notified);

  woken.reset();
  event.notify();
  event.notify();
  test::spawn(loop, event.wait(), &woken);
  test::run_ready(loop);
  CHECK(woken == Woken::notified);

  // Both were one.
  woken.reset();
  test::spawn(loop, event.wait(loop.now() + milliseconds(5)), &woken);
  REQUIRE(test::run_until(loop, [&] { return woken.has_value(); }));
  CHECK(woken == Woken::timed_out);
}

TEST_CASE("wait: a cancelled task wakes at once, and a second cancellation finds nothing") {
  Loop loop;
  Event event(loop);
  std::optional<Woken> woken;
  asio::cancellation_signal signal;
  asio::co_spawn(loop.context(), test::keep_result(event.wait(loop.now() + hours(1)), &woken),
                 asio::bind_cancellation_slot(signal.slot(), asio::detached));
  test::run_ready(loop);
  CHECK(!woken);
  signal.emit(asio::cancellation_type::terminal);
  signal.emit(asio::cancellation_type::terminal);
  test::run_ready(loop);
  CHECK(woken == Woken::cancelled);
  signal.emit(asio::cancellation_type::terminal);
  CHECK(loop.timers().armed() == 0);
}

TEST_CASE("wait: a coroutine that nobody wakes goes with its loop") {
  struct Canary {
    explicit Canary(int *count) : alive(count) { ++*alive; }
    ~Canary() { --*alive; }
    int *alive;
  };
  struct Waiting {
    static Task<> for_ever(Loop *loop, int *alive) {
      Canary canary(alive);
      Event event(*loop);
      co_await event.wait();
    }
  };
  int alive = 0;
  {
    Loop loop;
    asio::co_spawn(loop.context(), Waiting::for_ever(&loop, &alive), asio::detached);
    test::run_ready(loop);
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

TEST_CASE("wait: an event outlives the coroutine that the loop abandoned") {
  Loop loop;
  Event event(loop);
  std::optional<Woken> woken;
  test::spawn(loop, event.wait(loop.now() + hours(1)), &woken);
  test::run_ready(loop);
  loop.abandon();
  CHECK(loop.timers().armed() == 0);
  event.notify();  // nobody is there: the next wait ends at once
  test::spawn(loop, event.wait(), &woken);
  test::run_ready(loop);
  CHECK(woken == Woken::notified);
}

}  // namespace slipgate
