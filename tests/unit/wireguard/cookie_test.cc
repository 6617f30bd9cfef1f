#include "wireguard/cookie.h"

#include "crypto/random.h"
#include "support/catch.h"
#include "wireguard/constants.h"

using namespace slipgate;
using namespace slipgate::wireguard;

namespace {

struct Scene {
  PublicKey responder = public_key_of(generate_private_key());
  MacChecker checker{responder};
  MacMaker maker{responder};
  Endpoint source = *Endpoint::parse("192.0.2.1:1000");
  Time now = Time(hours(1));
  std::array<uint8_t, sizeof(WireGuardInitiation)> message{};

  void make_message() {
    fill_random(message);
    maker.add(message, now);
  }
  bool proven(const Endpoint &from) { return checker.mac2_is_valid(message, from, now); }
  WireGuardCookieReply reply() { return checker.make_reply(message, 9, source, now); }
};

}  // namespace

TEST_CASE("mac1 shows who does not know our key, or changed the message") {
  Scene scene;
  scene.make_message();
  REQUIRE(scene.checker.mac1_is_valid(scene.message));
  scene.message[20] ^= 1;
  REQUIRE_FALSE(scene.checker.mac1_is_valid(scene.message));
  MacMaker(public_key_of(generate_private_key())).add(scene.message, scene.now);
  REQUIRE_FALSE(scene.checker.mac1_is_valid(scene.message));
}

TEST_CASE(
    "a cookie proves the address and the port that it was sent to [wg-cookie-covers-address] [wg-cookie-covers-port]") {
  Scene scene;
  scene.make_message();
  REQUIRE_FALSE(scene.proven(scene.source));
  const WireGuardCookieReply reply = scene.reply();
  REQUIRE(reply.receiver == 9);
  REQUIRE(scene.maker.accept(reply, scene.now));
  scene.make_message();
  REQUIRE(scene.proven(scene.source));
  REQUIRE_FALSE(scene.proven(*Endpoint::parse("192.0.2.1:1001")));
  REQUIRE_FALSE(scene.proven(*Endpoint::parse("192.0.2.2:1000")));
}

TEST_CASE("a cookie is good for as long as its maker knows it") {
  Scene scene;
  scene.make_message();
  REQUIRE(scene.maker.accept(scene.reply(), scene.now));
  scene.now += COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY - seconds(1);
  scene.make_message();
  REQUIRE(scene.proven(scene.source));
  scene.now += seconds(1);
  scene.make_message();
  REQUIRE_FALSE(scene.proven(scene.source));  // not used any more
  const WireGuardCookieReply late = scene.reply();
  REQUIRE(scene.maker.accept(late, scene.now));
  scene.now += seconds(10);
  scene.make_message();
  REQUIRE_FALSE(scene.proven(scene.source));  // the secret is another one now
}

TEST_CASE("a cookie reply counts once, and only for the message that it answers") {
  Scene scene;
  REQUIRE_FALSE(scene.maker.accept(WireGuardCookieReply{}, scene.now));
  scene.make_message();
  const WireGuardCookieReply old = scene.reply();
  scene.make_message();
  REQUIRE_FALSE(scene.maker.accept(old, scene.now));
  WireGuardCookieReply forged = scene.reply();
  forged.sealed_cookie[0] ^= 1;
  REQUIRE_FALSE(scene.maker.accept(forged, scene.now));
  const WireGuardCookieReply reply = scene.reply();
  REQUIRE(scene.maker.accept(reply, scene.now));
  REQUIRE_FALSE(scene.maker.accept(reply, scene.now));
}
