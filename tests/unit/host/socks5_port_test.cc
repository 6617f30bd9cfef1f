#include "host/socks5_port.h"

#include "io/stream_pair.h"
#include "support/catch.h"
#include "unit/io/run_until.h"
#include "wire/socks5.h"

namespace slipgate {

namespace {

struct Owner final : DatagramPortOwner {
  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &) override {
    heard.emplace_back(from, std::string(text_of(payload)));
  }
  void on_datagram_error(const DatagramError &error) override {
    if (error.has_icmp) told_icmp = true;
    errors++;
  }
  std::vector<std::pair<Endpoint, std::string>> heard;
  int errors = 0;
  bool told_icmp = false;
};

// The proxy's side: sends back what it got, as from whom it was for.
struct Relay final : DatagramPortOwner {
  explicit Relay(Loop &loop) {
    Result<std::unique_ptr<HostDatagramSocket>> opened =
        HostDatagramSocket::open(loop, *this, HostDatagramSocket::Kind::udp, Endpoint{IpAddress::v4(127, 0, 0, 1), 0});
    REQUIRE(opened);
    socket = std::move(*opened);
  }
  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &) override {
    client = from;
    std::optional<socks5::Datagram> datagram = socks5::parse_datagram(payload);
    REQUIRE(datagram);
    socket->send(socks5::DatagramHeaderBytes(datagram->peer).bytes(), datagram->payload, from, {});
  }
  void on_datagram_error(const DatagramError &) override {}
  Endpoint client;
  std::unique_ptr<HostDatagramSocket> socket;
};

struct Association {
  Association() : relay(loop) {
    auto [ours, theirs] = make_stream_pair(loop);
    proxy = std::move(theirs);
    Result<std::unique_ptr<Socks5Port>> opened =
        Socks5Port::open(loop, owner, std::move(ours), relay.socket->local(), options, [this] {
          ended++;
          port.reset();
        });
    REQUIRE(opened);
    port = std::move(*opened);
  }
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  Relay relay;
  StreamPtr proxy;  // the other end of the control connection
  int ended = 0;
  std::unique_ptr<Socks5Port> port;
};

}  // namespace

TEST_CASE("socks5 port: datagrams of both families, and empty ones, to whoever and back as from them") {
  Association a;
  const Endpoint v4 = *Endpoint::parse("192.0.2.1:53"), v6 = *Endpoint::parse("[2001:db8::1]:53");
  CHECK(a.port->send(bytes_of("one"), v4, {}));
  CHECK(a.port->send(bytes_of("two"), v6, {.ttl = 1, .dont_fragment = true}));
  CHECK(a.port->send({}, v4, {}));
  REQUIRE(test::run_until(a.loop, [&] { return a.owner.heard.size() == 3; }));
  CHECK((a.owner.heard[0] == std::pair(v4, std::string("one"))));
  CHECK((a.owner.heard[1] == std::pair(v6, std::string("two"))));
  CHECK((a.owner.heard[2] == std::pair(v4, std::string())));
}

TEST_CASE("socks5 port: strangers, fragments and garbage are not heard") {
  Association a;
  const Endpoint peer = *Endpoint::parse("192.0.2.1:53");
  REQUIRE(a.port->send(bytes_of("one"), peer, {}));
  REQUIRE(test::run_until(a.loop, [&] { return a.owner.heard.size() == 1; }));
  Relay stranger(a.loop);
  stranger.socket->send(socks5::DatagramHeaderBytes(peer).bytes(), bytes_of("lie"), a.relay.client, {});
  const uint8_t fragment[] = {0, 0, 1, 1, 192, 0, 2, 1, 0, 53, 'x'};
  a.relay.socket->send({}, fragment, a.relay.client, {});
  a.relay.socket->send({}, bytes_of("x"), a.relay.client, {});
  REQUIRE(a.port->send(bytes_of("last"), peer, {}));
  REQUIRE(test::run_until(a.loop, [&] { return a.owner.heard.size() == 2; }));
  CHECK(a.owner.heard[1].second == "last");
}

TEST_CASE("socks5 port: it ends with the control connection, and on words where none belong") {
  for (bool words : {false, true}) {
    Association a;
    if (words) {
      iovec piece{const_cast<char *>("x"), 1};
      REQUIRE(a.proxy->write_some({&piece, 1}));
    } else {
      a.proxy->shutdown_write();
    }
    REQUIRE(test::run_until(a.loop, [&] { return a.ended == 1; }));
    CHECK_FALSE(a.port);
  }
  Loop loop;
  Owner owner;
  auto [ours, theirs] = make_stream_pair(loop);
  theirs->shutdown_write();
  test::run_ready(loop);
  CHECK_FALSE(Socks5Port::open(loop, owner, std::move(ours), Endpoint{IpAddress::v4(127, 0, 0, 1), 9}, {}, [] {}));
}

TEST_CASE("socks5 port: a relay that is gone is an error of the way, not of the destination") {
  Association a;
  a.relay.socket.reset();
  a.port->send(bytes_of("one"), *Endpoint::parse("192.0.2.1:53"), {});
  REQUIRE(test::run_until(a.loop, [&] { return a.owner.errors > 0; }));
  CHECK_FALSE(a.owner.told_icmp);
  CHECK(a.ended == 0);
}

}  // namespace slipgate
