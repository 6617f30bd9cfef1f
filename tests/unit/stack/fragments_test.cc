#include "stack/fragments.h"

#include <set>

#include "stack/reassembly.h"
#include "support/catch.h"
#include "unit/stack/fragment_output.h"
#include "unit/wire/packets.h"

using namespace slipgate;
using namespace slipgate::test;

namespace {

IpFields fields(bool v4) {
  IpFields made;
  made.source = ip(v4 ? "192.0.2.1" : "2001:db8::1");
  made.destination = ip(v4 ? "10.0.0.2" : "fd00::2");
  made.protocol = 17;
  made.dont_fragment = false;
  made.identification = 0xabcd1234;
  return made;
}

Buf pattern(size_t size) {
  Buf bytes(size);
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>(i * 7 + i / 256);
  return bytes;
}

}  // namespace

TEST_CASE("what fits is one packet") {
  for (bool v4_family : {true, false}) {
    TestOutput output;
    Counters counters;
    std::vector<Packet> packets;
    size_t room = 1420 - (v4_family ? 28 : 48);
    REQUIRE(make_packets(fields(v4_family), udp(53, 1000, {}), pattern(room), 1420, output, counters, packets));
    REQUIRE(packets.size() == 1);
    CHECK(packets[0].size() == 1420);
    Buf payload = udp(53, 1000, {}) + pattern(room);
    Bytes bytes = packets[0].bytes();
    Buf expected = v4_family ? v4({.source = "192.0.2.1", .destination = "10.0.0.2", .identification = 0x1234}, payload)
                             : v6({.source = "2001:db8::1", .destination = "fd00::2"}, payload);
    CHECK(Buf(bytes.begin(), bytes.end()) == expected);

    packets.clear();
    REQUIRE(make_packets(fields(v4_family), udp(53, 1000, {}), pattern(room + 1), 1420, output, counters, packets));
    CHECK(packets.size() == 2);
  }
}

TEST_CASE("fragments fit the MTU and become whole again") {
  const uint64_t secret[2] = {};
  for (bool v4_family : {true, false}) {
    for (size_t mtu : {576u, 1280u, 1420u, 1421u, 1427u}) {
      for (size_t size : {1393u, 1473u, 4000u, 9000u, 60000u, 65507u}) {
        TestOutput output;
        Counters counters;
        BufferPool pool(Reassembly::kBufferBytes, 2, 2);
        TimerWheel timers{Time(seconds(1))};
        Reassembly reassembly({}, pool, timers, counters, secret);
        std::vector<Packet> packets;
        Buf data = udp(53, 1000, pattern(size));
        REQUIRE(make_packets(fields(v4_family), Bytes(data).first(8), Bytes(data).subspan(8), mtu, output, counters,
                             packets));
        if (packets.size() == 1) continue;
        std::optional<LinkPacket> whole;
        for (Packet &packet : packets) {
          REQUIRE(packet.size() <= mtu);
          REQUIRE(packet.headroom() >= Packet::kHeadroom);
          REQUIRE_FALSE(whole);
          LinkPacket link{std::move(packet), {}};
          link.parsed = std::get<ParsedPacket>(parse_packet(link.packet.bytes()));
          REQUIRE(link.parsed.fragment);
          whole = reassembly.add(std::move(link));
        }
        REQUIRE(whole);
        Bytes transport = whole->packet.bytes().subspan(whole->parsed.transport_offset);
        CHECK(Buf(transport.begin(), transport.end()) == data);
      }
    }
  }
}

TEST_CASE("what may not be cut or is too long is refused and counted") {
  TestOutput output;
  Counters counters;
  std::vector<Packet> packets;
  IpFields whole_only = fields(true);
  whole_only.dont_fragment = true;
  CHECK_FALSE(make_packets(whole_only, udp(1, 2), pattern(1400), 1420, output, counters, packets));
  CHECK_FALSE(make_packets(fields(true), udp(1, 2), pattern(65508), 1420, output, counters, packets));
  CHECK_FALSE(make_packets(fields(false), udp(1, 2), pattern(65528), 1420, output, counters, packets));
  CHECK_FALSE(make_packets(fields(true), udp(1, 2), pattern(100), 20, output, counters, packets));
  CHECK(counters.dropped(DropReason::message_too_long) == 4);
  CHECK(packets.empty());
  CHECK(make_packets(fields(false), udp(1, 2), pattern(65527), 1420, output, counters, packets));
}

TEST_CASE("fragments-all-or-none: when buffers run out nothing is sent") {
  TestOutput output(3);
  Counters counters;
  std::vector<Packet> packets;
  CHECK_FALSE(make_packets(fields(true), udp(1, 2), pattern(9000), 1420, output, counters, packets));
  CHECK(packets.empty());
  CHECK(counters.dropped(DropReason::buffers_exhausted) == 1);
  CHECK(output.pool.alive() == 0);
}

TEST_CASE("identifications do not repeat for a pair and differ between pairs") {
  const uint64_t secret[2] = {5, 6};
  FragmentIdentification source(secret);
  std::set<uint16_t> seen;
  for (int i = 0; i < 1000; i++) seen.insert(static_cast<uint16_t>(source.next(ip("192.0.2.1"), ip("10.0.0.2"))));
  CHECK(seen.size() == 1000);
  FragmentIdentification again(secret);
  CHECK(again.next(ip("192.0.2.1"), ip("10.0.0.2")) != again.next(ip("192.0.2.1"), ip("10.0.0.3")));
}
