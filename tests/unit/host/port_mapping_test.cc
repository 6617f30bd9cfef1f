#include "host/port_mapping.h"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/ip/udp.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "support/catch.h"

using namespace slipgate;

namespace {

// A router on loopback, that answers as a test says.
class FakeRouter {
 public:
  using Handler = std::function<std::vector<std::vector<uint8_t>>(Bytes request)>;

  FakeRouter(Loop &loop, Handler handler)
      : handler_(std::move(handler)), socket_(loop.context(), {asio::ip::address_v4::loopback(), 0}) {
    receive();
  }
  Router router() const { return {{IpAddress::v4(127, 0, 0, 1), socket_.local_endpoint().port()}, 0}; }

  std::vector<std::vector<uint8_t>> requests;

 private:
  void receive() {
    socket_.async_receive_from(asio::buffer(room_), from_, [this](const std::error_code &error, size_t size) {
      if (error) return;
      Bytes request = Bytes(room_).first(size);
      requests.emplace_back(request.begin(), request.end());
      for (const std::vector<uint8_t> &answer : handler_(request)) socket_.send_to(asio::buffer(answer), from_);
      receive();
    });
  }

  Handler handler_;
  asio::ip::udp::socket socket_;
  asio::ip::udp::endpoint from_;
  std::array<uint8_t, 2048> room_;
};

std::vector<uint8_t> vector_of(Bytes bytes) {
  return {bytes.begin(), bytes.end()};
}

// The mapping that a PCP request asks for, granted.
std::vector<uint8_t> granted(Bytes request, uint16_t external_port, uint32_t lifetime, uint8_t result = 0) {
  const pcp::MapRequest *asked = view_as<pcp::MapRequest>(request);
  pcp::MapResponse response{};
  response.version = 2;
  response.opcode = 0x81;
  response.result = result;
  response.lifetime = lifetime;
  std::memcpy(response.nonce, asked->nonce, sizeof(response.nonce));
  response.protocol = asked->protocol;
  response.internal_port = asked->internal_port;
  response.external_port = external_port;
  IpAddress address = *IpAddress::parse("203.0.113.7");
  std::memcpy(response.external_address, address.v6_bytes().data(), 16);
  return vector_of(bytes_of(response));
}

// A router that knows only NAT-PMP (RFC 6886).
std::vector<std::vector<uint8_t>> nat_pmp_router(Bytes request) {
  if (request[0] != 0) return {{0, 129, 0, 1, 0, 0, 0, 9}};
  if (request[1] == 0) return {{0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 8}};
  const pcp::NatPmpMapRequest *asked = view_as<pcp::NatPmpMapRequest>(request);
  pcp::NatPmpMapResponse response{0, 129, 0, 9, asked->internal_port, 40001, 1800};
  return {vector_of(bytes_of(response))};
}

bool turn_until(Loop &loop, const std::function<bool()> &condition) {
  Time end = BootClock::now() + seconds(15);
  while (!condition()) {
    if (BootClock::now() > end) return false;
    loop.turn(milliseconds(1));
  }
  return true;
}

using Asked = std::optional<Result<PortMapping>>;

Task<> store(Loop &loop, Router router, std::optional<PortMapping> previous, Asked &into) {
  into.emplace(co_await request_port_mapping(loop, router, 51820, seconds(7200), previous));
}

Result<PortMapping> ask(Loop &loop, Router router, std::optional<PortMapping> previous = std::nullopt) {
  Asked result;
  asio::co_spawn(loop.context(), store(loop, router, previous, result),
                 [](std::exception_ptr failure) { CHECK_FALSE(failure); });
  REQUIRE(turn_until(loop, [&] { return result.has_value(); }));
  return *result;
}

}  // namespace

TEST_CASE("PCP maps a port") {
  Loop loop;
  FakeRouter router(loop, [](Bytes request) -> std::vector<std::vector<uint8_t>> {
    return {{1, 2, 3}, granted(request, 40000, 3600)};  // and something odd, first
  });
  Result<PortMapping> mapping = ask(loop, router.router());
  REQUIRE(mapping);
  CHECK(mapping->external == *Endpoint::parse("203.0.113.7:40000"));
  CHECK(mapping->lifetime == seconds(3600));
  CHECK(mapping->internal_port == 51820);
  CHECK_FALSE(mapping->nat_pmp);
  REQUIRE(router.requests.size() == 1);
  const pcp::MapRequest *asked = view_as<pcp::MapRequest>(Bytes(router.requests[0]));
  CHECK(asked->lifetime == 7200);
  // Our address towards the router, which it compares with where the request came from.
  CHECK(IpAddress::from_v6(Bytes(asked->client_address)) == *IpAddress::parse("127.0.0.1"));

  // The same mapping again: the same nonce, and the wish to keep the endpoint.
  Result<PortMapping> renewed = ask(loop, router.router(), *mapping);
  REQUIRE(renewed);
  asked = view_as<pcp::MapRequest>(Bytes(router.requests[1]));
  CHECK(std::equal(mapping->nonce.begin(), mapping->nonce.end(), asked->nonce));
  CHECK(asked->suggested_port == 40000);
  CHECK(IpAddress::from_v6(Bytes(asked->suggested_address)) == mapping->external.address);

  remove_port_mapping(*mapping);
  REQUIRE(turn_until(loop, [&] { return router.requests.size() == 3; }));
  asked = view_as<pcp::MapRequest>(Bytes(router.requests[2]));
  CHECK(asked->lifetime == 0);
  CHECK(std::equal(mapping->nonce.begin(), mapping->nonce.end(), asked->nonce));
}

TEST_CASE("a lost request is said again") {
  Loop loop;
  int lost = 2;
  FakeRouter router(loop, [&](Bytes request) -> std::vector<std::vector<uint8_t>> {
    if (lost-- > 0) return {};
    return {granted(request, 40000, 3600)};
  });
  CHECK(ask(loop, router.router()));
  CHECK(router.requests.size() == 3);
}

TEST_CASE("a router that knows NAT-PMP alone is asked in NAT-PMP") {
  Loop loop;
  FakeRouter router(loop, nat_pmp_router);
  Result<PortMapping> mapping = ask(loop, router.router());
  REQUIRE(mapping);
  CHECK(mapping->nat_pmp);
  CHECK(mapping->external == *Endpoint::parse("203.0.113.8:40001"));
  CHECK(mapping->lifetime == seconds(1800));
  CHECK(router.requests.size() == 3);  // PCP once: it was refused at once

  // Renewed in NAT-PMP right away, with the wish for the same port.
  Result<PortMapping> renewed = ask(loop, router.router(), *mapping);
  REQUIRE(renewed);
  REQUIRE(router.requests.size() == 5);
  CHECK(view_as<pcp::NatPmpMapRequest>(Bytes(router.requests[4]))->suggested_port == 40001);

  remove_port_mapping(*mapping);
  REQUIRE(turn_until(loop, [&] { return router.requests.size() == 6; }));
  CHECK(view_as<pcp::NatPmpMapRequest>(Bytes(router.requests[5]))->lifetime == 0);
}

TEST_CASE("a router that drops PCP is asked in NAT-PMP all the same") {
  Loop loop;
  FakeRouter router(loop, [](Bytes request) {
    return request[0] == 0 ? nat_pmp_router(request) : std::vector<std::vector<uint8_t>>();
  });
  Time start = BootClock::now();
  Result<PortMapping> mapping = ask(loop, router.router());
  REQUIRE(mapping);
  CHECK(mapping->nat_pmp);
  CHECK(BootClock::now() - start >= seconds(1));
}

TEST_CASE("a refusal ends it at once") {
  Loop loop;
  FakeRouter router(loop, [](Bytes request) -> std::vector<std::vector<uint8_t>> {
    return {granted(request, 0, 30, 2)};  // NOT_AUTHORIZED
  });
  Result<PortMapping> mapping = ask(loop, router.router());
  REQUIRE_FALSE(mapping);
  CHECK(mapping.error().code == EACCES);
  CHECK(mapping.error().text.find("result code 2") != std::string::npos);
  CHECK(router.requests.size() == 1);
}

TEST_CASE("answers to somebody else's mapping are passed over") {
  Loop loop;
  FakeRouter router(loop, [](Bytes request) -> std::vector<std::vector<uint8_t>> {
    std::vector<uint8_t> other = granted(request, 666, 3600);
    other[24] ^= 1;  // the nonce
    return {other, granted(request, 40000, 3600)};
  });
  Result<PortMapping> mapping = ask(loop, router.router());
  REQUIRE(mapping);
  CHECK(mapping->external.port == 40000);
}

TEST_CASE("without a router that answers it ends in about two seconds") {
  Loop loop;
  Router router;
  SECTION("silence") {
    FakeRouter silent(loop, [](Bytes) { return std::vector<std::vector<uint8_t>>(); });
    Time start = BootClock::now();
    Result<PortMapping> mapping = ask(loop, silent.router());
    REQUIRE_FALSE(mapping);
    CHECK(mapping.error().code == ETIMEDOUT);
    CHECK(BootClock::now() - start > milliseconds(1900));
    CHECK(silent.requests.size() == 3 + 2 * 3);
  }
  SECTION("port unreachable") {
    {
      FakeRouter gone(loop, nat_pmp_router);
      router = gone.router();
    }
    Result<PortMapping> mapping = ask(loop, router);
    REQUIRE_FALSE(mapping);
    CHECK(mapping.error().code == ETIMEDOUT);
  }
}

TEST_CASE("a mapping is renewed before it ends, until its task is cancelled") {
  Loop loop;
  int granted_count = 0;
  FakeRouter router(loop, [&](Bytes request) -> std::vector<std::vector<uint8_t>> {
    granted_count++;
    return {granted(request, static_cast<uint16_t>(40000 + granted_count), 2)};
  });
  Result<PortMapping> mapping = ask(loop, router.router());
  REQUIRE(mapping);
  std::vector<uint16_t> told;
  bool ended = false;
  asio::cancellation_signal cancel;
  asio::co_spawn(loop.context(),
                 keep_port_mapping(
                     loop, *mapping,
                     [&](const Result<PortMapping> &renewed) { told.push_back(renewed ? renewed->external.port : 0); }),
                 asio::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr) { ended = true; }));
  REQUIRE(turn_until(loop, [&] { return !told.empty(); }));
  CHECK(told == std::vector<uint16_t>{40002});
  cancel.emit(asio::cancellation_type::terminal);
  REQUIRE(turn_until(loop, [&] { return ended; }));
  CHECK(told.size() == 1);
}

TEST_CASE("the default router is read from /proc/net/route") {
  std::optional<Router> router = default_router_v4(
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
      "wlan0\t00000000\t010AA8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
      "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
      "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
      "eth1\t00000000\t0102A8C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n"
      "tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n"
      "tun1\t00000000\t0103A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n");
  REQUIRE(router);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  CHECK(router->endpoint == *Endpoint::parse("192.168.1.1:5351"));
#endif
  CHECK_FALSE(default_router_v4(""));
  CHECK_FALSE(default_router_v4("Iface\tDestination\nnonsense\n\n"));
}

TEST_CASE("the default IPv6 router is read from /proc/net/ipv6_route") {
  auto index = [](std::string_view name) { return name == "eth0" ? 3u : 0u; };
  const std::string zero(32, '0');
  const std::string here = "fe800000000000000000000000000001", there = "20010db8000000000000000000000001";
  std::optional<Router> router = default_router_v6(
      zero + " 00 " + zero + " 00 " + zero + " ffffffff 00000001 00000000 00200200       lo\n" +  // unreachable
          zero + " 00 " + zero + " 00 " + here + " 00000400 00000001 00000000 00450003     eth0\n" + zero + " 00 " +
          zero + " 00 " + there + " 00000800 00000001 00000000 00000003     eth1\n" +
          "20010db8000000000000000000000000 40 " + zero + " 00 " + there +
          " 00000001 00000001 00000000 00000003 eth1\n",
      index);
  REQUIRE(router);
  CHECK(router->endpoint.address == *IpAddress::parse("fe80::1"));
  CHECK(router->interface == 3);
  CHECK_FALSE(default_router_v6("", index));
  CHECK_FALSE(default_router_v6(zero + " 00 " + zero + " 00 xyz 0 0 0 3 eth0\n", index));
}

TEST_CASE("this machine's own routes can be read") {
  // Whatever they are: no default route, or one to a real address.
  for (bool v4 : {true, false}) {
    std::optional<Router> router = default_router(v4);
    if (router) CHECK_FALSE(router->endpoint.address.is_unspecified());
    if (!router) SUCCEED("no default route");
  }
}
