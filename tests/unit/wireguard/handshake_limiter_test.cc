#include "wireguard/handshake_limiter.h"

#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::wireguard;
using Verdict = HandshakeLimiter::Verdict;

namespace {

const Time kNow = Time(hours(1));
const IpAddress kAttacker = IpAddress::v4(203, 0, 113, 1);

}  // namespace

TEST_CASE("one source is asked for a cookie, nobody else is [wg-limit-per-source]") {
  HandshakeLimiter limiter;
  int admitted = 0;
  for (int i = 0; i < 10'000; i++) admitted += limiter.judge(kAttacker, false, kNow) == Verdict::admit;
  REQUIRE(admitted == HandshakeLimiter::kPerSourceBurst);
  for (uint8_t i = 1; i < 200; i++) REQUIRE(limiter.judge(IpAddress::v4(192, 0, 2, i), false, kNow) == Verdict::admit);
}

TEST_CASE("a source's allowance comes back with time") {
  HandshakeLimiter limiter;
  while (limiter.judge(kAttacker, false, kNow) == Verdict::admit) {
  }
  int admitted = 0;
  for (int i = 0; i < 1000; i++) admitted += limiter.judge(kAttacker, false, kNow + seconds(1)) == Verdict::admit;
  REQUIRE(admitted == HandshakeLimiter::kPerSource);
}

TEST_CASE("with a proven address a source has its own allowance, which a forger of its address cannot use up") {
  HandshakeLimiter limiter;
  for (int i = 0; i < 10'000; i++) limiter.judge(kAttacker, false, kNow);
  int admitted = 0;
  for (int i = 0; i < 1000; i++) {
    const Verdict verdict = limiter.judge(kAttacker, true, kNow);
    REQUIRE(verdict != Verdict::ask_cookie);
    admitted += verdict == Verdict::admit;
  }
  REQUIRE(admitted == HandshakeLimiter::kPerSourceBurst);
}

TEST_CASE("a source of IPv6 is a /64") {
  HandshakeLimiter limiter;
  int admitted = 0;
  for (int i = 0; i < 1000; i++) {
    const IpAddress address = *IpAddress::parse("2001:db8:0:1::" + std::to_string(i));
    admitted += limiter.judge(address, false, kNow) == Verdict::admit;
  }
  REQUIRE(admitted == HandshakeLimiter::kPerSourceBurst);
  REQUIRE(limiter.judge(*IpAddress::parse("2001:db8:0:2::1"), false, kNow) == Verdict::admit);
}

TEST_CASE("very many forged sources bring cookies for all, and proven ones still pass") {
  HandshakeLimiter limiter;
  int admitted = 0;
  for (uint32_t i = 0; i < 100'000; i++) {
    const be32 address(0x0a000000 + i);
    admitted += limiter.judge(IpAddress::from_v4(bytes_of(address)), false, kNow) == Verdict::admit;
  }
  REQUIRE(admitted == HandshakeLimiter::kUnprovenBurst);
  REQUIRE(limiter.judge(IpAddress::v4(192, 0, 2, 1), false, kNow) == Verdict::ask_cookie);
  REQUIRE(limiter.judge(IpAddress::v4(192, 0, 2, 1), true, kNow) == Verdict::admit);
  REQUIRE(limiter.judge(IpAddress::v4(192, 0, 2, 1), false, kNow + seconds(1)) == Verdict::admit);
}
