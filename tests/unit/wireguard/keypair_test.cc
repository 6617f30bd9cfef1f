#include "wireguard/keypair.h"

#include <vector>

#include "support/catch.h"
#include "wire/wireguard_messages.h"

using namespace slipgate;
using namespace slipgate::wireguard;

namespace {

Peer &peer() {
  static char place;
  return reinterpret_cast<Peer &>(place);
}

const Time kStart = Time(hours(1));

struct Session {
  SessionKeys ours{generate_private_key(), generate_private_key()};
  Keypair a, b;

  explicit Session(uint64_t first_counter = 0)
      : a(peer(), ours, 1, 2, true, kStart, first_counter),
        b(peer(), {ours.receive, ours.send}, 2, 1, false, kStart, first_counter) {}

  static std::vector<uint8_t> sealed(Keypair &by) {
    std::vector<uint8_t> message(sizeof(WireGuardTransport) + 32 + kAeadTag, 7);
    by.seal(message);
    return message;
  }
};

}  // namespace

TEST_CASE("a session carries packets both ways, each once") {
  Session session;
  std::vector<uint8_t> message = Session::sealed(session.a);
  const std::vector<uint8_t> copy = message;
  REQUIRE_FALSE(session.b.open(message, kStart));
  REQUIRE(message[20] == 7);
  message = copy;
  REQUIRE(session.b.open(message, kStart) == DropReason::wireguard_replay);
  message = Session::sealed(session.b);
  REQUIRE_FALSE(session.a.open(message, kStart));
  message = Session::sealed(session.b);
  message[30] ^= 1;
  REQUIRE(session.a.open(message, kStart) == DropReason::wireguard_bad_tag);
}

TEST_CASE("a session is used up after REJECT_AFTER_MESSAGES, sending [wg-reject-after-messages-send]") {
  Session session(REJECT_AFTER_MESSAGES - 1);
  REQUIRE(session.a.can_send(kStart));
  std::vector<uint8_t> message = Session::sealed(session.a);
  REQUIRE_FALSE(session.b.open(message, kStart));
  REQUIRE_FALSE(session.a.can_send(kStart));
}

TEST_CASE("a session is used up after REJECT_AFTER_MESSAGES, receiving [wg-reject-after-messages-receive]") {
  Session session(REJECT_AFTER_MESSAGES);
  std::vector<uint8_t> message = Session::sealed(session.a);
  REQUIRE(session.b.open(message, kStart) == DropReason::wireguard_expired_session);
}

TEST_CASE("a session lives REJECT_AFTER_TIME, both ways [wg-reject-after-time-send] [wg-reject-after-time-receive]") {
  Session session;
  const Time last = kStart + REJECT_AFTER_TIME - nanoseconds(1);
  REQUIRE(session.a.can_send(last));
  REQUIRE_FALSE(session.a.can_send(kStart + REJECT_AFTER_TIME));
  std::vector<uint8_t> message = Session::sealed(session.a);
  REQUIRE_FALSE(session.b.open(message, last));
  message = Session::sealed(session.a);
  REQUIRE(session.b.open(message, kStart + REJECT_AFTER_TIME) == DropReason::wireguard_expired_session);
}

TEST_CASE("a new session is wanted after REKEY_AFTER_MESSAGES, and by the initiator after REKEY_AFTER_TIME") {
  Session session(REKEY_AFTER_MESSAGES);
  REQUIRE_FALSE(session.a.wants_rekey_after_send(kStart));
  Session::sealed(session.a);
  REQUIRE(session.a.wants_rekey_after_send(kStart));
  Session fresh;
  REQUIRE_FALSE(fresh.a.wants_rekey_after_send(kStart + REKEY_AFTER_TIME - nanoseconds(1)));
  REQUIRE(fresh.a.wants_rekey_after_send(kStart + REKEY_AFTER_TIME));
  REQUIRE_FALSE(fresh.b.wants_rekey_after_send(kStart + REJECT_AFTER_TIME));
  REQUIRE_FALSE(fresh.a.wants_rekey_after_receive(kStart + seconds(164)));
  REQUIRE(fresh.a.wants_rekey_after_receive(kStart + seconds(165)));
  REQUIRE_FALSE(fresh.b.wants_rekey_after_receive(kStart + seconds(170)));
}
