#include "link/gue_link.h"

#include <cstring>
#include <string>
#include <vector>

#include "io/socket_address.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

using test::run_until;

const std::string kHeader4("\0\4\0\0", 4), kHeader6("\0\51\0\0", 4);

// A packet that is told by its text.
std::string packet4(const std::string &text) {
  return "\x45" + text;
}
std::string packet6(const std::string &text) {
  return "\x60" + text;
}

// The other end: a plain socket on loopback.
class Sender {
 public:
  explicit Sender(const char *address = "127.0.0.1")
      : descriptor_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const SocketAddress any({*IpAddress::parse(address), 0}, AF_INET);
    REQUIRE(::bind(descriptor_.get(), &any.generic, any.size) == 0);
  }
  Endpoint endpoint() const { return local_endpoint(descriptor_.get()); }
  void send(const std::string &text, const Endpoint &to) {
    const SocketAddress address(to, AF_INET);
    REQUIRE(::sendto(descriptor_.get(), text.data(), text.size(), 0, &address.generic, address.size) ==
            static_cast<ssize_t>(text.size()));
  }
  // The next datagram, or "nothing".
  std::string receive() {
    char bytes[2048];
    const ssize_t size = ::recv(descriptor_.get(), bytes, sizeof(bytes), 0);
    return size < 0 ? "nothing" : std::string(bytes, static_cast<size_t>(size));
  }

 private:
  Fd descriptor_;
};

struct Gateway final : LinkEvents {
  explicit Gateway(GueLinkOptions options = {}) {
    options.listen = {IpAddress::v4(127, 0, 0, 1), 0};
    Result<std::unique_ptr<GueLink>> opened = GueLink::open(loop, options, {3, 5}, buffers, *this, counters);
    REQUIRE(opened);
    link = std::move(*opened);
  }
  void from_link(std::span<Packet> packets) override {
    for (Packet &packet : packets) {
      CHECK(packet.client == 4);
      CHECK(packet.link == 3);
      arrived.emplace_back(text_of(packet.bytes()));
    }
  }
  // A datagram of `from` has been dealt with: how many packets it brought.
  size_t take(Sender &from, const std::string &datagram) {
    const size_t before = arrived.size();
    const uint64_t datagrams = counters.datagrams_received;
    from.send(datagram, link->local());
    REQUIRE(run_until(loop, [&] { return counters.datagrams_received == datagrams + 1; }));
    return arrived.size() - before;
  }
  void send(const std::string &text, size_t headroom = Packet::kHeadroom) {
    Packet packet = pool.allocate(text.size(), headroom);
    std::memcpy(packet.data(), text.data(), text.size());
    link->send({&packet, 1});
    loop.turn(milliseconds(0));
  }

  Loop loop;
  LinkBuffers buffers;
  Counters counters;
  BufferPool pool{2048, 100, 100};
  std::vector<std::string> arrived;
  std::unique_ptr<GueLink> link;
};

}  // namespace

TEST_CASE("the peer is answered as its packets of the same family came") {
  Gateway gateway;
  Sender peer;
  struct Row {
    std::string in4, in6, out4, out6;
  };
  const Row rows[] = {
      {packet4("a"), packet6("b"), packet4("x"), packet6("y")},
      {kHeader4 + packet4("a"), kHeader6 + packet6("b"), kHeader4 + packet4("x"), kHeader6 + packet6("y")},
      {kHeader4 + packet4("a"), packet6("b"), kHeader4 + packet4("x"), packet6("y")},
      {packet4("a"), kHeader6 + packet6("b"), packet4("x"), kHeader6 + packet6("y")},
  };
  for (const Row &row : rows) {
    CHECK(gateway.take(peer, row.in4) == 1);
    CHECK(gateway.arrived.back() == packet4("a"));
    CHECK(gateway.take(peer, row.in6) == 1);
    CHECK(gateway.arrived.back() == packet6("b"));
    gateway.send(packet4("x"));
    gateway.send(packet6("y"));
    CHECK(peer.receive() == row.out4);
    CHECK(peer.receive() == row.out6);
  }
}

TEST_CASE("a family that was not heard of yet goes as the other one came") {
  Gateway gateway;
  Sender peer;
  gateway.take(peer, kHeader6 + packet6("b"));
  gateway.send(packet4("x"));
  CHECK(peer.receive() == kHeader4 + packet4("x"));
}

TEST_CASE("families without headers have a port each") {
  Gateway gateway;
  Sender ipip, sit;
  gateway.take(ipip, packet4("a"));
  gateway.take(sit, packet6("b"));
  gateway.take(ipip, packet4("a"));
  gateway.send(packet4("x"));
  gateway.send(packet6("y"));
  CHECK(ipip.receive() == packet4("x"));
  CHECK(sit.receive() == packet6("y"));
  // From another address everything that came before is out of date.
  Sender moved("127.0.0.2");
  gateway.take(moved, packet4("a"));
  gateway.send(packet6("y"));
  CHECK(moved.receive() == packet6("y"));
}

TEST_CASE("a peer keeps to its own inside addresses, when they are told [gue-allowed-ips]") {
  Gateway gateway({.allowed_ips = {*IpPrefix::parse("10.0.0.0/8"), *IpPrefix::parse("fd00::/16")}});
  Sender peer;
  auto from = [](std::string packet, const IpAddress &source) {
    const std::string_view bytes = text_of(source.family_bytes());
    return packet.replace(source.is_v4() ? 12 : 8, bytes.size(), bytes);
  };
  CHECK(gateway.take(peer, from(packet4(std::string(20, 'a')), IpAddress::v4(10, 1, 2, 3))) == 1);
  CHECK(gateway.take(peer, from(packet6(std::string(40, 'a')), *IpAddress::parse("fd00::9"))) == 1);
  CHECK(gateway.counters.dropped(DropReason::gue_bad_source) == 0);
  CHECK(gateway.take(peer, from(packet4(std::string(20, 'a')), IpAddress::v4(11, 1, 2, 3))) == 0);
  CHECK(gateway.take(peer, from(packet6(std::string(40, 'a')), *IpAddress::parse("fe00::9"))) == 0);
  CHECK(gateway.counters.dropped(DropReason::gue_bad_source) == 2);
}

TEST_CASE("the encapsulation may be told") {
  Sender peer;
  GueLinkOptions options{.encapsulation = GueLinkOptions::Encapsulation::gue};
  Gateway gue(options);
  CHECK(gue.take(peer, packet4("a")) == 1);
  gue.send(packet4("x"));
  CHECK(peer.receive() == kHeader4 + packet4("x"));

  options.encapsulation = GueLinkOptions::Encapsulation::fou;
  Gateway fou(options);
  CHECK(fou.take(peer, kHeader4 + packet4("a")) == 0);
  CHECK(fou.counters.dropped(DropReason::gue_bad_inner) == 1);
  CHECK(fou.take(peer, packet4("a")) == 1);
  fou.send(packet4("x"));
  CHECK(peer.receive() == packet4("x"));
}

TEST_CASE("gue-strict-peer: a configured peer is nobody else") {
  using Accept = GueLinkOptions::Accept;
  struct Row {
    Accept accept;
    size_t other_port, other_address;
  };
  const Row rows[] = {{Accept::endpoint, 0, 0}, {Accept::address, 1, 0}, {Accept::anyone, 1, 1}};
  for (const Row &row : rows) {
    Sender peer, other_port, other_address("127.0.0.2");
    Gateway gateway({.peer = peer.endpoint(), .accept = row.accept});
    // Packets go to it before it was heard of.
    gateway.send(packet4("x"));
    CHECK(peer.receive() == packet4("x"));
    CHECK(gateway.take(peer, kHeader4 + packet4("a")) == 1);
    CHECK(gateway.take(other_port, kHeader4 + packet4("b")) == row.other_port);
    CHECK(gateway.take(other_address, kHeader4 + packet4("c")) == row.other_address);
    CHECK(gateway.counters.dropped(DropReason::gue_stranger) == 2 - row.other_port - row.other_address);
    gateway.send(packet4("x"));
    CHECK(peer.receive() == kHeader4 + packet4("x"));
    CHECK(other_port.receive() == "nothing");
    CHECK(other_address.receive() == "nothing");
  }
}

TEST_CASE("a peer whose name does not resolve yet is nobody") {
  Sender peer;
  Gateway gateway({.peer_name = "peer.test", .peer_port = 1, .accept = GueLinkOptions::Accept::address});
  CHECK(gateway.take(peer, packet4("a")) == 0);
  gateway.send(packet4("x"));
  CHECK(gateway.counters.dropped(DropReason::gue_no_peer) == 1);
  gateway.link->set_peer(peer.endpoint());
  CHECK(gateway.take(peer, packet4("a")) == 1);
  gateway.send(packet4("x"));
  CHECK(peer.receive() == packet4("x"));
}

TEST_CASE("nothing leaves before a peer was heard of, and hostile datagrams do not make one") {
  Gateway gateway;
  Sender stranger, peer;
  gateway.send(packet4("x"));
  CHECK(gateway.counters.dropped(DropReason::gue_no_peer) == 1);
  CHECK_FALSE(gateway.link->peer().endpoint);
  gateway.take(peer, packet4("a"));
  for (const std::string &hostile :
       {std::string("\x20\0\0\0", 4), std::string("\0\4\0\0", 4), std::string("\0\4\0", 3),
        std::string("\x1f\4\0\0", 4), std::string("\xff"), std::string("\2\4\0\1\x80\0\0\0\0\1\xff\xff\x45", 13)}) {
    CHECK(gateway.take(stranger, hostile) == 0);
  }
  CHECK(gateway.counters.dropped(DropReason::gue_control_message) == 1);
  CHECK(gateway.counters.dropped(DropReason::gue_bad_header) == 3);
  gateway.send(packet4("x"));
  CHECK(peer.receive() == packet4("x"));
  CHECK(stranger.receive() == "nothing");
}

TEST_CASE("gue-empty-datagram: it makes a first peer, but none in another's place") {
  Gateway gateway;
  Sender peer, scanner;
  gateway.take(peer, "");
  gateway.send(packet4("x"));
  CHECK(peer.receive() == packet4("x"));
  gateway.take(scanner, "");
  gateway.send(packet4("y"));
  CHECK(peer.receive() == packet4("y"));
  CHECK(scanner.receive() == "nothing");
  gateway.take(scanner, packet4("a"));  // who speaks is taken for the peer that moved
  gateway.send(packet4("z"));
  CHECK(scanner.receive() == packet4("z"));
}

TEST_CASE("keepalives go at once and then every interval") {
  Sender peer;
  Gateway gateway({.peer = peer.endpoint(), .keepalive = 1});
  std::vector<std::string> came;
  auto next = [&] {
    return run_until(gateway.loop, [&] {
      came.push_back(peer.receive());
      return came.back() != "nothing";
    });
  };
  const Time begin = BootClock::now();
  REQUIRE(next());
  CHECK(came.back().empty());
  CHECK(BootClock::now() - begin < milliseconds(900));
  REQUIRE(next());
  CHECK(came.back().empty());
  CHECK(BootClock::now() - begin >= milliseconds(1000));
}

TEST_CASE("a packet without room in front gets its header in a copy") {
  Gateway gateway;
  Sender peer;
  gateway.take(peer, kHeader4 + packet4("a"));
  gateway.send(packet4("x"), 0);
  CHECK(peer.receive() == kHeader4 + packet4("x"));
}

TEST_CASE("a checksum that was left to us is finished before the packet goes in") {
  Gateway gateway;
  Sender peer;
  const std::string rest(30, '\1');
  CHECK(gateway.take(peer, std::string("\2\4\0\1\x80\0\0\0\0\2\0\4", 12) + packet4(rest)) == 1);
  std::string packet = gateway.arrived.back();
  REQUIRE(packet.size() == 31);
  CHECK(packet.substr(0, 4) == packet4(rest).substr(0, 4));
  CHECK(packet.substr(4, 2) != rest.substr(0, 2));
  CHECK(packet.substr(6) == packet4(rest).substr(6));
}

}  // namespace slipgate
