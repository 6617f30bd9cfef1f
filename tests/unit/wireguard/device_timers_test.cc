// What devices do by themselves (whitepaper section 6), seen on the wire, in virtual time.
#include <set>

#include "support/catch.h"
#include "support/wireguard_net.h"
#include "wireguard/constants.h"

using namespace slipgate;
using namespace slipgate::test;
using namespace slipgate::wireguard;

TEST_CASE("an unanswered initiation is sent again, for REKEY_ATTEMPT_TIME, then given up") {
  WireGuardNet net;
  net.tamper = [](WireGuardNet::InFlight &) { return false; };
  net.start_pair();
  net.send(0, 1, "is anybody there");
  net.run_for(REKEY_ATTEMPT_TIME + seconds(20));
  const size_t sent = net.sent.size();
  REQUIRE(sent >= 18);
  REQUIRE(sent <= 20);
  REQUIRE(net[0].dropped(DropReason::wireguard_handshake_gave_up) == 1);
  net.run_for(minutes(10));
  REQUIRE(net.sent.size() == sent);
}

TEST_CASE("retries are spread by a random time [wg-retry-jitter]") {
  WireGuardNet net;
  std::vector<Time> times;
  net.tamper = [&](WireGuardNet::InFlight &) {
    times.push_back(net.now);
    return false;
  };
  net.start_pair();
  net.send(0, 1, "is anybody there");
  net.run_for(seconds(80));
  REQUIRE(times.size() > 10);
  std::set<Duration> gaps;
  for (size_t i = 1; i < times.size(); i++) {
    const Duration gap = times[i] - times[i - 1];
    REQUIRE(gap >= REKEY_TIMEOUT);
    REQUIRE(gap <= REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER + milliseconds(2));
    gaps.insert(gap);
  }
  REQUIRE(gaps.size() > 3);
}

TEST_CASE("a passive keepalive follows data, never a keepalive [wg-keepalive-after-data-only]") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "data");
  net.run_for(seconds(9));
  REQUIRE(net.eavesdropper.keepalives == 0);
  net.run_for(seconds(2));
  REQUIRE(net.eavesdropper.keepalives == 1);
  net.run_for(minutes(2));
  REQUIRE(net.eavesdropper.keepalives == 1);
  // The keepalive was there in time: nobody took the peer for dead.
  REQUIRE(net.eavesdropper.initiations == 1);
}

TEST_CASE("data in the other direction makes a passive keepalive needless") {
  WireGuardNet net;
  net.start_pair();
  for (int i = 0; i < 30; i++) {
    net.send(0, 1, "question");
    net.settle();
    net.send(1, 0, "answer");
    net.run_for(seconds(3));
  }
  REQUIRE(net.eavesdropper.keepalives == 0);
}

TEST_CASE("keepalives are empty: header and tag alone [wg-keepalive-is-empty]") {
  WireGuardNet net;
  net.start_pair(10);
  net.run_for(minutes(1));
  REQUIRE(net.eavesdropper.data == 0);
  REQUIRE(net.eavesdropper.keepalives >= 6);
  REQUIRE(net[1].received.empty());
}

TEST_CASE("persistent keepalives come when nothing else does [wg-no-keepalive-while-data]") {
  WireGuardNet net;
  net.start_pair(25);
  net.run_for(seconds(1));  // the handshake, and the keepalive that confirms it
  const size_t before = net.eavesdropper.keepalives;
  for (int i = 0; i < 100; i++) {
    net.send(0, 1, "data");
    net.send(1, 0, "data");
    net.run_for(seconds(1));
  }
  REQUIRE(net.eavesdropper.keepalives == before);
  net.run_for(seconds(100));
  REQUIRE(net.eavesdropper.keepalives >= before + 3);
  REQUIRE(net.eavesdropper.keepalives <= before + 6);
}

TEST_CASE("a persistent keepalive keeps a tunnel up without any traffic, session after session") {
  WireGuardNet net;
  net.start_pair(25);
  net.run_for(minutes(20));
  REQUIRE(net.eavesdropper.initiations >= 8);
  net.sent.clear();
  net.send(1, 0, "still there?");
  net.settle();
  REQUIRE(net[0].received.size() == 1);
  REQUIRE(net.sent_of(WireGuardType::initiation).empty());
  // Switched off, it is quiet.
  net[0].device->set_peer(net.peer(1), net.now, net[0].output);
  net.run_for(minutes(1));
  net.sent.clear();
  net.run_for(minutes(20));
  REQUIRE(net.sent.empty());
}

TEST_CASE("a peer that stopped answering is called anew after 15 s") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "one");
  net.send(1, 0, "two");
  net.settle();
  net.run_for(seconds(30));
  net.sent.clear();
  net.tamper = [](WireGuardNet::InFlight &) { return false; };
  const Time began = net.now;
  net.send(0, 1, "three");
  net.run_for(KEEPALIVE_TIMEOUT + REKEY_TIMEOUT - seconds(1));
  REQUIRE(net.sent_of(WireGuardType::initiation).empty());
  net.run_for(seconds(2));
  REQUIRE(net.sent_of(WireGuardType::initiation).size() == 1);
  REQUIRE(net.now - began < seconds(20));
}

TEST_CASE("a session older than REJECT_AFTER_TIME carries nothing, a new one is made") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "one");
  net.run_for(REJECT_AFTER_TIME + seconds(1));
  net.sent.clear();
  net.send(1, 0, "the responder asks");
  REQUIRE(net.sent_of(WireGuardType::transport).empty());
  REQUIRE(net.sent_of(WireGuardType::initiation).size() == 1);
  net.settle();
  REQUIRE(net[0].received.size() == 1);
}

TEST_CASE("the initiator renews an old session when it only receives") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "one");
  net.run_for(seconds(166));
  net.sent.clear();
  net.send(1, 0, "late");
  net.settle();
  REQUIRE(net[0].received.size() == 1);
  REQUIRE(net.sent_of(WireGuardType::initiation).size() == 1);
}

TEST_CASE("after three lifetimes of silence all keys are gone, and a new start works") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "one");
  net.settle();
  const std::vector<uint8_t> old = net.sent_of(WireGuardType::transport).back().bytes;
  net.run_for(REJECT_AFTER_TIME * 3 + seconds(1));
  net.inject(1, old, DatagramPath{net[0].endpoint, {}, 0});
  REQUIRE(net[1].dropped(DropReason::wireguard_unknown_index) == 1);
  net.run_for(hours(24));
  REQUIRE(net[0].device->next_deadline() > net.now + hours(1));
  net.send(0, 1, "two");
  net.settle();
  REQUIRE(net[1].received.size() == 2);
}

TEST_CASE("a clock that jumps backwards stops nothing [wg-clock-backwards]") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "one");
  net.settle();
  net.run_for(seconds(100));
  const Time before = net.now;
  net.now = before - minutes(30);
  net.send(0, 1, "two");
  net.settle();
  net.send(1, 0, "three");
  net.settle();
  REQUIRE(net[1].received.size() == 2);
  REQUIRE(net[0].received.size() == 1);
  // Not younger by the jump: a session ends no later than it would have.
  net.now = before + seconds(81);
  net.sent.clear();
  net.send(0, 1, "four");
  REQUIRE(net.sent_of(WireGuardType::initiation).size() == 1);
  net.settle();
  REQUIRE(net[1].received.size() == 3);
}

TEST_CASE("what begins after a jump backwards is not late when the clock is right again [wg-clock-backwards]") {
  WireGuardNet net;
  net.start_pair();
  net.tamper = [](WireGuardNet::InFlight &) { return false; };
  net.run_for(hours(1));
  const Time before = net.now;
  net[0].device->advance(before, net[0].output);
  net.now = before - minutes(30);
  net.send(0, 1, "begins a handshake");
  net.now = before;
  net.run_for(seconds(4));
  REQUIRE(net.sent.size() == 1);  // no retry yet
  net.run_for(seconds(2));
  REQUIRE(net.sent.size() == 2);
}

TEST_CASE("a night asleep: the first packet makes a new session [wg-suspend]") {
  WireGuardNet net;
  net.start_pair(25);
  net.send(0, 1, "evening");
  net.settle();
  net.now += hours(9);
  net.send(0, 1, "morning");
  net.run_for(seconds(1));
  REQUIRE(net[1].received.size() == 2);
}

TEST_CASE("packets waiting for a handshake are bounded, the oldest go [wg-staged-bounded]") {
  WireGuardNet net;
  bool dark = true;
  net.tamper = [&](WireGuardNet::InFlight &) { return !dark; };
  net.start_pair();
  for (int i = 0; i < 1000; i++) net.send(0, 1, std::to_string(i));
  REQUIRE(net[0].dropped(DropReason::wireguard_staged_overflow) == 1000 - kStagedPackets);
  REQUIRE(net[0].pool.alive() <= kStagedPackets + 1);
  dark = false;
  net.run_for(seconds(6));
  REQUIRE(net[1].received.size() == kStagedPackets);
  REQUIRE(payload_of(net[1].received.front()) == std::to_string(1000 - kStagedPackets));
  REQUIRE(payload_of(net[1].received.back()) == "999");
}

TEST_CASE("a lost response, or a lost first packet, delays and nothing more") {
  for (WireGuardType lost : {WireGuardType::response, WireGuardType::transport}) {
    WireGuardNet net;
    int losses = 1;
    net.tamper = [&](WireGuardNet::InFlight &flight) {
      return !(flight.bytes[0] == static_cast<uint8_t>(lost) && losses-- > 0);
    };
    net.start_pair();
    net.send(0, 1, "one");
    net.run_for(seconds(6));
    net.send(0, 1, "two");
    net.run_for(seconds(1));
    REQUIRE(payload_of(net[1].received.back()) == "two");
    net.send(1, 0, "three");
    net.run_for(seconds(1));
    REQUIRE(net[0].received.size() == 1);
  }
}
