// Endpoints as the kernel wants them, and back.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "base/address.h"

namespace slipgate {

struct SocketAddress {
  union {
    sockaddr generic;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t size = sizeof(sockaddr_in6);

  SocketAddress() : v6{} {}
  // For a socket of `family`: IPv4 stands v4-mapped in an AF_INET6 one. `scope` is the interface of a link-local
  // address.
  SocketAddress(const Endpoint &endpoint, int family, uint32_t scope = 0);
  // For a socket of the address's own family.
  explicit SocketAddress(const Endpoint &endpoint)
      : SocketAddress(endpoint, endpoint.address.is_v4() ? AF_INET : AF_INET6) {}

  Endpoint endpoint() const;  // unspecified and 0 when it is neither family
};

in6_addr to_in6(const IpAddress &address);
in_addr to_in4(const IpAddress &address);  // of an IPv4 address
IpAddress from_in6(const in6_addr &address);
IpAddress from_in4(const in_addr &address);

// The endpoint that the socket is bound to.
Endpoint local_endpoint(int descriptor);

}  // namespace slipgate
