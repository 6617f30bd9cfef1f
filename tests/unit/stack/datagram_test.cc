// Datagrams, echo and ICMP errors.
#include "unit/stack/harness.h"

using namespace slipgate;
using namespace slipgate::stack_test;

TEST_CASE("a datagram in and its answer out") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.input(h.make_udp("question"));
    REQUIRE(h.datagrams.size() == 1);
    CHECK(h.datagrams[0].payload == "question");
    CHECK(h.datagrams[0].key.inside == h.key.inside);
    CHECK(h.datagrams[0].key.outside == h.key.outside);
    CHECK(h.datagrams[0].info.ttl == 64);
    FlowKey key = h.key;
    key.protocol = Protocol::udp;
    REQUIRE(h.stack.send_datagram(key, bytes("answer"), {.ttl = 12, .traffic_class = 8, .dont_fragment = true}));
    Sent answer = h.next();
    CHECK(answer.parsed.key.protocol == Protocol::udp);
    CHECK(answer.parsed.key.inside == h.key.outside);
    CHECK(answer.parsed.key.outside == h.key.inside);
    CHECK(answer.parsed.ttl == 12);
    CHECK(answer.parsed.traffic_class == 8);
    CHECK(answer.parsed.dont_fragment);
    CHECK(text_of(Bytes(answer.packet).subspan(answer.parsed.transport_offset + sizeof(UdpHeader))) == "answer");
  }
}

TEST_CASE("an empty datagram is a datagram") {
  Harness h;
  h.input(h.make_udp(""));
  REQUIRE(h.datagrams.size() == 1);
  CHECK(h.datagrams[0].payload.empty());
  FlowKey key = h.key;
  key.protocol = Protocol::udp;
  REQUIRE(h.stack.send_datagram(key, {}, {}));
  CHECK(h.next().packet.size() == 28);
}

TEST_CASE("checksums of datagrams [udp-checksum-verified] [udp-v6-needs-checksum]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.input(h.make_udp("hello", 0x1234));
    CHECK(h.datagrams.empty());
    CHECK(h.counters.dropped(DropReason::bad_checksum) == 1);
    h.input(h.make_udp("hello", 0));  // none: IPv4 only
    CHECK(h.datagrams.size() == (v4 ? 1 : 0));
  }
}

TEST_CASE("lengths of datagrams [udp-length-within-packet]") {
  Harness h;
  for (int length : {0, 7, 14, 65535}) {
    // Straight in: what looks at packets before the stack may refuse it already.
    std::vector<LinkPacket> batch(1);
    batch[0].packet = h.make_udp("hello", 0, length);
    batch[0].parsed = {.key = h.key, .transport_offset = 20, .length = 33, .ttl = 64};
    batch[0].parsed.key.protocol = Protocol::udp;
    h.stack.input(batch);
  }
  CHECK(h.counters.dropped(DropReason::bad_header) == 4);
  CHECK(h.datagrams.empty());
  h.input(h.make_udp("hello", 0, 10));  // shorter than the packet: what is behind it is not data
  REQUIRE(h.datagrams.size() == 1);
  CHECK(h.datagrams[0].payload == "he");
}

TEST_CASE("long datagrams are cut, or refused when they must not be") {
  Harness h;
  FlowKey key = h.key;
  key.protocol = Protocol::udp;
  std::string text(4000, 'x');
  REQUIRE(h.stack.send_datagram(key, bytes(text), {}));
  CHECK(h.all().size() == 3);
  CHECK_FALSE(h.stack.send_datagram(key, bytes(text), {.dont_fragment = true}));
  CHECK(h.counters.dropped(DropReason::message_too_long) == 1);
  std::string most(65'507, 'x');
  CHECK(h.stack.send_datagram(key, bytes(most), {}));
  CHECK(h.all().size() > 40);
  most += 'x';
  CHECK_FALSE(h.stack.send_datagram(key, bytes(most), {}));
  CHECK(h.quiet());
  Harness six(false);
  key = six.key;
  key.protocol = Protocol::udp;
  for (size_t size : {65'487, 65'488, 65'527}) {
    CHECK(six.stack.send_datagram(key, bytes(std::string(size, 'x')), {}));
    CHECK(six.all().size() > 40);
  }
  CHECK_FALSE(six.stack.send_datagram(key, bytes(std::string(65'528, 'x')), {}));
}

TEST_CASE("an echo request is passed on, never answered by the stack itself [echo-not-answered-by-stack]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.input(h.make_icmp({static_cast<uint8_t>(v4 ? 8 : 128), 0, 0, 0, 0x12, 0x34, 0, 7, 'p', 'i', 'n', 'g'}));
    REQUIRE(h.echoes.size() == 1);
    CHECK(h.echoes[0].payload == "ping");
    CHECK(h.echoes[0].key.inside.port == 0x1234);
    CHECK(h.echo_sequence == 7);
    CHECK(h.quiet());
    REQUIRE(h.stack.send_echo_reply(h.echoes[0].key, 7, bytes("ping"), {}));
    Sent reply = h.next();
    CHECK(reply.parsed.key.inside.address == h.key.outside.address);
    Bytes message = Bytes(reply.packet).subspan(reply.parsed.transport_offset);
    CHECK(message[0] == (v4 ? 0 : 129));
    CHECK(message[4] == 0x12);
    CHECK(message[7] == 7);
    CHECK(text_of(message.subspan(8)) == "ping");
  }
}

TEST_CASE(
    "what came in fragments for another client goes on, in fragments and one hop further [fragments-pass-through]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    FlowKey key = h.key;
    key.protocol = Protocol::udp;
    const std::string text(3000, 'x');
    const IpAddress gateway = v4 ? IpAddress::v4(10, 0, 0, 1) : *IpAddress::parse("fd00::1");
    for (uint8_t ttl : {64, 1}) {
      h.passage.reset();
      REQUIRE(h.stack.send_datagram(key, bytes(text), {.ttl = ttl}));
      h.passage = Passage{0, gateway};
      for (const Sent &fragment : h.all()) {
        Packet packet = h.input_pool.allocate(fragment.packet.size());
        std::copy(fragment.packet.begin(), fragment.packet.end(), packet.data());
        packet.client = h.client;
        h.input(std::move(packet));
      }
      CHECK(h.datagrams.empty());
      std::vector<Sent> sent = h.all();
      if (ttl == 1) {
        REQUIRE(sent.size() == 1);
        CHECK(sent[0].parsed.key.inside.address == gateway);
        CHECK(sent[0].packet[sent[0].parsed.transport_offset] == (v4 ? 11 : 3));
        continue;
      }
      REQUIRE(sent.size() == 3);
      for (const Sent &fragment : sent) {
        CHECK(fragment.parsed.fragment);
        CHECK(fragment.parsed.ttl == 63);
        CHECK(fragment.parsed.key.inside.address == key.outside.address);
        CHECK(fragment.packet.size() <= 1420);
      }
    }
  }
}

TEST_CASE("checksums of ICMP [icmp-checksum-verified]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.input(h.make_icmp({static_cast<uint8_t>(v4 ? 8 : 128), 0, 0, 0, 0, 1, 0, 1}, true));
    CHECK(h.echoes.empty());
    CHECK(h.counters.dropped(DropReason::bad_checksum) == 1);
  }
}

TEST_CASE("errors from inside name the flow that they are about") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    FlowKey key = h.key;
    key.protocol = Protocol::udp;
    REQUIRE(h.stack.send_datagram(key, bytes("to a closed port"), {}));
    std::vector<uint8_t> message{static_cast<uint8_t>(v4 ? 3 : 1), static_cast<uint8_t>(v4 ? 3 : 4), 0, 0, 0, 0, 0, 0};
    std::vector<uint8_t> quoted = h.next().packet;
    quoted.resize(v4 ? 28 : 48);  // as short as routers make it
    message.insert(message.end(), quoted.begin(), quoted.end());
    h.input(h.make_icmp(message));
    REQUIRE(h.icmp_errors.size() == 1);
    CHECK(h.icmp_errors[0].key == key);
    CHECK(h.icmp_errors[0].code == (v4 ? 3 : 4));
    for (size_t length = 8; length < message.size(); length++) {
      h.input(h.make_icmp(std::vector<uint8_t>(message.begin(), message.begin() + static_cast<ptrdiff_t>(length))));
    }
    CHECK(h.icmp_errors.size() == 1);
  }
}

TEST_CASE("an unreachable error ends an opening, not a standing connection") {
  Harness h;
  int error = 0;
  auto connecting = h.stack.connect(h.key, 1, [&](StreamPtr, int code) { error = code; });
  std::vector<uint8_t> message{3, 1, 0, 0, 0, 0, 0, 0};
  Sent syn = h.next();
  message.insert(message.end(), syn.packet.begin(), syn.packet.begin() + 28);
  std::vector<uint8_t> forged = message;
  forged[8 + 20 + 7] ^= 1;  // not our sequence number
  h.input(h.make_icmp(forged));
  CHECK(error == 0);
  h.input(h.make_icmp(message));
  CHECK(error == EHOSTUNREACH);

  h.open();
  h.write("hello");
  Sent data = h.next();
  message.resize(8);
  message.insert(message.end(), data.packet.begin(), data.packet.begin() + 28);
  h.input(h.make_icmp(message));
  CHECK(h.stack.connections() == 1);
}

TEST_CASE("ICMP errors to one client are limited [icmp-errors-limited]") {
  Harness h;
  Packet packet = h.make_udp("nobody listens");
  FlowKey key = h.key;
  key.protocol = Protocol::udp;
  for (int i = 0; i < 1000; i++) h.stack.send_icmp_error(key, packet.bytes(), h.key.outside.address, 3, 3);
  size_t sent = h.all().size();
  CHECK(sent > 10);
  CHECK(sent < 200);
  h.pass(seconds(10));
  h.stack.send_icmp_error(key, packet.bytes(), h.key.outside.address, 3, 3);
  CHECK(h.all().size() == 1);
}

TEST_CASE("never an error about an error") {
  Harness h;
  Packet packet = h.make_icmp({3, 3, 0, 0, 0, 0, 0, 0, 0x45, 0, 0, 28});
  h.stack.send_icmp_error(h.key, packet.bytes(), h.key.outside.address, 3, 3);
  CHECK(h.quiet());
}
