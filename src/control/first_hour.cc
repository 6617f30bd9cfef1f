#include "control/first_hour.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "host/host_addresses.h"
#include "io/fd.h"

namespace slipgate {

namespace {

constexpr int kPortsTried = 64;

Fd udp_socket(int family) {
  return Fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

bool is_free(int family, uint16_t port) {
  Fd socket = udp_socket(family);
  if (!socket) return true;  // a family that this machine does not have
  sockaddr_in6 address{};    // all zeros is "any" in both families, and the port is at the same place
  address.sin6_family = static_cast<sa_family_t>(family);
  address.sin6_port = htons(port);
  int only = 1;
  if (family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
  socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  return bind(socket.get(), reinterpret_cast<sockaddr *>(&address), size) == 0 || errno != EADDRINUSE;
}

}  // namespace

std::optional<GuessedAddress> guess_own_address() {
  std::optional<IpAddress> address = best_host_address();
  if (!address) return std::nullopt;
  return GuessedAddress{*address, is_public(*address)};
}

uint16_t free_udp_port(uint16_t first) {
  for (int port = first; port < first + kPortsTried && port <= 65535; port++) {
    if (is_free(AF_INET, static_cast<uint16_t>(port)) && is_free(AF_INET6, static_cast<uint16_t>(port))) {
      return static_cast<uint16_t>(port);
    }
  }
  return first;
}

}  // namespace slipgate
