#include "wire/flow_key.h"

#include <random>
#include <set>

#include "support/catch.h"
#include "unit/wire/packets.h"

using namespace slipgate;
using namespace slipgate::test;

namespace {

ParsedPacket accepted(const Buf &packet) {
  auto result = parse_packet(packet);
  if (DropReason *reason = std::get_if<DropReason>(&result)) FAIL("dropped: " << name_of(*reason));
  return std::get<ParsedPacket>(result);
}

std::string dropped(const Buf &packet) {
  auto result = parse_packet(packet);
  DropReason *reason = std::get_if<DropReason>(&result);
  return reason ? std::string(name_of(*reason)) : "accepted";
}

constexpr uint8_t kTcp = 6, kUdp = 17, kIcmp = 1, kIcmpv6 = 58;
const Buf kEight(8, 0xee);

}  // namespace

TEST_CASE("a TCP segment of either family") {
  ParsedPacket v4_parsed =
      accepted(v4({.protocol = kTcp, .fragment = 0x4000, .traffic_class = 0x2e, .ttl = 9}, tcp(40000, 80, 2)));
  CHECK(v4_parsed.key.to_string() == "tcp 10.0.0.2:40000 > 192.0.2.1:80");
  CHECK(v4_parsed.transport_offset == 20);
  CHECK(v4_parsed.length == 40);
  CHECK(v4_parsed.ttl == 9);
  CHECK(v4_parsed.traffic_class == 0x2e);
  CHECK(v4_parsed.dont_fragment);
  CHECK_FALSE(v4_parsed.fragment);
  CHECK(v4_parsed.tcp_flags == 2);
  CHECK_FALSE(v4_parsed.has_ip_options);

  ParsedPacket v6_parsed =
      accepted(v6({.next_header = kTcp, .traffic_class = 0xb8, .hop_limit = 3}, tcp(40000, 443, 0x12)));
  CHECK(v6_parsed.key.to_string() == "tcp [fd00::2]:40000 > [2001:db8::1]:443");
  CHECK(v6_parsed.transport_offset == 40);
  CHECK(v6_parsed.length == 60);
  CHECK(v6_parsed.ttl == 3);
  CHECK(v6_parsed.traffic_class == 0xb8);
  CHECK(v6_parsed.dont_fragment);
}

TEST_CASE("padding behind the IP length is left out") {
  Buf packet = v4({}, udp(1000, 53, kEight));
  size_t length = packet.size();
  packet.resize(length + 13);
  CHECK(accepted(packet).length == length);
  Buf packet_v6 = v6({}, udp(1000, 53, kEight));
  length = packet_v6.size();
  packet_v6.resize(length + 7);
  CHECK(accepted(packet_v6).length == length);
}

TEST_CASE("an echo's identifier stands in the inside port") {
  FlowKey key = accepted(v4({.protocol = kIcmp}, echo(8, 0x1234, 1))).key;
  CHECK(key.inside.port == 0x1234);
  CHECK(key.outside.port == 0);
  CHECK(key.protocol == Protocol::icmp);
  key = accepted(v6({.next_header = kIcmpv6}, echo(128, 0x4321, 1))).key;
  CHECK(key.inside.port == 0x4321);
  CHECK(key.protocol == Protocol::icmpv6);
  CHECK(accepted(v4({.protocol = kIcmp}, echo(0, 77, 1))).key.inside.port == 77);
  CHECK(accepted(v4({.protocol = kIcmp}, echo(3, 77, 1))).key.inside.port == 0);
  CHECK(accepted(v6({.next_header = kIcmpv6}, echo(1, 77, 1))).key.inside.port == 0);
}

TEST_CASE("IPv4 options are passed over") {
  ParsedPacket parsed = accepted(v4({.options = {1, 1, 1, 0}}, udp(5, 6)));
  CHECK(parsed.has_ip_options);
  CHECK(parsed.transport_offset == 24);
  CHECK(parsed.key.outside.port == 6);
}

TEST_CASE("fragments are flagged and have no ports") {
  ParsedPacket first = accepted(v4({.fragment = 0x2000}, udp(5, 6, kEight)));
  CHECK(first.fragment);
  CHECK(first.key.inside.port == 0);
  CHECK(first.transport_offset == 20);
  CHECK(accepted(v4({.fragment = 100}, {1})).fragment);
  ParsedPacket later = accepted(v6({.next_header = 44}, fragment_header(kUdp, 1280, false, 1) + kEight));
  CHECK(later.fragment);
  CHECK(later.transport_offset == 48);
  CHECK(later.key.protocol == Protocol::udp);
  CHECK(later.has_ip_options);
  CHECK(dropped(v6({.next_header = 44}, fragment_header(132, 0, true, 1) + kEight)) == "unknown_protocol");
}

TEST_CASE("an atomic fragment is a whole packet") {
  ParsedPacket parsed = accepted(v6({.next_header = 44}, fragment_header(kUdp, 0, false, 1) + udp(5, 6)));
  CHECK_FALSE(parsed.fragment);
  CHECK(parsed.key.outside.port == 6);
  CHECK(parsed.transport_offset == 48);
}

TEST_CASE("IPv6 extension headers are walked") {
  Buf hop_by_hop{60, 0, 5, 2, 0, 0, 1, 0};  // router alert, PadN
  Buf destination{43, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  Buf routing{kUdp, 0, 0, 0, 0, 0, 0, 0};
  ParsedPacket parsed = accepted(v6({.next_header = 0}, hop_by_hop + destination + routing + udp(5, 6)));
  CHECK(parsed.transport_offset == 40 + 8 + 16 + 8);
  CHECK(parsed.key.outside.port == 6);
  CHECK(parsed.has_ip_options);
}

TEST_CASE("extension-header-past-end: extension headers that do not add up are refused") {
  CHECK(dropped(v6({.next_header = 60}, {kUdp, 5, 1, 4, 0, 0, 0, 0})) == "too_short");
  CHECK(dropped(v6({.next_header = 60}, {kUdp, 255, 1, 4, 0, 0, 0, 0})) == "too_short");
  CHECK(dropped(v6({.next_header = 60}, {kUdp})) == "too_short");
  CHECK(dropped(v6({.next_header = 60}, {})) == "too_short");
  CHECK(dropped(v6({.next_header = 44}, {kUdp, 0, 0})) == "too_short");
  CHECK(dropped(v6({.next_header = 60}, Buf{kUdp, 0, 1, 5, 0, 0, 0, 0} + udp(5, 6))) == "bad_option");
  CHECK(dropped(v6({.next_header = 60}, Buf{kUdp, 0, 0, 0, 0, 0, 0, 1} + udp(5, 6))) == "bad_option");
  CHECK(dropped(v6({.next_header = 60}, Buf{kUdp, 0, 0, 0, 0, 0, 0, 0} + udp(5, 6))) == "accepted");
  CHECK(dropped(v6({.next_header = 60}, Buf{kUdp, 0, 0xc9, 4, 0, 0, 0, 0} + udp(5, 6))) == "bad_option");
  CHECK(dropped(v6({.next_header = 60}, Buf{kUdp, 0, 0x1e, 4, 0, 0, 0, 0} + udp(5, 6))) == "accepted");
  CHECK(dropped(v6({.next_header = 43}, Buf{kUdp, 0, 0, 1, 0, 0, 0, 0} + udp(5, 6))) == "bad_option");
  CHECK(dropped(v6({.next_header = 60}, Buf{0, 0, 1, 4, 0, 0, 0, 0} + Buf{kUdp, 0, 1, 4, 0, 0, 0, 0} + udp(5, 6))) ==
        "bad_option");
  Buf many;
  for (int i = 0; i < 9; i++) many = many + Buf{static_cast<uint8_t>(i == 8 ? kUdp : 60), 0, 1, 4, 0, 0, 0, 0};
  CHECK(dropped(v6({.next_header = 60}, many + udp(5, 6))) == "bad_option");
  CHECK(dropped(v6({.next_header = 59}, {})) == "unknown_protocol");
  CHECK(dropped(v6({.next_header = 51}, kEight)) == "unknown_protocol");
}

TEST_CASE("syn-from-broadcast: sources that nobody may use") {
  for (const char *source : {"255.255.255.255", "224.0.0.1", "239.1.2.3", "127.0.0.1", "0.0.0.0"}) {
    INFO(source);
    CHECK(dropped(v4({.source = source, .protocol = kTcp}, tcp(40000, 80, 2))) == "bad_source");
  }
  for (const char *source : {"ff02::1", "::1", "::"}) {
    INFO(source);
    CHECK(dropped(v6({.source = source, .next_header = kTcp}, tcp(40000, 80, 2))) == "bad_source");
  }
}

TEST_CASE("syn-to-port-0: destinations that nobody may use") {
  CHECK(dropped(v4({.protocol = kTcp}, tcp(40000, 0, 2))) == "bad_destination");
  CHECK(dropped(v4({.protocol = kTcp}, tcp(0, 80, 2))) == "bad_source");
  CHECK(dropped(v4({}, udp(40000, 0))) == "bad_destination");
  CHECK(dropped(v4({}, udp(0, 53))) == "accepted");
  CHECK(dropped(v4({.destination = "0.0.0.0"}, udp(5, 6))) == "bad_destination");
  CHECK(dropped(v6({.destination = "::"}, udp(5, 6))) == "bad_destination");
}

TEST_CASE("mapped-destination: an IPv4-mapped address does not pass for an IPv4 one") {
  CHECK(dropped(v6({.destination = "::ffff:127.0.0.1"}, udp(5, 6))) == "bad_destination");
  CHECK(dropped(v6({.source = "::ffff:10.0.0.2"}, udp(5, 6))) == "bad_source");
}

TEST_CASE("malformed headers are refused by name") {
  CHECK(dropped({}) == "too_short");
  CHECK(dropped({0x45}) == "too_short");
  CHECK(dropped({0x60}) == "too_short");
  CHECK(dropped(Buf(40, 0x50)) == "bad_version");
  CHECK(dropped(Buf(40, 0)) == "bad_version");

  Buf packet = v4({.protocol = kTcp}, tcp(1, 2, 2));
  CHECK(dropped(Buf(packet.begin(), packet.end() - 1)) == "too_short");
  Buf broken = packet;
  broken[8] ^= 1;
  CHECK(dropped(broken) == "bad_checksum");
  broken = packet, broken[0] = 0x44;
  CHECK(dropped(broken) == "bad_header");
  broken = packet, broken[0] = 0x4f;
  CHECK(dropped(broken) == "bad_header");
  broken = packet, broken[2] = 0, broken[3] = 19, set_header_checksum(broken);
  CHECK(dropped(broken) == "bad_header");
  broken = packet, broken[32] = 0x40;  // TCP data offset 4
  CHECK(dropped(broken) == "bad_header");
  broken = packet, broken[32] = 0x60;
  CHECK(dropped(broken) == "too_short");
  CHECK(dropped(v4({.protocol = kTcp}, Buf(19, 0))) == "too_short");
  CHECK(dropped(v4({.protocol = kUdp}, Buf(7, 0))) == "too_short");
  CHECK(dropped(v4({.protocol = kIcmp}, Buf(7, 0))) == "too_short");
  CHECK(dropped(v4({.protocol = 132}, kEight)) == "unknown_protocol");
  CHECK(dropped(v4({.protocol = kIcmpv6}, kEight)) == "unknown_protocol");
  CHECK(dropped(v6({.next_header = kIcmp}, kEight)) == "unknown_protocol");

  Buf datagram = udp(5, 6, kEight);
  datagram[5] = 17;
  CHECK(dropped(v4({}, datagram)) == "too_short");
  datagram[5] = 7;
  CHECK(dropped(v4({}, datagram)) == "bad_header");
  datagram[5] = 12;
  CHECK(dropped(v4({}, datagram)) == "accepted");
}

TEST_CASE("random bytes and random damage never get past the end") {
  std::mt19937_64 random(5);
  std::vector<Buf> seeds{v4({.protocol = kTcp, .options = {1, 1, 1, 1}}, tcp(1, 2, 2, {2, 4, 5, 0xb4})),
                         v6({.next_header = 0}, Buf{60, 0, 1, 4, 0, 0, 0, 0} + Buf{44, 0, 1, 4, 0, 0, 0, 0} +
                                                    fragment_header(kUdp, 0, false, 1) + udp(5, 6, kEight))};
  for (int round = 0; round < 100000; round++) {
    Buf packet = seeds[random() % seeds.size()];
    for (int change = random() % 4; change >= 0; change--)
      packet[random() % packet.size()] = static_cast<uint8_t>(random());
    if (packet[0] >> 4 == 4) set_header_checksum(packet);
    packet.resize(random() % 3 ? packet.size() : random() % packet.size());
    Buf exact(packet);
    exact.shrink_to_fit();
    auto result = parse_packet(exact);
    if (ParsedPacket *parsed = std::get_if<ParsedPacket>(&result)) {
      REQUIRE(parsed->length <= exact.size());
      REQUIRE(parsed->transport_offset <= parsed->length);
    }
  }
}

namespace {

// SipHash as its paper describes it, over bytes, for any number of rounds.
uint64_t siphash(Bytes message, uint64_t k0, uint64_t k1, int compress, int finish) {
  uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
  auto left = [](uint64_t value, int bits) { return value << bits | value >> (64 - bits); };
  auto rounds = [&](int count) {
    while (count-- > 0) {
      v[0] += v[1], v[2] += v[3];
      v[1] = left(v[1], 13) ^ v[0], v[3] = left(v[3], 16) ^ v[2];
      v[0] = left(v[0], 32);
      v[2] += v[1], v[0] += v[3];
      v[1] = left(v[1], 17) ^ v[2], v[3] = left(v[3], 21) ^ v[0];
      v[2] = left(v[2], 32);
    }
  };
  for (size_t i = 0; i <= message.size(); i += 8) {
    uint64_t word = 0;
    for (size_t j = i; j < i + 8 && j < message.size(); j++) word |= uint64_t{message[j]} << 8 * (j - i);
    if (i + 8 > message.size()) word |= uint64_t{message.size()} << 56;
    v[3] ^= word;
    rounds(compress);
    v[0] ^= word;
  }
  v[2] ^= 0xff;
  rounds(finish);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

}  // namespace

TEST_CASE("keyed_hash is SipHash-1-3 of the key's bytes") {
  // The paper's test vector, for the plain version above: SipHash-2-4 of 00..0e under the key 00..0f.
  Buf message;
  for (uint8_t i = 0; i < 15; i++) message.push_back(i);
  REQUIRE(siphash(message, 0x0706050403020100, 0x0f0e0d0c0b0a0908, 2, 4) == 0xa129ca6149be45e5);

  const uint64_t secret[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  for (bool is_v4 : {true, false}) {
    FlowKey key{{ip(is_v4 ? "10.0.0.2" : "fd00::2"), 0x1234},
                {ip(is_v4 ? "192.0.2.1" : "2001:db8::1"), 0x5678},
                Protocol::udp,
                0x9abc};
    Buf bytes;
    put(bytes, key.inside.address.family_bytes());
    put(bytes, key.outside.address.family_bytes());
    put(bytes, Buf{0x34, 0x12, 0x78, 0x56, 17, 0xbc, 0x9a});
    CHECK(keyed_hash(key, secret) == siphash(bytes, secret[0], secret[1], 1, 3));
  }
}

TEST_CASE("table-hash-keyed: the hash depends on every field and on the secret") {
  const uint64_t secret[2] = {1, 2}, other_low[2] = {3, 2}, other_high[2] = {1, 3};
  FlowKey key{{ip("10.0.0.2"), 1}, {ip("192.0.2.1"), 2}, Protocol::tcp, 0};
  std::set<uint64_t> hashes{keyed_hash(key, secret), keyed_hash(key, other_low), keyed_hash(key, other_high)};
  auto add = [&](auto change) {
    FlowKey changed = key;
    change(changed);
    hashes.insert(keyed_hash(changed, secret));
  };
  add([](FlowKey &k) { k.inside.port = 7; });
  add([](FlowKey &k) { k.outside.port = 7; });
  add([](FlowKey &k) { k.inside.address = ip("10.0.0.3"); });
  add([](FlowKey &k) { k.outside.address = ip("192.0.2.2"); });
  add([](FlowKey &k) { k.protocol = Protocol::udp; });
  add([](FlowKey &k) { k.link = 1; });
  add([](FlowKey &k) { std::swap(k.inside, k.outside); });
  CHECK(hashes.size() == 10);
}
