#include "host/udp.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <vector>

#include "io/socket_address.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

struct Owner final : DatagramPortOwner {
  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) override {
    texts.emplace_back(text_of(payload));
    senders.push_back(from);
    headers.push_back(header);
    if (then) then();
  }
  void on_datagram_error(const DatagramError &error) override {
    errors.push_back(error);
    if (then) then();
  }
  std::vector<std::string> texts;
  std::vector<Endpoint> senders;
  std::vector<DatagramHeader> headers;
  std::vector<DatagramError> errors;
  std::function<void()> then;
};

// Another host's socket.
struct Other {
  explicit Other(const char *address) {
    Endpoint at{*IpAddress::parse(address), 0};
    SocketAddress name(at);
    descriptor = Fd(::socket(name.generic.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    REQUIRE(::bind(descriptor.get(), &name.generic, name.size) == 0);
    endpoint = local_endpoint(descriptor.get());
  }
  // Empty as well when nothing is there.
  std::string receive(Endpoint *from = nullptr) {
    std::string text(70000, 0);
    SocketAddress name;
    ssize_t size = ::recvfrom(descriptor.get(), text.data(), text.size(), 0, &name.generic, &name.size);
    if (from) *from = name.endpoint();
    text.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return text;
  }
  void send(std::string_view text, const Endpoint &to) {
    SocketAddress name(to);
    REQUIRE(::sendto(descriptor.get(), text.data(), text.size(), 0, &name.generic, name.size) ==
            static_cast<ssize_t>(text.size()));
  }
  Fd descriptor;
  Endpoint endpoint;
};

Endpoint reachable(const HostDatagramPort &port, bool v4) {
  return {*IpAddress::parse(v4 ? "127.0.0.1" : "::1"), port.local(v4).port};
}

}  // namespace

TEST_CASE("udp port: one endpoint towards everybody, answers from anybody, TTL and class along") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  HostDatagramPort port(loop, owner, options);
  for (bool v4 : {true, false}) {
    const char *address = v4 ? "127.0.0.1" : "::1";
    Other one(address), two(address), stranger(address);
    DatagramHeader header{.ttl = 33, .traffic_class = 0x28};
    CHECK(port.send(bytes_of(std::string_view("to one")), one.endpoint, header));
    CHECK(port.send(bytes_of(std::string_view("to two")), two.endpoint, header));
    loop.turn(Duration(0));
    Endpoint first, second;
    CHECK(one.receive(&first) == "to one");
    CHECK(two.receive(&second) == "to two");
    CHECK(first == second);
    stranger.send("hole punched", first);
    owner.texts.clear();
    owner.headers.clear();
    REQUIRE(test::run_until(loop, [&] { return owner.texts.size() == 1; }));
    CHECK(owner.texts[0] == "hole punched");
    CHECK(owner.senders.back() == stranger.endpoint);
    CHECK(owner.headers[0].ttl == 64);
    // What left with a class of its own arrives with it.
    CHECK(port.send(bytes_of(std::string_view("self")), reachable(port, v4), header));
    REQUIRE(test::run_until(loop, [&] { return owner.texts.size() == 2; }));
    CHECK(owner.headers[1].ttl == 33);
    CHECK(owner.headers[1].traffic_class == 0x28);
  }
}

TEST_CASE("udp port: what one turn sends arrives in order, whatever the sizes and destinations") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  HostDatagramPort port(loop, owner, options);
  for (const char *address : {"127.0.0.1", "::1"}) {
    Other one(address), two(address);
    std::vector<std::string> to_one, to_two;
    for (size_t size : {1200, 1200, 1200, 700, 1200, 1200, 1300, 0, 5, 5, 65507, 5}) {
      to_one.emplace_back(size, static_cast<char>('a' + to_one.size()));
      CHECK(port.send(bytes_of(std::string_view(to_one.back())), one.endpoint, {}));
    }
    for (int i = 0; i < 100; i++) {  // more than one call takes, with a change of class on the way
      to_two.emplace_back(1000, static_cast<char>('0' + i % 10));
      DatagramHeader header{.ttl = 64, .traffic_class = static_cast<uint8_t>(i == 80 ? 0x20 : 0)};
      CHECK(port.send(bytes_of(std::string_view(to_two.back())), two.endpoint, header));
    }
    loop.turn(Duration(0));
    for (const std::string &text : to_one) CHECK(one.receive() == text);
    for (const std::string &text : to_two) CHECK(two.receive() == text);
    CHECK(two.receive().empty());
  }
  CHECK(owner.errors.empty());
}

TEST_CASE("udp port: joined datagrams are told one by one") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  HostDatagramPort port(loop, owner, options);
  Other other("127.0.0.1");
  CHECK(port.send(bytes_of(std::string_view("hello")), other.endpoint, {}));
  int segment = 1000;  // ours joins again what this socket's kernel does not cut on loopback
  REQUIRE(::setsockopt(other.descriptor.get(), SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) == 0);
  other.send(std::string(10500, 'j'), reachable(port, true));
  REQUIRE(test::run_until(loop, [&] { return owner.texts.size() >= 11; }));
  CHECK(owner.texts.size() == 11);
  for (size_t i = 0; i < 10; i++) CHECK(owner.texts[i].size() == 1000);
  CHECK(owner.texts[10].size() == 500);
}

TEST_CASE("udp port: a run that is too long for the path is sent one by one") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  HostDatagramPort port(loop, owner, options);
  Other other("127.0.0.1");
  // Larger than loopback's MTU cannot be a segment: the kernel refuses the run, and cuts single ones.
  std::string large(31000, 'L');
  for (int i = 0; i < 3; i++) CHECK(port.send(bytes_of(std::string_view(large)), other.endpoint, {}));
  loop.turn(Duration(0));
  for (int i = 0; i < 3; i++) CHECK(other.receive() == large);
  Other gone("127.0.0.1");
  Endpoint nobody = gone.endpoint;
  gone.descriptor.reset();
  for (int i = 0; i < 4; i++) CHECK(port.send(bytes_of(std::string_view("x")), nobody, {}));
  for (int i = 0; i < 4; i++) CHECK(port.send(bytes_of(std::string_view("still")), other.endpoint, {}));
  loop.turn(Duration(0));
  for (int i = 0; i < 4; i++) CHECK(other.receive() == "still");
  REQUIRE(test::run_until(loop, [&] { return !owner.errors.empty(); }));
  CHECK(owner.errors[0].destination == nobody);
}

TEST_CASE("udp port: a port that goes sends what it had taken") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  Other other("127.0.0.1");
  {
    HostDatagramPort port(loop, owner, options);
    for (int i = 0; i < 3; i++) CHECK(port.send(bytes_of(std::string_view("last")), other.endpoint, {}));
  }
  for (int i = 0; i < 3; i++) CHECK(other.receive() == "last");
}

TEST_CASE("udp port: empty datagrams are datagrams, and so are the largest [host-udp-empty-datagram]") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  HostDatagramPort port(loop, owner, options);
  Other other("127.0.0.1");
  CHECK(port.send({}, other.endpoint, {}));
  std::string large(65507, 'L');
  CHECK(port.send(bytes_of(std::string_view(large)), other.endpoint, {}));
  loop.turn(Duration(0));
  other.send("", reachable(port, true));
  other.send(large, reachable(port, true));
  REQUIRE(test::run_until(loop, [&] { return !owner.texts.empty() && owner.texts.back() == large; }));
  REQUIRE(owner.texts.size() == 2);
  CHECK(owner.texts[0].empty());
  char byte;
  CHECK(::recv(other.descriptor.get(), &byte, 1, MSG_TRUNC) == 0);
  CHECK(::recv(other.descriptor.get(), &byte, 1, MSG_TRUNC) == 65507);
}

TEST_CASE("udp port: a port unreachable is told with its destination and code") {
  for (bool v4 : {true, false}) {
    Loop loop;
    Owner owner;
    HostDatagramPort::Options options;
    HostDatagramPort port(loop, owner, options);
    Endpoint closed;
    {
      Other gone(v4 ? "127.0.0.1" : "::1");
      closed = gone.endpoint;
    }
    CHECK(port.send(bytes_of(std::string_view("anybody?")), closed, {}));
    REQUIRE(test::run_until(loop, [&] { return !owner.errors.empty(); }));
    const DatagramError &error = owner.errors[0];
    CHECK(error.destination == closed);
    CHECK(error.code == ECONNREFUSED);
    CHECK(error.has_icmp);
    CHECK(error.icmp_type == (v4 ? 3 : 1));
    CHECK(error.icmp_code == (v4 ? 3 : 4));
    CHECK(error.reporter == closed.address);
  }
}

TEST_CASE("udp port: an ICMP message about one destination costs another nothing [host-udp-error-of-another]") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  HostDatagramPort port(loop, owner, options);
  Other healthy("127.0.0.1");
  Endpoint closed;
  {
    Other gone("127.0.0.1");
    closed = gone.endpoint;
  }
  for (int i = 0; i < 5; i++) {
    port.send(bytes_of(std::string_view("lost")), closed, {});
    CHECK(port.send(bytes_of(std::string_view("whole")), healthy.endpoint, {}));
    loop.turn(Duration(0));
    CHECK(healthy.receive() == "whole");
  }
  for (const DatagramError &error : owner.errors) CHECK(error.destination == closed);
  test::run_ready(loop);
  CHECK(owner.errors.size() == 5);
}

TEST_CASE("udp port: whatever a send meets, the port goes on [host-udp-send-error-keeps-port]") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  HostDatagramPort port(loop, owner, options);
  Other other("127.0.0.1");
  std::string too_long(65508, 'x');
  CHECK(!port.send(bytes_of(std::string_view(too_long)), other.endpoint, {}));
  loop.turn(Duration(0));
  CHECK(!port.send(bytes_of(std::string_view("x")), {*IpAddress::parse("127.0.0.1"), 0}, {}));
  port.send(bytes_of(std::string_view("x")), {*IpAddress::parse("240.0.0.1"), 9}, {});
  port.send(bytes_of(std::string_view("x")), {*IpAddress::parse("255.255.255.255"), 9}, {});
  port.send(bytes_of(std::string_view("x")), {*IpAddress::parse("224.0.0.77"), 9}, {});
  port.send(bytes_of(std::string_view("x")), {*IpAddress::parse("ff02::77"), 9}, {});
  port.send(bytes_of(std::string_view("x")), {*IpAddress::parse("fe80::77"), 9}, {});
  test::run_ready(loop);
  CHECK(port.send(bytes_of(std::string_view("still")), other.endpoint, {}));
  CHECK(other.receive() == "still");
}

TEST_CASE("udp port: don't fragment holds for the datagram that asks for it") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options;
  HostDatagramPort port(loop, owner, options);
  Other other("127.0.0.1");
  std::string large(65507,
                    'L');  // 65,535 with headers; loopback's MTU is 65,536 or less, so that all is one packet or cut
  CHECK(port.send(bytes_of(std::string_view(large)), other.endpoint, {.dont_fragment = false}));
  CHECK(port.send(bytes_of(std::string_view("df")), other.endpoint, {.dont_fragment = true}));
  CHECK(port.send(bytes_of(std::string_view(large)), other.endpoint, {.dont_fragment = false}));
  loop.turn(Duration(0));
  CHECK(other.receive().size() == large.size());
  CHECK(other.receive() == "df");
  CHECK(other.receive().size() == large.size());
}

TEST_CASE("udp port: it may be destroyed by its owner while it tells something") {
  for (bool error : {false, true}) {
    Loop loop;
    Owner owner;
    HostDatagramPort::Options options;
    auto port = std::make_unique<HostDatagramPort>(loop, owner, options);
    Endpoint to;
    Other other("127.0.0.1");
    {
      Other gone("127.0.0.1");
      to = error ? gone.endpoint : other.endpoint;
    }
    port->send(bytes_of(std::string_view("x")), to, {});
    Endpoint own = reachable(*port, true);
    owner.then = [&] { port.reset(); };
    if (!error) {
      for (int i = 0; i < 10; i++) other.send("x", own);
    }
    REQUIRE(test::run_until(loop, [&] { return !port; }));
    CHECK(owner.texts.size() + owner.errors.size() == 1);
  }
}

TEST_CASE("udp port: the source address asked for is the one used, and one that is not ours is told") {
  Loop loop;
  Owner owner;
  HostDatagramPort::Options options{.source_ipv4 = IpAddress::v4(127, 0, 0, 6)};
  HostDatagramPort port(loop, owner, options);
  Other other("127.0.0.1");
  CHECK(port.send(bytes_of(std::string_view("x")), other.endpoint, {}));
  Endpoint from;
  other.receive(&from);
  CHECK(from.address == IpAddress::v4(127, 0, 0, 6));

  HostDatagramPort::Options foreign{.source_ipv4 = *IpAddress::parse("198.51.100.9")};
  HostDatagramPort nowhere(loop, owner, foreign);
  CHECK(!nowhere.send(bytes_of(std::string_view("x")), other.endpoint, {}));
  CHECK(nowhere.open_error() == EADDRNOTAVAIL);
  CHECK(owner.errors.size() == 1);
}

TEST_CASE("udp listener: the answer leaves from where the question went to, both families") {
  Loop loop;
  Owner owner;
  Result<std::unique_ptr<HostDatagramSocket>> listener =
      HostDatagramSocket::open(loop, owner, HostDatagramSocket::Kind::udp_listener, {IpAddress(), 0});
  REQUIRE(listener);
  uint16_t port = (*listener)->local().port;
  for (const char *address : {"127.0.0.1", "127.0.0.3", "::1"}) {
    bool v4 = IpAddress::parse(address)->is_v4();
    Other client(v4 ? "127.0.0.1" : "::1");
    client.send("hello", {*IpAddress::parse(address), port});
    size_t before = owner.texts.size();
    REQUIRE(test::run_until(loop, [&] { return owner.texts.size() > before; }));
    CHECK(owner.headers.back().local == *IpAddress::parse(address));
    CHECK((*listener)->send({}, bytes_of(std::string_view("answer")), owner.senders.back(), owner.headers.back()));
    Endpoint from;
    CHECK(client.receive(&from) == "answer");
    CHECK(from == Endpoint{*IpAddress::parse(address), port});
  }
}

}  // namespace slipgate
