// Packets too big for a path behind the client.
#include "stack/path_mtu.h"

#include <string>

#include "harness.h"

namespace slipgate::stack_test {
namespace {

// "Packet too big" about a packet that came out of the stack, quoting as little as routers do.
std::vector<uint8_t> too_big(const Sent &packet, uint16_t mtu) {
  const bool v4 = packet.parsed.key.is_v4();
  std::vector<uint8_t> message{static_cast<uint8_t>(v4 ? 3 : 2), static_cast<uint8_t>(v4 ? 4 : 0), 0, 0, 0, 0,
                               static_cast<uint8_t>(mtu >> 8),   static_cast<uint8_t>(mtu)};
  message.insert(message.end(), packet.packet.begin(), packet.packet.begin() + (v4 ? 28 : 48));
  return message;
}

size_t largest(const std::vector<Sent> &packets) {
  size_t most = 0;
  for (const Sent &packet : packets) most = std::max(most, packet.packet.size());
  return most;
}

}  // namespace

TEST_CASE("a connection's packets shrink to the path, those in flight as well [tcp-path-mtu-of-a-segment-in-flight]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.open();
    std::string text;
    for (int i = 0; i < 4000; i++) text += static_cast<char>('a' + i % 26);
    REQUIRE(h.write(text) == text.size());
    std::vector<Sent> first = h.all();
    REQUIRE(first.size() == 3);
    CHECK(largest(first) == 1420);

    // Not in flight; of another client; no smaller than what we send.
    std::vector<uint8_t> forged = too_big(first[0], 1300);
    forged[8 + (v4 ? 20 : 40) + 4] ^= 0x40;
    h.input(h.make_icmp(forged));
    h.client = 2;
    h.input(h.make_icmp(too_big(first[0], 1300)));
    h.client = 1;
    h.input(h.make_icmp(too_big(first[0], 1420)));
    CHECK(h.counters.dropped(DropReason::icmp_ignored) == 2);
    h.pass(seconds(2));
    CHECK(largest(h.all()) == 1420);

    h.input(h.make_icmp(too_big(first[0], 1300)));
    std::string arrived;
    for (int round = 0; round < 20 && arrived.size() < text.size(); round++) {
      h.pass(seconds(5));
      for (const Sent &packet : h.all()) {
        CHECK(packet.packet.size() <= 1300);
        if (packet.tcp().sequence.value() - h.theirs != arrived.size()) continue;
        arrived += packet.payload();
      }
      h.send({.sequence = h.ours, .acknowledgment = h.theirs + static_cast<uint32_t>(arrived.size())});
    }
    CHECK(arrived == text);

    // What is opened later fits at once.
    StreamPtr standing = std::move(h.stream);
    h.key.inside.port++;
    h.open();
    REQUIRE(h.write(text) == text.size());
    CHECK(largest(h.all()) == 1300);
  }
}

TEST_CASE("no router makes packets smaller than every host and link must take [path-mtu-has-a-floor]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.open();
    REQUIRE(h.write(std::string(4000, 'x')) == 4000);
    h.input(h.make_icmp(too_big(h.next(), 40)));
    h.all();
    StreamPtr standing = std::move(h.stream);
    h.key.inside.port++;
    h.open();
    REQUIRE(h.write(std::string(4000, 'x')) == 4000);
    CHECK(largest(h.all()) == (v4 ? PathMtus::kLeastV4 : PathMtus::kLeastV6));
  }
}

TEST_CASE("datagrams are cut to a path that is known, until it is forgotten") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    FlowKey key = h.key;
    key.protocol = Protocol::udp;
    std::string text(1360, 'x');
    REQUIRE(h.stack.send_datagram(key, bytes(text), {}));
    std::vector<Sent> whole = h.all();
    REQUIRE(whole.size() == 1);
    h.input(h.make_icmp(too_big(whole[0], 1300)));
    REQUIRE(h.icmp_errors.size() == 1);
    CHECK(h.icmp_errors[0].key == key);
    CHECK(h.icmp_errors[0].mtu == 1300);

    h.stack.learn_path_mtu(key.link, key.inside.address, 1300);
    REQUIRE(h.stack.send_datagram(key, bytes(text), {}));
    std::vector<Sent> pieces = h.all();
    CHECK(pieces.size() == 2);
    CHECK(largest(pieces) <= 1300);
    key.inside.address = v4 ? IpAddress::v4(10, 0, 0, 3) : *IpAddress::parse("fd00::3");
    REQUIRE(h.stack.send_datagram(key, bytes(text), {}));
    CHECK(h.all().size() == 1);
    key.inside.address = h.key.inside.address;
    h.pass(PathMtus::kKept);
    REQUIRE(h.stack.send_datagram(key, bytes(text), {}));
    CHECK(h.all().size() == 1);
  }
}

}  // namespace slipgate::stack_test
