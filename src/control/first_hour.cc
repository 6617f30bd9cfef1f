#include "control/first_hour.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "io/fd.h"

namespace slipgate {

namespace {

constexpr int kPortsTried = 64;

Fd udp_socket(int family) {
  return Fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

// What the kernel would send from, towards an address of the Internet: connect() of a UDP socket sends nothing.
std::optional<IpAddress> source_towards(const IpAddress &target) {
  Fd socket = udp_socket(target.is_v4() ? AF_INET : AF_INET6);
  if (!socket) return std::nullopt;
  if (target.is_v4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9);
    std::memcpy(&address.sin_addr, target.v4_bytes().data(), 4);
    socklen_t size = sizeof(address);
    if (connect(socket.get(), reinterpret_cast<sockaddr *>(&address), size) != 0) return std::nullopt;
    if (getsockname(socket.get(), reinterpret_cast<sockaddr *>(&address), &size) != 0) return std::nullopt;
    return IpAddress::from_v4(bytes_of(address.sin_addr));
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(9);
  std::memcpy(&address.sin6_addr, target.v6_bytes().data(), 16);
  socklen_t size = sizeof(address);
  if (connect(socket.get(), reinterpret_cast<sockaddr *>(&address), size) != 0) return std::nullopt;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr *>(&address), &size) != 0) return std::nullopt;
  return IpAddress::from_v6(bytes_of(address.sin6_addr));
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

std::optional<IpAddress> outgoing_address() {
  for (const char *text : {"198.51.100.1", "2001:db8::1"}) {  // RFC 5737, RFC 3849: behind the default route, nobody's
    std::optional<IpAddress> source = source_towards(*IpAddress::parse(text));
    if (source && !source->is_loopback() && !source->is_unspecified() && !source->is_link_local()) return source;
  }
  return std::nullopt;
}

bool is_private(const IpAddress &address) {
  for (const char *network : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"}) {
    if (IpPrefix::parse(network)->contains(address)) return true;
  }
  return address.is_link_local() || address.is_loopback();
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
