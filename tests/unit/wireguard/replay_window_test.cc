#include "wireguard/replay_window.h"

#include <random>
#include <set>

#include "support/catch.h"

using namespace slipgate::wireguard;

namespace {

bool take(ReplayWindow &window, uint64_t counter) {
  if (!window.fresh(counter)) return false;
  window.mark(counter);
  return true;
}

}  // namespace

TEST_CASE("a counter is taken once [wg-replay-refused]") {
  ReplayWindow window;
  for (uint64_t counter : {0, 1, 3, 2, 64, 63, 9000}) {
    REQUIRE(take(window, counter));
    REQUIRE_FALSE(take(window, counter));
  }
}

TEST_CASE("the window is 8192 counters long, not one more or less [wg-replay-window-end]") {
  for (uint64_t greatest :
       {uint64_t{8191}, uint64_t{8192}, uint64_t{100'000}, uint64_t{100'063}, (uint64_t{1} << 40) + 17}) {
    ReplayWindow window;
    REQUIRE(take(window, greatest));
    REQUIRE(take(window, greatest - 8191));
    REQUIRE_FALSE(take(window, greatest - 8191));
    if (greatest >= 8192) REQUIRE_FALSE(take(window, greatest - 8192));
  }
}

TEST_CASE("batches that arrive reordered are all taken [wg-replay-window-reordered]") {
  ReplayWindow window;
  // 100 batches of 80, each batch's runs of 44 swapped, the batches themselves in pairs.
  std::vector<uint64_t> arrival;
  for (uint64_t i = 0; i < 8000; i++) arrival.push_back(i);
  for (size_t i = 0; i + 88 <= arrival.size(); i += 88)
    std::swap_ranges(arrival.begin() + i, arrival.begin() + i + 44, arrival.begin() + i + 44);
  std::reverse(arrival.begin() + 1000, arrival.end());
  for (uint64_t counter : arrival) REQUIRE(take(window, counter));
  for (uint64_t counter : arrival) REQUIRE_FALSE(take(window, counter));
}

TEST_CASE("a window and its naive twin agree") {
  std::mt19937_64 random(6479);
  for (int round = 0; round < 20; round++) {
    ReplayWindow window;
    std::set<uint64_t> seen;
    uint64_t greatest = 0;
    for (int i = 0; i < 5000; i++) {
      uint64_t counter = greatest;
      switch (random() % 8) {
        case 0:
          counter += random() % 20'000;
          break;
        case 1:
          counter += random() % 200;
          break;
        case 2:
          counter = random() % (greatest + 1);
          break;
        default:
          counter = counter + 64 > random() % 9000 ? counter + 64 - std::min(counter + 64, random() % 9000) : counter;
          break;
      }
      const bool expected = !seen.contains(counter) && (seen.empty() || counter + 8192 > greatest);
      REQUIRE(take(window, counter) == expected);
      if (expected) seen.insert(counter);
      if (expected && counter > greatest) greatest = counter;
    }
  }
}
