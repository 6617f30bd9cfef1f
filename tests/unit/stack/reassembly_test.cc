#include "stack/reassembly.h"

#include <algorithm>
#include <memory>
#include <random>

#include "support/catch.h"
#include "unit/wire/packets.h"

using namespace slipgate;
using namespace slipgate::test;

namespace {

const uint64_t kSecret[2] = {1, 2};
const Time kStart = Time(seconds(1000));

Buf pattern(size_t size, uint32_t seed = 1) {
  std::mt19937 random(seed);
  Buf bytes(size);
  for (uint8_t &byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

struct Piece {
  size_t offset;
  size_t size;
  bool more;
};

struct Fixture {
  explicit Fixture(ReassemblyLimits limits = {})
      : fragments(2048, 4096, 16),
        whole(Reassembly::kBufferBytes, 1024, 0),
        timers(kStart),
        reassembly(limits, whole, timers, counters, kSecret) {
    reassembly.on_timeout([this](const FlowKey &, uint32_t client, Bytes first) {
      timed_out.emplace_back(first.begin(), first.end());
      timed_out_client = client;
    });
  }

  std::optional<LinkPacket> add(const Buf &packet, uint32_t client = 1) {
    auto result = parse_packet(packet);
    ParsedPacket *parsed = std::get_if<ParsedPacket>(&result);
    REQUIRE(parsed);
    REQUIRE(parsed->fragment);
    BufferPool &pool = packet.size() > 1900 ? whole : fragments;
    LinkPacket link{pool.allocate(packet.size()), *parsed};
    std::copy(packet.begin(), packet.end(), link.packet.data());
    link.packet.client = client;
    link.packet.link = 3;
    return reassembly.add(std::move(link));
  }
  uint64_t dropped(DropReason reason) const { return counters.dropped(reason); }

  BufferPool fragments, whole;
  TimerWheel timers;
  Counters counters;
  Reassembly reassembly;
  std::vector<Buf> timed_out;
  uint32_t timed_out_client = 0;
};

Buf v4_piece(const Buf &data, Piece piece, V4 fields = {}) {
  fields.fragment = static_cast<uint16_t>(piece.offset / 8 | (piece.more ? 0x2000 : 0));
  return v4(fields, Buf(data.begin() + static_cast<long>(piece.offset),
                        data.begin() + static_cast<long>(piece.offset + piece.size)));
}

Buf v6_piece(const Buf &data, Piece piece, const Buf &extension = {}, uint8_t first_header = 44, uint32_t id = 99) {
  Buf part(data.begin() + static_cast<long>(piece.offset), data.begin() + static_cast<long>(piece.offset + piece.size));
  return v6({.next_header = first_header},
            extension + fragment_header(17, static_cast<unsigned>(piece.offset), piece.more, id) + part);
}

std::vector<Piece> cut(size_t size, size_t step) {
  std::vector<Piece> pieces;
  for (size_t offset = 0; offset < size; offset += step) {
    pieces.push_back({offset, std::min(step, size - offset), offset + step < size});
  }
  return pieces;
}

}  // namespace

TEST_CASE("fragments in any order become the packet that was cut") {
  std::mt19937 random(4);
  for (size_t payload : {1u, 1400u, 1473u, 4000u, 9000u, 60000u, 65507u}) {
    for (bool is_v4 : {true, false}) {
      for (int order = 0; order < 4; order++) {
        Fixture f;
        Buf data = udp(1000, 53, pattern(payload));
        std::vector<Piece> pieces = cut(data.size(), payload < 8 ? 8 : 1376);
        if (order == 1) std::reverse(pieces.begin(), pieces.end());
        if (order > 1) std::shuffle(pieces.begin(), pieces.end(), random);
        if (pieces.size() == 1) continue;
        for (size_t i = 0; i < pieces.size(); i++) {
          auto whole = f.add(is_v4 ? v4_piece(data, pieces[i]) : v6_piece(data, pieces[i]));
          REQUIRE(whole.has_value() == (i + 1 == pieces.size()));
          if (!whole) continue;
          Bytes bytes = whole->packet.bytes();
          Buf expected = is_v4 ? v4({}, data) : v6({}, data);
          REQUIRE(Buf(bytes.begin(), bytes.end()) == expected);
          CHECK_FALSE(whole->parsed.fragment);
          CHECK(whole->parsed.key.inside.port == 1000);
          CHECK(whole->parsed.key.outside.port == 53);
          CHECK(whole->parsed.key.link == 3);
          CHECK(whole->packet.client == 1);
          CHECK(whole->packet.link == 3);
          CHECK(whole->packet.headroom() >= Packet::kHeadroom);
        }
        CHECK(f.reassembly.waiting() == 0);
        CHECK(f.timers.armed() == 0);
      }
    }
  }
}

TEST_CASE("headers of the first fragment are kept and the fragment header falls out") {
  Fixture f;
  Buf data = udp(1000, 53, pattern(100));
  Buf destination_options{44, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  CHECK_FALSE(f.add(v6_piece(data, {56, 52, false}, destination_options, 60)));
  auto whole = f.add(v6_piece(data, {0, 56, true}, destination_options, 60));
  REQUIRE(whole);
  Buf kept = destination_options;
  kept[0] = 17;
  Bytes bytes = whole->packet.bytes();
  CHECK(Buf(bytes.begin(), bytes.end()) == v6({.next_header = 60}, kept + data));

  V4 fields{.options = {1, 1, 1, 0}};
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false})));
  whole = f.add(v4_piece(data, {0, 56, true}, fields));
  REQUIRE(whole);
  bytes = whole->packet.bytes();
  CHECK(Buf(bytes.begin(), bytes.end()) == v4(fields, data));
}

TEST_CASE("congestion seen by one fragment is seen by the whole") {
  Fixture f;
  Buf data = udp(1000, 53, pattern(100));
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false}, {.traffic_class = 3})));
  auto whole = f.add(v4_piece(data, {0, 56, true}, {.traffic_class = 2}));
  REQUIRE(whole);
  CHECK(whole->parsed.traffic_class == 3);
}

TEST_CASE("fragment-overlap-refused: overlapping fragments spoil their datagram, late ones too") {
  Buf data = udp(1000, 53, pattern(200));
  Buf other = udp(1000, 53, pattern(200, 2));
  for (bool is_v4 : {true, false}) {
    auto piece = [&](const Buf &from, Piece at) { return is_v4 ? v4_piece(from, at) : v6_piece(from, at); };
    Fixture f;
    CHECK_FALSE(f.add(piece(data, {0, 104, true})));
    CHECK_FALSE(f.add(piece(other, {96, 16, true})));
    CHECK(f.dropped(DropReason::fragment_overlap) == 1);
    CHECK_FALSE(f.add(piece(data, {104, 104, false})));
    CHECK(f.dropped(DropReason::fragment_overlap) == 2);
    // What was spoiled holds no buffer, and is forgotten in its time without a word.
    CHECK(f.whole.alive() == 0);
    f.timers.advance(kStart + seconds(61));
    CHECK(f.reassembly.waiting() == 0);
    CHECK(f.timed_out.empty());
    CHECK_FALSE(f.add(piece(data, {0, 104, true})));
    CHECK(f.add(piece(data, {104, 104, false})));
  }
}

TEST_CASE("the same fragment twice does no harm") {
  Fixture f;
  Buf data = udp(1000, 53, pattern(200));
  CHECK_FALSE(f.add(v4_piece(data, {0, 104, true})));
  CHECK_FALSE(f.add(v4_piece(data, {0, 104, true})));
  CHECK(f.add(v4_piece(data, {104, 104, false})));
  CHECK(f.dropped(DropReason::fragment_overlap) == 0);
  Buf other = data;
  other[50] ^= 1;
  CHECK_FALSE(f.add(v4_piece(data, {0, 104, true})));
  CHECK_FALSE(f.add(v4_piece(other, {0, 104, true})));
  CHECK(f.dropped(DropReason::fragment_overlap) == 1);
}

TEST_CASE("fragment-past-64k: a fragment that would end behind the longest packet is refused") {
  Fixture f;
  // The ping of death: offset 65,528 and 24 bytes.
  CHECK_FALSE(f.add(v4({.fragment = 0x1fff}, Buf(24, 0xaa))));
  CHECK(f.dropped(DropReason::fragment_malformed) == 1);
  CHECK_FALSE(f.add(v6({.next_header = 44}, fragment_header(17, 65528, false, 5) + Buf(24, 0xaa))));
  CHECK(f.dropped(DropReason::fragment_malformed) == 2);
}

TEST_CASE("a whole packet longer than its length field can say is refused") {
  Fixture f;
  Buf data = pattern(65535);
  std::vector<Piece> pieces = cut(data.size(), 1376);
  for (const Piece &piece : pieces) CHECK_FALSE(f.add(v4_piece(data, piece)));
  CHECK(f.dropped(DropReason::fragment_malformed) == 1);
  CHECK(f.reassembly.waiting() == 0);
}

TEST_CASE("fragment-behind-last: the end does not move and nothing lies behind it") {
  Buf data = udp(1000, 53, pattern(500));
  SECTION("two ends") {
    Fixture f;
    f.add(v4_piece(data, {104, 96, false}));
    f.add(v4_piece(data, {208, 96, false}));
    CHECK(f.dropped(DropReason::fragment_malformed) == 1);
  }
  SECTION("data behind the end") {
    Fixture f;
    f.add(v4_piece(data, {104, 96, false}));
    f.add(v4_piece(data, {208, 96, true}));
    CHECK(f.dropped(DropReason::fragment_malformed) == 1);
  }
  SECTION("an end before data that came") {
    Fixture f;
    f.add(v4_piece(data, {208, 96, true}));
    f.add(v4_piece(data, {104, 96, false}));
    CHECK(f.dropped(DropReason::fragment_malformed) == 1);
  }
}

TEST_CASE("fragments of impossible length are refused") {
  Fixture f;
  CHECK_FALSE(f.add(v4({.fragment = 0x2000}, Buf(13, 1))));
  CHECK_FALSE(f.add(v4({.fragment = 10, .identification = 8}, {})));
  CHECK(f.dropped(DropReason::fragment_malformed) == 2);
}

TEST_CASE("a whole whose transport header is broken is dropped by its reason") {
  Fixture f;
  Buf data = udp(1000, 53, pattern(100));
  data[4] = 9;  // the UDP length
  f.add(v4_piece(data, {0, 56, true}));
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false})));
  CHECK(f.dropped(DropReason::too_short) == 1);
}

TEST_CASE("fragments belong together by addresses, identification, protocol, link and client") {
  Fixture f;
  Buf data = udp(1000, 53, pattern(100));
  f.add(v4_piece(data, {0, 56, true}));
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false}, {.identification = 8})));
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false}, {.source = "10.0.0.3"})));
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false}, {.destination = "192.0.2.2"})));
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false}, {.protocol = 6})));
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false}), 2));
  CHECK(f.add(v4_piece(data, {56, 52, false})));
}

TEST_CASE("what never becomes whole goes after its time, and the sender may be told") {
  Fixture f;
  Buf data = udp(1000, 53, pattern(100));
  Buf first = v4_piece(data, {0, 56, true});
  f.add(first, 9);
  f.add(v6_piece(data, {0, 56, true}));
  f.add(v4_piece(data, {56, 16, true}, {.identification = 55}));
  f.timers.advance(kStart + seconds(29));
  CHECK(f.reassembly.waiting() == 3);
  f.timers.advance(kStart + seconds(31));
  CHECK(f.reassembly.waiting() == 1);
  CHECK(f.dropped(DropReason::fragment_timeout) == 2);
  REQUIRE(f.timed_out.size() == 1);
  CHECK(f.timed_out[0] == first);
  CHECK(f.timed_out_client == 9);
  f.timers.advance(kStart + seconds(61));
  CHECK(f.reassembly.waiting() == 0);
  REQUIRE(f.timed_out.size() == 2);
  CHECK(f.timed_out[1] == v6_piece(data, {0, 56, true}));
  CHECK(f.whole.alive() == 0);
}

TEST_CASE("reassembly-bounded: a client that floods displaces its own") {
  ReassemblyLimits limits;
  limits.most_datagrams = 20;
  limits.most_datagrams_per_client = 8;
  Fixture f(limits);
  Buf data = udp(1000, 53, pattern(100));
  f.add(v4_piece(data, {0, 56, true}), 1);
  for (uint16_t i = 0; i < 100; i++) f.add(v4_piece(data, {0, 56, true}, {.identification = i}), 2);
  CHECK(f.reassembly.waiting() == 9);
  CHECK(f.dropped(DropReason::fragment_limit) == 92);
  CHECK(f.add(v4_piece(data, {56, 52, false}), 1));
  // The newest of the flooder's are there, the oldest are not.
  CHECK(f.add(v4_piece(data, {56, 52, false}, {.identification = 99}), 2));
  CHECK_FALSE(f.add(v4_piece(data, {56, 52, false}, {.identification = 1}), 2));
}

TEST_CASE("reassembly-flood-is-forgotten: many that never become whole do not wait for long") {
  Fixture f;
  Buf data = udp(1000, 53, pattern(100));
  f.add(v4_piece(data, {0, 56, true}), 1);
  for (uint16_t i = 0; i < 100; i++) f.add(v4_piece(data, {0, 56, true}, {.identification = i}), 2);
  f.timers.advance(kStart + seconds(4));
  CHECK(f.reassembly.waiting() == 33);
  f.timers.advance(kStart + seconds(6));
  CHECK(f.reassembly.waiting() == 1);
  CHECK(f.add(v4_piece(data, {56, 52, false}), 1));
}

TEST_CASE("the table of all clients is bounded too") {
  ReassemblyLimits limits;
  limits.most_datagrams = 20;
  limits.most_datagrams_per_client = 8;
  Fixture f(limits);
  Buf data = udp(1000, 53, pattern(100));
  for (uint16_t i = 0; i < 200; i++) f.add(v4_piece(data, {0, 56, true}, {.identification = i}), 1 + i % 5);
  CHECK(f.reassembly.waiting() == 20);
  CHECK(f.whole.alive() == 20);
  // One who has nothing waiting gets in.
  f.add(v4_piece(data, {0, 56, true}), 99);
  CHECK(f.reassembly.waiting() == 20);
  CHECK(f.add(v4_piece(data, {56, 52, false}), 99));
}

TEST_CASE("no buffer: the fragment is dropped and counted") {
  BufferPool none(Reassembly::kBufferBytes, 0, 0), pool(2048, 4, 4);
  TimerWheel timers(kStart);
  Counters counters;
  Reassembly reassembly({}, none, timers, counters, kSecret);
  Buf packet = v4({.fragment = 0x2000}, Buf(16, 1));
  LinkPacket link{pool.allocate(packet.size()), std::get<ParsedPacket>(parse_packet(packet))};
  std::copy(packet.begin(), packet.end(), link.packet.data());
  CHECK_FALSE(reassembly.add(std::move(link)));
  CHECK(counters.dropped(DropReason::buffers_exhausted) == 1);
  CHECK(reassembly.waiting() == 0);
}

TEST_CASE("random fragments neither crash nor make up bytes") {
  Fixture f({.most_datagrams = 16, .most_datagrams_per_client = 6});
  std::mt19937 random(8);
  Buf data = udp(1000, 53, pattern(2000));
  Time now = kStart;
  size_t whole_count = 0;
  for (int round = 0; round < 60000; round++) {
    size_t offset = random() % 20 * 104, size = std::min<size_t>(data.size() - offset, 104);
    Piece piece{offset, size, offset + size < data.size()};
    if (offset > 0 && random() % 1000 == 0) piece.more = !piece.more;
    if (random() % 1000 == 0) piece.size = 1 + random() % size;
    uint16_t id = static_cast<uint16_t>(random() % (random() % 500 ? 2 : 9));
    auto whole = f.add(random() % 2 ? v4_piece(data, piece, {.identification = id}) : v6_piece(data, piece, {}, 44, id),
                       1 + random() % 3);
    if (whole) {
      whole_count++;
      Bytes payload = whole->packet.bytes().subspan(whole->parsed.transport_offset);
      REQUIRE(std::equal(payload.begin(), payload.end(), data.begin()));
    }
    if (random() % 50 == 0) f.timers.advance(now += milliseconds(random() % (random() % 50 ? 1000 : 70000)));
    REQUIRE(f.reassembly.waiting() <= 16);
  }
  CHECK(whole_count > 50);
}
