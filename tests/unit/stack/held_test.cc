// What connections hold is bounded, whoever does not read or does not acknowledge.
#include "support/catch.h"
#include "unit/stack/harness.h"

using namespace slipgate;
using namespace slipgate::stack_test;

namespace {

constexpr size_t kMost = 200'000;

struct Rig {
  StackConfig config = [] {
    StackConfig made;
    made.max_held = kMost;
    return made;
  }();
  Harness h{true, config};
  std::vector<StreamPtr> streams;

  void open(uint32_t client, uint16_t port) {
    h.client = client;
    h.key.inside.port = port;
    h.send({.flags = SYN, .sequence = 1000, .options = Harness::usual_options()});
    REQUIRE(h.request);
    h.stream = h.request->accept();
    h.request.reset();
    REQUIRE(h.stream);
    // Others may have something to say, too.
    for (const Sent &sent : h.all()) {
      if (sent.parsed.key.outside == h.key.inside) h.theirs = sent.tcp().sequence + 1;
    }
    h.ours = 1001;
    h.send({.sequence = h.ours, .acknowledgment = h.theirs});
    h.all();
  }
};

}  // namespace

TEST_CASE("tcp-held-bounded: what a client does not acknowledge") {
  Rig rig;
  const std::string much(60'000, 'x');
  size_t written = 0;
  for (uint16_t i = 0; i < 50; i++) {
    rig.open(1, static_cast<uint16_t>(1000 + i));
    written += rig.h.write(much);
    rig.h.all();
    rig.streams.push_back(std::move(rig.h.stream));
  }
  CHECK(written >= kMost);
  CHECK(written <= kMost / 2 * 3 + much.size() + 50 * 4096);
  // Another client is not kept short; and the first one not, when it has acknowledged.
  rig.open(2, 2000);
  CHECK(rig.h.write(much) == much.size());
  rig.h.all();
  rig.streams.clear();
  rig.h.all();
  rig.open(1, 3000);
  CHECK(rig.h.write(much) == much.size());
}

TEST_CASE("tcp-held-bounded: what nobody reads") {
  Rig rig;
  size_t sent = 0;
  const auto fill = [&] {
    for (int i = 0; i < 40; i++) {
      rig.h.send(rig.h.data(std::string(1300, 'x')));
      sent += 1300;
    }
    rig.h.all();
    rig.streams.push_back(std::move(rig.h.stream));
  };
  for (uint16_t i = 0; i < 20; i++) {
    rig.open(1, static_cast<uint16_t>(1000 + i));
    fill();
  }
  const uint64_t dropped = rig.h.counters.dropped(DropReason::held_limit) * 1300;
  CHECK(sent - dropped >= kMost);
  CHECK(sent - dropped <= kMost / 2 * 3 + 40 * 1300 + 20 * (4096 + 1300));
  // A connection whose owner reads goes on.
  rig.open(1, 3000);
  for (int i = 0; i < 40; i++) {
    rig.h.send(rig.h.data(std::string(1300, 'y')));
    CHECK(rig.h.read().size() == 1300);
    rig.h.all();
  }
  rig.open(2, 2000);
  const uint64_t before = rig.h.counters.dropped(DropReason::held_limit);
  fill();
  CHECK(rig.h.counters.dropped(DropReason::held_limit) == before);
}
