#include "io/loop.h"

#include <thread>

#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

struct Part final : TurnEnd {
  explicit Part(std::function<void()> what) : run(std::move(what)) {}
  void on_turn_end() override { run(); }
  std::function<void()> run;
};

struct Alarm final : TimerTarget {
  void on_timer(Timer &, Time now) override { fired = now; }
  std::optional<Time> fired;
};

}  // namespace

TEST_CASE("loop: the end of the turn runs parts once, in the order of their ranks") {
  Loop loop;
  std::string order;
  Part link([&] { order += "l"; });
  Part stack([&] { order += "s"; });
  Part stream([&] { order += "r"; });
  loop.at_turn_end(link, 2);
  loop.at_turn_end(stack, 1);
  loop.at_turn_end(stream, 0);
  loop.at_turn_end(link, 2);
  loop.turn(milliseconds(0));
  CHECK(order == "rsl");
  loop.turn(milliseconds(0));
  CHECK(order == "rsl");
}

TEST_CASE("loop: a later rank asked for in an earlier one runs in the same turn, its own rank in the next") {
  Loop loop;
  std::string order;
  Part link([&] { order += "l"; });
  Part *again = nullptr;
  Part stream([&] {
    order += "r";
    loop.at_turn_end(link, 2);
    if (order.size() < 3) loop.at_turn_end(*again, 0);
  });
  again = &stream;
  loop.at_turn_end(stream, 0);
  loop.turn(milliseconds(0));
  CHECK(order == "rl");
  // The next turn does not sleep while something waits for its end.
  Time begin = BootClock::now();
  loop.turn(seconds(5));
  CHECK(order == "rlrl");
  CHECK(BootClock::now() - begin < seconds(2));
}

TEST_CASE("loop: a part that is forgotten, even while its rank runs, is not called") {
  Loop loop;
  int calls = 0;
  auto second = std::make_unique<Part>([&] { calls++; });
  Part first([&] {
    loop.forget(*second);
    second.reset();
  });
  loop.at_turn_end(first, 0);
  loop.at_turn_end(*second, 0);
  loop.turn(milliseconds(0));
  CHECK(calls == 0);
  CHECK(!second);
}

TEST_CASE("loop: timers fire, never early, and now() is the time of the turn") {
  Loop loop;
  Alarm alarm;
  Timer timer(alarm);
  Time deadline = loop.now() + milliseconds(20);
  loop.timers().arm(timer, deadline);
  REQUIRE(test::run_until(loop, [&] { return alarm.fired.has_value(); }));
  CHECK(*alarm.fired >= deadline);
  CHECK(loop.now() == *alarm.fired);
}

TEST_CASE("loop: what a handler arms is measured from now, not from before the wait") {
  Loop loop;
  Time armed_at{};
  Alarm alarm;
  Timer timer(alarm);
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(50));  // the loop waits meanwhile
    loop.post([&] {
      armed_at = BootClock::now();
      loop.timers().arm(timer, loop.timers().now() + milliseconds(30));
    });
  });
  REQUIRE(test::run_until(loop, [&] { return alarm.fired.has_value(); }));
  other.join();
  CHECK(*alarm.fired - armed_at >= milliseconds(29));
}

TEST_CASE("loop: post() from another thread wakes it, stop() ends run()") {
  Loop loop;
  std::thread::id ran_on;
  std::thread other([&] {
    loop.post([&] {
      ran_on = std::this_thread::get_id();
      loop.stop();
    });
  });
  loop.run();
  other.join();
  CHECK(ran_on == std::this_thread::get_id());
}

}  // namespace slipgate
