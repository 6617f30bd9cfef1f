#include "wireguard/index_table.h"

#include <map>
#include <random>
#include <set>

#include "support/catch.h"

using namespace slipgate::wireguard;

namespace {

Peer &peer() {
  static char place;
  return reinterpret_cast<Peer &>(place);
}

}  // namespace

TEST_CASE("indices carry the shard in their low bits [wg-index-carries-shard]") {
  IndexTable table(3, 5);
  std::set<uint32_t> indices;
  for (int i = 0; i < 2000; i++) {
    const uint32_t index = table.add(peer());
    REQUIRE((index & 7) == 5);
    indices.insert(index);
  }
  REQUIRE(indices.size() == 2000);
  // The other bits are random: each is set in about half.
  for (int bit = 3; bit < 32; bit++) {
    auto set = std::count_if(indices.begin(), indices.end(), [&](uint32_t index) { return index >> bit & 1; });
    REQUIRE(set > 800);
    REQUIRE(set < 1200);
  }
}

TEST_CASE("an index in use is not handed out again [wg-index-not-reused]") {
  IndexTable table(24, 1);  // only 256 there are
  std::set<uint32_t> indices;
  for (int i = 0; i < 250; i++) REQUIRE(indices.insert(table.add(peer())).second);
  REQUIRE(table.size() == 250);
  for (uint32_t index : indices) REQUIRE(table.find(index));
}

TEST_CASE("the table and its naive twin agree while indices come and go") {
  IndexTable table(0, 0);
  std::mt19937_64 random(1);
  std::vector<uint32_t> alive;
  std::vector<uint32_t> gone;
  for (int i = 0; i < 20'000; i++) {
    if (random() % 2 || alive.empty()) {
      alive.push_back(table.add(peer()));
    } else {
      std::swap(alive[random() % alive.size()], alive.back());
      table.remove(alive.back());
      gone.push_back(alive.back());
      alive.pop_back();
    }
    REQUIRE(table.size() == alive.size());
    if (i % 500 == 0) {
      for (uint32_t index : alive) REQUIRE(table.find(index));
      for (uint32_t index : gone) {
        if (std::find(alive.begin(), alive.end(), index) == alive.end()) REQUIRE_FALSE(table.find(index));
      }
    }
  }
}
