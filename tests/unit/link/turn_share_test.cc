#include "link/turn_share.h"

#include "support/catch.h"

using namespace slipgate;

namespace {

const Endpoint kFast{IpAddress::v4(192, 0, 2, 1), 1}, kSlow{IpAddress::v4(192, 0, 2, 2), 1};

struct Rig {
  Counters counters;
  BufferPool pool{2048, 100'000, 64};
  TurnShare share{counters};
  Time now{seconds(1000)};
  uint8_t number = 0;
  std::vector<Datagram> came;

  void send(const Endpoint &from, size_t count) {
    for (size_t i = 0; i < count; i++) {
      Packet packet = pool.allocate(1);
      packet.data()[0] = number++;
      DatagramPath path;
      path.remote = from;
      came.push_back({std::move(packet), path});
    }
  }
  // What a turn serves at once, and as the share of those that wait.
  std::vector<Endpoint> arrive() {
    std::vector<Endpoint> served = senders(share.arrived(came, now));
    came.clear();
    return served;
  }
  std::vector<Endpoint> wait() { return senders(share.waiting()); }
  std::vector<uint8_t> numbers;

 private:
  std::vector<Endpoint> senders(std::span<Datagram> datagrams) {
    std::vector<Endpoint> all;
    for (Datagram &datagram : datagrams) {
      all.push_back(datagram.path.remote);
      numbers.push_back(datagram.packet.data()[0]);
      datagram.packet.reset();
    }
    return all;
  }
};

}  // namespace

TEST_CASE("alone, a sender has the whole turn") {
  Rig rig;
  for (int turn = 0; turn < 3; turn++) {
    rig.send(kFast, 300);
    CHECK(rig.arrive().size() == 300);
    CHECK_FALSE(rig.share.any_waiting());
  }
}

TEST_CASE("who sends little is served before who sends much") {
  Rig rig;
  rig.send(kFast, 100);
  rig.send(kSlow, 2);
  rig.send(kFast, 100);
  CHECK(rig.arrive() == std::vector<Endpoint>{kSlow, kSlow});
  CHECK(rig.wait().size() == TurnShare::kServed);
  // And the next turn again.
  rig.send(kSlow, 1);
  CHECK(rig.arrive() == std::vector<Endpoint>{kSlow});
  size_t served = TurnShare::kServed;
  while (rig.share.any_waiting()) {
    const size_t now = rig.wait().size();
    CHECK(now <= TurnShare::kServed);
    served += now;
  }
  CHECK(served == 200);
  CHECK(rig.counters.dropped(DropReason::sender_too_fast) == 0);
}

TEST_CASE("what has to wait keeps its order, also when its sender is alone again") {
  Rig rig;
  rig.send(kSlow, 1);
  rig.arrive();
  rig.numbers.clear();
  rig.number = 0;
  rig.send(kFast, 80);
  CHECK(rig.arrive().empty());
  rig.wait();
  rig.send(kFast, 4);  // few, but behind the others
  CHECK(rig.arrive().empty());
  rig.now += TurnShare::kCompany + milliseconds(1);
  rig.send(kFast, 4);
  CHECK(rig.arrive().size() == 88 - TurnShare::kServed);
  CHECK_FALSE(rig.share.any_waiting());
  REQUIRE(rig.numbers.size() == 88);
  for (size_t i = 0; i < rig.numbers.size(); i++) CHECK(rig.numbers[i] == i);
}

TEST_CASE("turn-share-bounded: who is too fast loses its own") {
  Rig rig;
  size_t slow = 0;
  for (int turn = 0; turn < 100; turn++) {
    rig.send(kFast, 64);
    rig.send(kSlow, 1);
    for (const Endpoint &served : rig.arrive()) slow += served == kSlow;
    for (const Endpoint &served : rig.wait()) slow += served == kSlow;
  }
  CHECK(slow == 100);
  CHECK(rig.counters.dropped(DropReason::sender_too_fast) > 1000);
  CHECK(rig.pool.alive() <= TurnShare::kMostWaiting);
}

TEST_CASE("two that send much have equal shares") {
  Rig rig;
  const Endpoint other{IpAddress::v4(192, 0, 2, 3), 1};
  size_t fast = 0, less = 0;
  for (int turn = 0; turn < 100; turn++) {
    rig.send(kFast, 200);
    rig.send(other, 20);
    rig.arrive();
    for (const Endpoint &served : rig.wait()) (served == kFast ? fast : less)++;
  }
  CHECK(less >= 100 * TurnShare::kServed / 2 - TurnShare::kServed);
  CHECK(fast <= 100 * TurnShare::kServed / 2 + TurnShare::kServed);
}
