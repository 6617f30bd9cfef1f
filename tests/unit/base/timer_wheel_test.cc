#include "base/timer_wheel.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "support/catch.h"

using namespace slipgate;

namespace {

Time at(Duration since) {
  return Time(since);
}

struct Recorder final : TimerTarget {
  void on_timer(Timer &timer, Time now) override {
    fired.push_back(now);
    if (then) then(timer, now);
  }
  std::vector<Time> fired;
  std::function<void(Timer &, Time)> then;
};

}  // namespace

TEST_CASE("a timer fires once, not before its deadline") {
  TimerWheel wheel(at(seconds(100)));
  Recorder recorder;
  Timer timer(recorder);
  wheel.arm(timer, at(seconds(101)));
  CHECK(timer.armed());
  CHECK(timer.deadline() == at(seconds(101)));
  wheel.advance(at(seconds(101) - nanoseconds(1)));
  CHECK(recorder.fired.empty());
  wheel.advance(at(seconds(101)));
  CHECK(recorder.fired.size() == 1);
  CHECK_FALSE(timer.armed());
  wheel.advance(at(seconds(500)));
  CHECK(recorder.fired.size() == 1);
  CHECK(wheel.armed() == 0);
  CHECK(wheel.next_deadline() == kNever);
}

TEST_CASE("a deadline between two ticks waits for the next") {
  TimerWheel wheel(at(seconds(1)));
  Recorder recorder;
  Timer timer(recorder);
  wheel.arm(timer, at(seconds(1) + microseconds(1500)));
  wheel.advance(at(seconds(1) + microseconds(1600)));
  CHECK(recorder.fired.empty());
  wheel.advance(at(seconds(1) + milliseconds(2)));
  CHECK(recorder.fired.size() == 1);
}

TEST_CASE("cancelled, moved and destroyed timers do not fire") {
  TimerWheel wheel(at(seconds(1)));
  Recorder recorder;
  Timer cancelled(recorder), moved(recorder);
  wheel.arm(cancelled, at(seconds(2)));
  wheel.arm(moved, at(seconds(2)));
  {
    Timer destroyed(recorder);
    wheel.arm(destroyed, at(seconds(2)));
  }
  cancelled.cancel();
  cancelled.cancel();
  wheel.arm(moved, at(seconds(5)));
  CHECK(wheel.armed() == 1);
  wheel.advance(at(seconds(4)));
  CHECK(recorder.fired.empty());
  wheel.advance(at(seconds(5)));
  CHECK(recorder.fired.size() == 1);
}

TEST_CASE("a cancelled timer is no reason to wake") {
  TimerWheel wheel(at(seconds(1)));
  Recorder recorder;
  Timer far(recorder), near(recorder), beside(recorder);
  wheel.arm(far, at(seconds(1) + milliseconds(50)));
  wheel.arm(near, at(seconds(1) + milliseconds(20)));
  wheel.arm(beside, at(seconds(1) + milliseconds(20)));
  near.cancel();
  CHECK(wheel.next_deadline() <= at(seconds(1) + milliseconds(20)));
  beside.cancel();
  CHECK(wheel.next_deadline() > at(seconds(1) + milliseconds(20)));
  CHECK(wheel.next_deadline() <= at(seconds(1) + milliseconds(50)));
}

TEST_CASE("a timer in the past fires at the next advance, time does not go back") {
  TimerWheel wheel(at(seconds(10)));
  Recorder recorder;
  Timer timer(recorder);
  wheel.arm(timer, at(seconds(3)));
  wheel.advance(at(seconds(9)));
  CHECK(wheel.now() == at(seconds(10)));
  CHECK(recorder.fired.size() == 1);
}

TEST_CASE("a callback may cancel another timer that is due in the same tick") {
  TimerWheel wheel(at(seconds(1)));
  Recorder recorder;
  auto first = std::make_unique<Timer>(recorder), second = std::make_unique<Timer>(recorder);
  wheel.arm(*first, at(seconds(2)));
  wheel.arm(*second, at(seconds(2)));
  recorder.then = [&](Timer &timer, Time) { (&timer == first.get() ? second : first).reset(); };
  wheel.advance(at(seconds(3)));
  CHECK(recorder.fired.size() == 1);
}

TEST_CASE("a timer that re-arms itself for now does not hold the wheel") {
  TimerWheel wheel(at(seconds(1)));
  Recorder recorder;
  Timer timer(recorder);
  recorder.then = [&](Timer &again, Time now) { wheel.arm(again, now); };
  wheel.arm(timer, at(seconds(1)));
  wheel.advance(at(seconds(1)));
  CHECK(recorder.fired.size() == 1);
  CHECK(timer.armed());
}

TEST_CASE("a timer that is never due waits") {
  TimerWheel wheel(at(seconds(1)));
  Recorder recorder;
  Timer timer(recorder);
  wheel.arm(timer, kNever);
  wheel.advance(at(hours(24 * 30)));
  CHECK(recorder.fired.empty());
  CHECK(timer.armed());
}

TEST_CASE("the wheel fires what a sorted list would") {
  std::mt19937_64 random(20261121);
  for (int world = 0; world < 40; world++) {
    Time now = at(milliseconds(random() % 100000000));
    TimerWheel wheel(now);
    struct Entry final : TimerTarget {
      Entry() : timer(*this) {}
      void on_timer(Timer &, Time when) override { fired_at = when; }
      Timer timer;
      Time fired_at = kNever;
      Time due = kNever;  // what the list thinks; kNever: not armed
    };
    std::vector<std::unique_ptr<Entry>> entries;
    for (int i = 0; i < 200; i++) entries.push_back(std::make_unique<Entry>());
    static constexpr int64_t kSpans[] = {1, 63, 64, 65, 5000, 300000, 20000000, 2000000000};
    for (int step = 0; step < 400; step++) {
      for (int change = 0; change < 8; change++) {
        Entry &entry = *entries[random() % entries.size()];
        if (random() % 4 == 0) {
          entry.timer.cancel();
          entry.due = kNever;
        } else {
          int64_t span = kSpans[random() % std::size(kSpans)];
          entry.due = now + milliseconds(random() % span) + nanoseconds(random() % 1000000);
          wheel.arm(entry.timer, entry.due);
        }
      }
      Time earliest = kNever;
      size_t armed = 0;
      for (auto &entry : entries) {
        earliest = std::min(earliest, entry->due);
        armed += entry->due != kNever;
      }
      REQUIRE(wheel.armed() == armed);
      // Early, never late: by less than the tick that deadlines are rounded up to.
      REQUIRE((armed == 0 ? wheel.next_deadline() == kNever
                          : wheel.next_deadline() <= std::max(earliest, now) + TimerWheel::kTick));

      now += milliseconds(random() % kSpans[random() % std::size(kSpans)]) + nanoseconds(random() % 1000000);
      wheel.advance(now);
      for (auto &entry : entries) {
        auto tick_end = [](Time due) {
          return Time(TimerWheel::kTick * ((due.time_since_epoch().count() - 1) / 1000000 + 1));
        };
        bool due = entry->due != kNever && tick_end(entry->due) <= now;
        REQUIRE((entry->fired_at != kNever) == due);
        if (due) {
          entry->due = entry->fired_at = kNever;
        } else {
          REQUIRE(entry->timer.armed() == (entry->due != kNever));
        }
      }
    }
  }
}

TEST_CASE("sleeping until next_deadline() never misses a timer and ends") {
  std::mt19937_64 random(3);
  Time now = at(milliseconds(999999));
  TimerWheel wheel(now);
  std::vector<std::unique_ptr<Timer>> timers;
  Recorder recorder;
  for (int i = 0; i < 500; i++) {
    timers.push_back(std::make_unique<Timer>(recorder));
    wheel.arm(*timers.back(), now + milliseconds(random() % 10000000));
  }
  int turns = 0;
  while (wheel.armed() > 0 && turns < 20000) {
    Time next = wheel.next_deadline();
    REQUIRE(next >= now);
    now = std::max(next, now + nanoseconds(1));
    wheel.advance(now);
    turns++;
  }
  CHECK(recorder.fired.size() == 500);
  CHECK(turns < 5000);
}
