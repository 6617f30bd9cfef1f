#include "io/pace.h"

#include <memory>
#include <vector>

#include "support/catch.h"

using namespace slipgate;

namespace {

constexpr uint64_t kRate = 1'000'000;

struct Rig {
  Time now{seconds(1000)};
  TimerWheel wheel{now};
  std::unique_ptr<Pace> pace = std::make_unique<Pace>(wheel);

  Rig() { pace->set_rate(kRate); }
  void pass(Duration duration) {
    for (const Time end = now + duration; now < end;) wheel.advance(now += milliseconds(1));
  }
};

// Moves whatever it may, for ever.
struct Greedy final : PaceWaiter {
  explicit Greedy(Pace &given) : pace(given) { on_pace(); }
  void on_pace() override {
    woken++;
    if (stopped) return;
    while (size_t most = pace.grant(*this)) {
      most = std::min<size_t>(most, 60'000);
      pace.charge(most);
      moved += most;
      if (pace.rate() == Pace::kNoLimit) return;
    }
  }
  Pace &pace;
  size_t moved = 0;
  int woken = 0;
  bool stopped = false;
};

}  // namespace

TEST_CASE("what can wait moves at the rate, from the first second on") {
  Rig rig;
  Greedy greedy(*rig.pace);
  CHECK(greedy.moved <= kRate / 10);
  rig.pass(seconds(1));
  CHECK(greedy.moved > kRate * 97 / 100);
  CHECK(greedy.moved < kRate * 115 / 100);  // and what had gathered before
  const size_t before = greedy.moved;
  rig.pass(seconds(4));
  CHECK(greedy.moved - before > 4 * kRate * 98 / 100);
  CHECK(greedy.moved - before < 4 * kRate * 102 / 100);
}

TEST_CASE("those that wait have equal shares") {
  Rig rig;
  std::vector<std::unique_ptr<Greedy>> all;
  for (int i = 0; i < 40; i++) all.push_back(std::make_unique<Greedy>(*rig.pace));
  rig.pass(seconds(20));
  size_t sum = 0;
  for (const auto &each : all) {
    CHECK(each->moved > 20 * kRate / 40 * 8 / 10);
    sum += each->moved;
  }
  CHECK(sum < 20 * kRate * 102 / 100);
}

TEST_CASE("pace-admits-within-rate: packets beyond the rate do not pass") {
  Rig rig;
  size_t passed = 0;
  for (int i = 0; i < 5000; i++) {
    for (int packet = 0; packet < 4; packet++) passed += rig.pace->admit(1000) ? 1000 : 0;  // four times the rate
    rig.pass(milliseconds(1));
  }
  CHECK(passed > 5 * kRate * 98 / 100);
  CHECK(passed < 5 * kRate * 103 / 100);
}

TEST_CASE("pace-waiters-get-half: a flood of packets does not starve who waits") {
  Rig rig;
  Greedy greedy(*rig.pace);
  size_t passed = 0;
  for (int i = 0; i < 5000; i++) {
    for (int packet = 0; packet < 4; packet++) passed += rig.pace->admit(1000) ? 1000 : 0;
    rig.pass(milliseconds(1));
  }
  CHECK(greedy.moved > 5 * kRate * 40 / 100);
  CHECK(passed > 5 * kRate * 20 / 100);
  CHECK(greedy.moved + passed < 5 * kRate * 104 / 100);
}

TEST_CASE("another rate, and none, apply at once") {
  Rig rig;
  Greedy greedy(*rig.pace);
  rig.pass(seconds(1));
  size_t before = greedy.moved;
  rig.pace->set_rate(10 * kRate);
  rig.pass(seconds(1));
  CHECK(greedy.moved - before > 9 * kRate);
  before = greedy.moved;
  rig.pace->set_rate(Pace::kNoLimit);
  CHECK(greedy.moved > before);
  CHECK(rig.pace->grant(greedy) > 1 << 30);
  CHECK(rig.pace->admit(1 << 30));
}

TEST_CASE("who goes waits no more, and who is left is told") {
  Rig rig;
  auto first = std::make_unique<Greedy>(*rig.pace);
  Greedy second(*rig.pace);
  first.reset();
  rig.pass(milliseconds(100));
  CHECK(second.moved > kRate / 20);
  const int before = second.woken;
  second.stopped = true;
  rig.pace.reset();
  CHECK(second.woken == before + 1);
}
