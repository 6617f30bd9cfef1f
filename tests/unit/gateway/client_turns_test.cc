#include "gateway/client_turns.h"

#include <algorithm>
#include <vector>

#include "support/catch.h"

using namespace slipgate;

namespace {

// Streams of one client that always have more to move.
struct Rig {
  ClientTurns turns;
  Time now{seconds(1000)};
  std::vector<ClientTurns::Place> places;
  std::vector<size_t> moved;

  explicit Rig(size_t streams) : places(streams), moved(streams) {}
  // What the client moved in a turn.
  size_t turn(uint32_t client = 1) {
    now += microseconds(100);
    size_t sum = 0;
    for (size_t i = 0; i < places.size(); i++) {
      const size_t share = turns.share(client, places[i], now);
      if (share == 0) continue;
      turns.moved(client, places[i], share);
      moved[i] += share;
      sum += share;
    }
    return sum;
  }
};

}  // namespace

TEST_CASE("one stream has all of its client's share in every turn") {
  Rig rig(1);
  rig.turn();
  for (int i = 0; i < 10; i++) CHECK(rig.turn() == ClientTurns::kShare);
}

TEST_CASE("however many streams a client has, a turn is no longer, and all of them go on alike") {
  for (size_t streams : {2, 5, 64, 1000}) {
    CAPTURE(streams);
    Rig rig(streams);
    for (size_t i = 0; i < 10 * streams; i++) CHECK(rig.turn() <= ClientTurns::kShare + ClientTurns::kStreamShare);
    const auto [least, most] = std::minmax_element(rig.moved.begin(), rig.moved.end());
    CHECK(*least > 0);
    CHECK(*most - *least <= ClientTurns::kShare + ClientTurns::kStreamShare);
  }
}

TEST_CASE("another client's share is its own") {
  Rig rig(100);
  rig.turn();
  ClientTurns::Place other;
  CHECK(rig.turns.share(2, other, rig.now) > 0);
}
