#include "control/first_hour.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "io/fd.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

// A socket on a port of the kernel's choice.
Fd bound(int family, uint16_t &port) {
  Fd socket(::socket(family, SOCK_DGRAM, 0));
  if (!socket) return socket;
  sockaddr_in6 address{};
  address.sin6_family = static_cast<sa_family_t>(family);
  socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  int only = 1;
  if (family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
  REQUIRE(bind(socket.get(), reinterpret_cast<sockaddr *>(&address), size) == 0);
  REQUIRE(getsockname(socket.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
  port = ntohs(address.sin6_port);
  return socket;
}

}  // namespace

TEST_CASE("a port that either family has is not taken") {
  for (int family : {AF_INET, AF_INET6}) {
    uint16_t port = 0;
    Fd socket = bound(family, port);
    if (!socket) continue;  // a machine without IPv6
    CHECK(free_udp_port(port) != port);
    socket.reset();
    CHECK(free_udp_port(port) == port);
  }
}
