#include "stack/icmp_error.h"

#include "support/catch.h"
#include "unit/stack/fragment_output.h"
#include "unit/wire/packets.h"
#include "wire/icmp.h"
#include "wire/ip.h"

using namespace slipgate;
using namespace slipgate::test;

TEST_CASE("an IPv4 error quotes up to 576 bytes") {
  TestOutput output;
  for (size_t size : {0u, 100u, 1300u}) {
    Buf original = v4({}, udp(1000, 53, Buf(size, 7)));
    Packet packet =
        make_icmp_error(original, ip("192.0.2.1"), icmp::kDestinationUnreachable, icmp::kPortUnreachable, 0, output);
    REQUIRE(packet);
    CHECK(packet.size() == std::min<size_t>(576, 28 + original.size()));
    auto parsed = std::get<ParsedPacket>(parse_packet(packet.bytes()));
    CHECK(parsed.key.inside.address == ip("192.0.2.1"));
    CHECK(parsed.key.outside.address == ip("10.0.0.2"));
    CHECK(parsed.key.protocol == Protocol::icmp);
    Bytes message = packet.bytes().subspan(20);
    CHECK(message[0] == 3);
    CHECK(message[1] == 3);
    CHECK(ones_complement_sum(message) == 0xffff);
    CHECK(std::equal(message.begin() + 8, message.end(), original.begin()));
  }
}

TEST_CASE("an IPv6 error quotes up to 1,280 bytes") {
  TestOutput output;
  for (size_t size : {0u, 100u, 1300u}) {
    Buf original = v6({}, udp(1000, 53, Buf(size, 7)));
    Packet packet = make_icmp_error(original, ip("2001:db8::9"), icmpv6::kPacketTooBig, 0, 1420, output);
    REQUIRE(packet);
    CHECK(packet.size() == std::min<size_t>(1280, 48 + original.size()));
    auto parsed = std::get<ParsedPacket>(parse_packet(packet.bytes()));
    CHECK(parsed.key.inside.address == ip("2001:db8::9"));
    CHECK(parsed.key.outside.address == ip("fd00::2"));
    Bytes message = packet.bytes().subspan(40);
    CHECK(message[0] == 2);
    CHECK(view_as<IcmpHeader>(message)->rest == 1420);
    uint16_t pseudo = pseudo_header_sum(ip("2001:db8::9"), ip("fd00::2"), 58, static_cast<uint32_t>(message.size()));
    CHECK(add_sums(ones_complement_sum(message), pseudo) == 0xffff);
  }
}

TEST_CASE("an error of the wrong family or about no packet is not made") {
  TestOutput output;
  CHECK_FALSE(make_icmp_error(v4({}, udp(1, 2)), ip("2001:db8::9"), 3, 3, 0, output));
  CHECK_FALSE(make_icmp_error({}, ip("192.0.2.1"), 3, 3, 0, output));
  CHECK_FALSE(make_icmp_error(Buf{0x45}, ip("192.0.2.1"), 3, 3, 0, output));
  TestOutput dry(0);
  CHECK_FALSE(make_icmp_error(v4({}, udp(1, 2)), ip("192.0.2.1"), 3, 3, 0, dry));
}

TEST_CASE("no-error-about-error: what may be answered with an error") {
  CHECK(may_answer_with_icmp_error(v4({}, udp(1000, 53)), 3));
  CHECK(may_answer_with_icmp_error(v4({.protocol = 6}, tcp(1000, 80, 2)), 3));
  CHECK(may_answer_with_icmp_error(v4({.protocol = 1}, echo(8, 1, 1)), 3));
  CHECK(may_answer_with_icmp_error(v6({.next_header = 58}, echo(128, 1, 1)), 1));
  CHECK(may_answer_with_icmp_error(v6({}, udp(1000, 53)), 1));
  CHECK(may_answer_with_icmp_error(v4({.fragment = 0x2000}, udp(1000, 53, Buf(8, 0))), 3));

  for (uint8_t type : {3, 4, 5, 11, 12})
    CHECK_FALSE(may_answer_with_icmp_error(v4({.protocol = 1}, echo(type, 1, 1)), 3));
  for (uint8_t type : {1, 2, 3, 4, 100, 127, 137}) {
    CHECK_FALSE(may_answer_with_icmp_error(v6({.next_header = 58}, echo(type, 1, 1)), 1));
  }
  CHECK_FALSE(may_answer_with_icmp_error(v4({.fragment = 5}, udp(1000, 53, Buf(8, 0))), 3));
  CHECK_FALSE(may_answer_with_icmp_error(v6({.next_header = 44}, fragment_header(17, 8, false, 1) + Buf(8, 0)), 1));
  CHECK(may_answer_with_icmp_error(v6({.next_header = 44}, fragment_header(17, 0, true, 1) + Buf(8, 0)), 1));
  CHECK_FALSE(may_answer_with_icmp_error(v4({.destination = "255.255.255.255"}, udp(1000, 53)), 3));
  CHECK_FALSE(may_answer_with_icmp_error(v4({.destination = "224.0.0.1"}, udp(1000, 53)), 3));
  CHECK_FALSE(may_answer_with_icmp_error(v6({.destination = "ff02::1"}, udp(1000, 53)), 1));
  CHECK(may_answer_with_icmp_error(v6({.destination = "ff02::1"}, udp(1000, 53)), 2));
  CHECK_FALSE(may_answer_with_icmp_error(Buf{1, 2, 3}, 3));
  CHECK_FALSE(may_answer_with_icmp_error({}, 3));
}

TEST_CASE("icmp-error-rate: a client gets a burst and then a rate, others are not held up") {
  IcmpErrorLimiter limiter;
  Time now{seconds(5)};
  int allowed = 0;
  for (int i = 0; i < 1000; i++) allowed += limiter.allow(1, now);
  CHECK(allowed == IcmpErrorLimiter::kBurst);
  CHECK(limiter.allow(2, now));
  now += 10 * IcmpErrorLimiter::kInterval;
  allowed = 0;
  for (int i = 0; i < 1000; i++) allowed += limiter.allow(1, now);
  CHECK(allowed == 10);
  now += hours(1);
  allowed = 0;
  for (int i = 0; i < 1000; i++) allowed += limiter.allow(1, now);
  CHECK(allowed == IcmpErrorLimiter::kBurst);
}
