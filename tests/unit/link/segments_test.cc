#include "link/segments.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include "support/catch.h"
#include "unit/wire/packets.h"

using namespace slipgate;
using namespace slipgate::test;

namespace {

constexpr uint8_t kAck = 0x10, kPsh = 0x08, kFin = 0x01, kCwr = 0x80;

class Pool final : public PacketSource {
 public:
  explicit Pool(size_t most = 4096) : pool_(70000, most, 16) {}
  Packet allocate(size_t size) override { return pool_.allocate(size); }

 private:
  BufferPool pool_;
};

// What the kernel would have got.
struct Written {
  VirtioNetHeader header;
  Buf packet;
};

class Kernel final : public JoinedPackets {
 public:
  std::vector<Written> written;

  void write(std::span<const iovec> pieces) override {
    REQUIRE(pieces.size() >= 2);
    REQUIRE(pieces[0].iov_len == sizeof(VirtioNetHeader));
    Written one;
    std::memcpy(&one.header, pieces[0].iov_base, sizeof(one.header));
    for (const iovec &piece : pieces.subspan(1)) {
      const auto *bytes = static_cast<const uint8_t *>(piece.iov_base);
      one.packet.insert(one.packet.end(), bytes, bytes + piece.iov_len);
    }
    written.push_back(std::move(one));
  }
};

Buf pattern(size_t size, size_t from = 0) {
  Buf bytes(size);
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>((i + from) * 7 + ((i + from) >> 8));
  return bytes;
}

// RFC 1071, the slow way.
uint32_t slow_sum(const uint8_t *bytes, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i < size; i++) sum += i % 2 ? bytes[i] : bytes[i] << 8;
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

struct Shape {
  bool v4 = true;
  bool is_tcp = true;
  uint16_t port = 1000;
  uint8_t flags = kAck;
  Buf options = {};
  uint8_t ttl = 64;
  uint8_t traffic_class = 0;
  uint16_t fragment = 0x4000;
};

size_t transport_of(const Buf &packet) {
  return packet[0] >> 4 == 4 ? (packet[0] & 15) * 4u : 40;
}

uint32_t pseudo_sum(const Buf &packet) {
  const bool is_v4 = packet[0] >> 4 == 4;
  const size_t transport = transport_of(packet);
  uint32_t sum = is_v4 ? slow_sum(packet.data() + 12, 8) : slow_sum(packet.data() + 8, 32);
  sum += is_v4 ? packet[9] : packet[6];
  sum += static_cast<uint32_t>(packet.size() - transport);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

size_t checksum_at(const Buf &packet) {
  const bool is_tcp = (packet[0] >> 4 == 4 ? packet[9] : packet[6]) == 6;
  return transport_of(packet) + (is_tcp ? 16 : 6);
}

void set_checksum(Buf &packet) {
  const size_t transport = transport_of(packet), at = checksum_at(packet);
  packet[at] = packet[at + 1] = 0;
  uint32_t sum = pseudo_sum(packet) + slow_sum(packet.data() + transport, packet.size() - transport);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  packet[at] = static_cast<uint8_t>(~sum >> 8);
  packet[at + 1] = static_cast<uint8_t>(~sum);
}

bool checksum_right(const Buf &packet) {
  const size_t transport = transport_of(packet);
  if (packet[0] >> 4 == 4 && slow_sum(packet.data(), transport) != 0xffff) return false;
  uint32_t sum = pseudo_sum(packet) + slow_sum(packet.data() + transport, packet.size() - transport);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

void put_at(Buf &packet, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; i++) packet[at + i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}
uint32_t get_at(const Buf &packet, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; i++) value = value << 8 | packet[at + i];
  return value;
}

Buf make(const Shape &shape, const Buf &payload, uint32_t sequence = 1000) {
  Buf segment = shape.is_tcp ? tcp(shape.port, 80, shape.flags, shape.options, payload) : udp(shape.port, 53, payload);
  if (shape.is_tcp) put_at(segment, 4, sequence);
  V4 fields4;
  fields4.protocol = shape.is_tcp ? 6 : 17;
  fields4.fragment = shape.fragment;
  fields4.ttl = shape.ttl;
  fields4.traffic_class = shape.traffic_class;
  V6 fields6;
  fields6.next_header = fields4.protocol;
  fields6.hop_limit = shape.ttl;
  fields6.traffic_class = shape.traffic_class;
  Buf packet = shape.v4 ? v4(fields4, segment) : v6(fields6, segment);
  set_checksum(packet);
  return packet;
}

VirtioNetHeader header_of(const Buf &packet, uint8_t kind, size_t segment) {
  VirtioNetHeader header{};
  header.flags = VirtioNetHeader::kNeedsChecksum;
  header.segmentation = kind;
  header.segment_size = static_cast<uint16_t>(segment);
  header.checksum_start = static_cast<uint16_t>(transport_of(packet));
  header.checksum_offset = static_cast<uint16_t>(checksum_at(packet) - transport_of(packet));
  return header;
}

std::vector<Buf> cut(const VirtioNetHeader &header, const Buf &packet) {
  Pool pool;
  std::vector<Packet> pieces;
  REQUIRE_FALSE(cut_packet(header, packet, pool, pieces));
  std::vector<Buf> bytes;
  for (const Packet &piece : pieces) {
    CHECK(piece.headroom() >= Packet::kHeadroom);
    CHECK(piece.tailroom() >= Packet::kTailroom);
    bytes.emplace_back(piece.bytes().begin(), piece.bytes().end());
  }
  return bytes;
}

std::vector<Written> join(std::vector<Buf> packets, bool udp_too = true) {
  Kernel kernel;
  PacketJoiner joiner(kernel, udp_too);
  for (Buf &packet : packets) joiner.add(packet);
  joiner.flush();
  return kernel.written;
}

// A run of `count` segments of `size` bytes.
std::vector<Buf> run_of(const Shape &shape, size_t count, size_t size, uint32_t sequence = 1000) {
  std::vector<Buf> packets;
  for (size_t i = 0; i < count; i++) {
    packets.push_back(make(shape, pattern(size, i * size), sequence + static_cast<uint32_t>(i * size)));
  }
  return packets;
}

}  // namespace

TEST_CASE("a large segment is cut with its headers, lengths, sequence numbers and checksums") {
  for (bool is_v4 : {true, false}) {
    for (const Buf &options : {Buf{}, Buf{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}}) {
      Shape shape{.v4 = is_v4, .flags = kAck | kPsh | kFin | kCwr, .options = options};
      const Buf payload = pattern(10000);
      const Buf large = make(shape, payload);
      const size_t transport = transport_of(large), headers = large.size() - payload.size();
      const uint8_t kind = (is_v4 ? VirtioNetHeader::kTcp4 : VirtioNetHeader::kTcp6) | VirtioNetHeader::kEcn;
      std::vector<Buf> pieces = cut(header_of(large, kind, 1380), large);
      REQUIRE(pieces.size() == 8);
      Buf together;
      for (size_t i = 0; i < pieces.size(); i++) {
        const Buf &piece = pieces[i];
        CHECK(checksum_right(piece));
        CHECK(piece.size() == headers + (i < 7 ? 1380 : 10000 - 7 * 1380));
        CHECK((is_v4 ? size_t(piece[2] << 8 | piece[3]) : size_t(40 + (piece[4] << 8 | piece[5]))) == piece.size());
        CHECK(get_at(piece, transport + 4) == 1000 + i * 1380);
        CHECK(piece[transport + 13] == (kAck | (i == 0 ? kCwr : 0) | (i == 7 ? kPsh | kFin : 0)));
        CHECK(std::equal(piece.begin() + static_cast<long>(transport) + 20, piece.begin() + static_cast<long>(headers),
                         options.begin(), options.end()));
        if (is_v4) CHECK((piece[4] << 8 | piece[5]) == 7 + static_cast<int>(i));
        together.insert(together.end(), piece.begin() + static_cast<long>(headers), piece.end());
      }
      CHECK(together == payload);
    }
  }
}

TEST_CASE("a large datagram run is cut into whole datagrams") {
  for (bool is_v4 : {true, false}) {
    const Buf payload = pattern(3500);
    const Buf large = make({.v4 = is_v4, .is_tcp = false}, payload);
    std::vector<Buf> pieces = cut(header_of(large, VirtioNetHeader::kUdp, 1200), large);
    REQUIRE(pieces.size() == 3);
    for (const Buf &piece : pieces) {
      CHECK(checksum_right(piece));
      const size_t transport = transport_of(piece);
      CHECK(size_t(piece[transport + 4] << 8 | piece[transport + 5]) == piece.size() - transport);
    }
    CHECK(pieces[2].size() == transport_of(large) + 8 + 1100);
  }
}

TEST_CASE("a packet that only lacks its checksum gets it, one that lacks nothing passes unchanged") {
  Buf packet = make({}, pattern(999));
  const Buf whole = packet;
  VirtioNetHeader header = header_of(packet, VirtioNetHeader::kWhole, 0);
  // As the kernel leaves it: the pseudo header's sum in the field.
  const uint32_t pseudo = pseudo_sum(packet);
  packet[checksum_at(packet)] = static_cast<uint8_t>(pseudo >> 8);
  packet[checksum_at(whole) + 1] = static_cast<uint8_t>(pseudo);
  CHECK(cut(header, packet) == std::vector<Buf>{whole});
  CHECK(cut(VirtioNetHeader{}, whole) == std::vector<Buf>{whole});
}

TEST_CASE("headers that do not fit the packet are refused") {
  const Buf packet = make({}, pattern(5000));
  Pool pool;
  std::vector<Packet> pieces;
  auto refused = [&](VirtioNetHeader header, size_t size) {
    pieces.clear();
    return cut_packet(header, Bytes(packet).first(size), pool, pieces).has_value();
  };
  const VirtioNetHeader good = header_of(packet, VirtioNetHeader::kTcp4, 1380);
  CHECK_FALSE(refused(good, packet.size()));
  for (size_t size : {0, 1, 19, 20, 39}) CHECK(refused(good, size));
  VirtioNetHeader bad = good;
  bad.segment_size = 0;
  CHECK(refused(bad, packet.size()));
  bad = good;
  bad.checksum_start = 5039;
  CHECK(refused(bad, packet.size()));
  bad = good;
  bad.segmentation = 3;  // IPv4 fragments, which nobody asked for
  CHECK(refused(bad, packet.size()));
  bad = good;
  bad.segmentation = VirtioNetHeader::kWhole;
  bad.checksum_offset = 0xffff;
  CHECK(refused(bad, packet.size()));
}

TEST_CASE("without buffers a large packet is dropped with its reason") {
  const Buf packet = make({}, pattern(5000));
  Pool pool(2);
  std::vector<Packet> pieces;
  CHECK(cut_packet(header_of(packet, VirtioNetHeader::kTcp4, 1380), packet, pool, pieces) ==
        DropReason::buffers_exhausted);
}

TEST_CASE("segments of one connection are joined into one packet that says how to cut it") {
  for (bool is_v4 : {true, false}) {
    for (const Buf &options : {Buf{}, Buf{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}}) {
      const Shape shape{.v4 = is_v4, .options = options};
      std::vector<Buf> packets = run_of(shape, 40, 1380);
      packets.push_back(
          make({.v4 = is_v4, .flags = kAck | kPsh, .options = options}, pattern(100, 40 * 1380), 1000 + 40 * 1380));
      std::vector<Written> written = join(packets);
      REQUIRE(written.size() == 1);
      const Written &large = written[0];
      CHECK(large.header.segmentation == (is_v4 ? VirtioNetHeader::kTcp4 : VirtioNetHeader::kTcp6));
      CHECK(large.header.segment_size == 1380);
      CHECK(large.header.flags == VirtioNetHeader::kNeedsChecksum);
      const size_t field = checksum_at(large.packet);
      CHECK(uint32_t(large.packet[field] << 8 | large.packet[field + 1]) == pseudo_sum(large.packet));
      // What a card would make of it is what came; only IPv4's identification is free to differ.
      std::vector<Buf> again = cut(large.header, large.packet);
      REQUIRE(again.size() == packets.size());
      for (size_t i = 0; i < again.size(); i++) {
        if (is_v4) {
          again[i][4] = packets[i][4], again[i][5] = packets[i][5];
          set_header_checksum(again[i]);
        }
        CHECK(again[i] == packets[i]);
      }
    }
  }
}

TEST_CASE("datagrams of one flow and size are joined, when the kernel knows what that is") {
  const Shape shape{.is_tcp = false};
  std::vector<Buf> packets = run_of(shape, 10, 1200);
  packets.push_back(make(shape, pattern(50)));
  packets.push_back(make(shape, pattern(50)));
  std::vector<Written> written = join(packets);
  REQUIRE(written.size() == 2);
  CHECK(written[0].header.segmentation == VirtioNetHeader::kUdp);
  CHECK(written[0].header.segment_size == 1200);
  CHECK(written[0].packet.size() == 28 + 10 * 1200 + 50);
  CHECK(written[1].packet == packets[11]);
  CHECK(join(packets, false).size() == 12);
}

TEST_CASE("packets whose TTL or traffic class differ are not joined tun-join-same-ttl") {
  for (Shape other : {Shape{.ttl = 63}, Shape{.traffic_class = 3}, Shape{.fragment = 0}}) {
    std::vector<Buf> packets = run_of({}, 1, 1000);
    packets.push_back(make(other, pattern(1000), 2000));
    std::vector<Written> written = join(packets);
    REQUIRE(written.size() == 2);
    CHECK(written[0].packet == packets[0]);
    CHECK(written[1].packet == packets[1]);
  }
}

TEST_CASE("packets with IP options are not joined tun-join-no-ip-options") {
  auto with_options = [](uint32_t sequence) {
    Buf segment = tcp(1000, 80, kAck, {}, pattern(1000));
    put_at(segment, 4, sequence);
    V4 fields;
    fields.protocol = 6;
    fields.options = {1, 1, 1, 1};
    Buf packet = v4(fields, segment);
    set_checksum(packet);
    return packet;
  };
  std::vector<Buf> packets{with_options(1000), with_options(2000)};
  std::vector<Written> written = join(packets);
  REQUIRE(written.size() == 2);
  CHECK(written[0].packet == packets[0]);
}

TEST_CASE("fragments are not joined tun-join-no-fragments") {
  for (uint16_t fragment : {0x2000, 0x2010, 0x0010}) {
    const Shape shape{.fragment = fragment};
    CHECK(join({make(shape, pattern(1000)), make(shape, pattern(1000), 2000)}).size() == 2);
  }
}

TEST_CASE("a push ends a run tun-join-push-ends") {
  std::vector<Buf> packets = run_of({}, 2, 1000);
  packets.push_back(make({.flags = kAck | kPsh}, pattern(1000), 3000));
  packets.push_back(make({}, pattern(1000), 4000));
  std::vector<Written> written = join(packets);
  REQUIRE(written.size() == 2);
  CHECK(written[0].packet.size() == 40 + 3000);
  CHECK(written[0].packet[33] == (kAck | kPsh));
  CHECK(written[1].packet == packets[3]);
}

TEST_CASE("a shorter segment ends a run, a longer one begins another") {
  std::vector<Buf> packets{make({}, pattern(1000)), make({}, pattern(500), 2000), make({}, pattern(500), 2500),
                           make({}, pattern(1000), 3000)};
  std::vector<Written> written = join(packets);
  REQUIRE(written.size() == 3);
  CHECK(written[0].packet.size() == 40 + 1500);
  CHECK(written[1].packet.size() == 40 + 500);
  CHECK(written[2].packet.size() == 40 + 1000);
}

TEST_CASE("what has a wrong checksum reaches the kernel as it came tun-join-checksum-verified") {
  for (size_t bad : {0, 1, 2}) {
    std::vector<Buf> packets = run_of({}, 3, 1000);
    packets[bad][500] ^= 1;
    std::vector<Written> written = join(packets);
    bool found = false;
    for (const Written &one : written) {
      if (one.packet == packets[bad]) {
        found = true;
        CHECK(one.header.flags == 0);
      }
    }
    CHECK(found);
  }
}

TEST_CASE("what is not the next of its connection, or is no plain data, is not joined") {
  const Buf first = make({}, pattern(1000));
  for (const Buf &second :
       {make({}, pattern(1000), 2001), make({}, pattern(1000), 1999), make({.flags = kAck | kFin}, pattern(1000), 2000),
        make({.flags = kAck | 0x20}, pattern(1000), 2000), make({.flags = kAck | 0x40}, pattern(1000), 2000),
        make({}, {}, 2000), make({.port = 1001}, pattern(1000), 2000),
        make({.options = {1, 1, 1, 1}}, pattern(1000), 2000), make({.is_tcp = false}, pattern(1000))}) {
    std::vector<Written> written = join({first, second});
    REQUIRE(written.size() == 2);
    CHECK(std::count_if(written.begin(), written.end(), [&](const Written &one) { return one.packet == first; }) == 1);
    CHECK(std::count_if(written.begin(), written.end(), [&](const Written &one) { return one.packet == second; }) == 1);
  }
}

TEST_CASE("a run ends before it is longer than a packet can be") {
  std::vector<Buf> packets = run_of({}, 60, 1380);
  std::vector<Written> written = join(packets);
  REQUIRE(written.size() == 2);
  CHECK(written[0].packet.size() + written[1].packet.size() == 80 + 60 * 1380);
  CHECK(std::max(written[0].packet.size(), written[1].packet.size()) == 40 + 47 * 1380);
  packets = run_of({}, 200, 100);
  for (const Written &one : join(packets)) CHECK(one.packet.size() <= 40 + 64 * 100);
}

TEST_CASE("whatever the mixture, every flow's packets arrive whole and in order") {
  std::mt19937 random(7);
  auto pick = [&](size_t below) { return random() % below; };
  for (int round = 0; round < 300; round++) {
    struct Flow {
      Shape shape;
      uint32_t sequence = 1000;
      std::vector<Buf> sent, got;
    };
    std::vector<Flow> flows(1 + pick(24));
    for (size_t i = 0; i < flows.size(); i++) {
      flows[i].shape = {.v4 = pick(2) == 0, .is_tcp = pick(3) != 0, .port = static_cast<uint16_t>(2000 + i)};
    }
    std::vector<Buf> batch;
    while (batch.size() < 200) {
      Flow &flow = flows[pick(flows.size())];
      const size_t count = 1 + pick(12), size = 1 + pick(1400);
      for (size_t i = 0; i < count; i++) {
        Shape shape = flow.shape;
        if (pick(10) == 0) shape.flags |= kPsh;
        if (pick(40) == 0) shape.flags |= kFin;
        if (pick(40) == 0) shape.ttl = 63;
        const size_t length = pick(12) == 0 ? pick(size + 1) : size;
        if (pick(30) == 0) flow.sequence += 5;
        Buf packet = make(shape, pattern(length, flow.sequence), flow.sequence);
        flow.sequence += static_cast<uint32_t>(length);
        if (pick(40) == 0) packet[packet.size() - 1] ^= 0x55;
        flow.sent.push_back(packet);
        batch.push_back(packet);
      }
    }
    for (const Written &one : join(batch)) {
      const size_t transport = transport_of(one.packet);
      Flow &flow = flows[size_t(one.packet[transport] << 8 | one.packet[transport + 1]) - 2000];
      for (Buf &piece : cut(one.header, one.packet)) flow.got.push_back(std::move(piece));
    }
    for (Flow &flow : flows) {
      REQUIRE(flow.got.size() == flow.sent.size());
      for (size_t i = 0; i < flow.sent.size(); i++) {
        if (flow.shape.v4) {
          flow.got[i][4] = flow.sent[i][4], flow.got[i][5] = flow.sent[i][5];
          set_header_checksum(flow.got[i]);
        }
        REQUIRE(flow.got[i] == flow.sent[i]);
      }
    }
  }
}
