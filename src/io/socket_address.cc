#include "io/socket_address.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"

namespace slipgate {

SocketAddress::SocketAddress(const Endpoint &endpoint, int family, uint32_t scope) : v6{} {
  be16 port(endpoint.port);
  if (family == AF_INET) {
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_port, &port, sizeof(port));
    v4.sin_addr = to_in4(endpoint.address);
    size = sizeof(sockaddr_in);
  } else {
    v6.sin6_family = AF_INET6;
    std::memcpy(&v6.sin6_port, &port, sizeof(port));
    v6.sin6_addr = to_in6(endpoint.address);
    v6.sin6_scope_id = scope;
    size = sizeof(sockaddr_in6);
  }
}

Endpoint SocketAddress::endpoint() const {
  be16 port(0);
  if (generic.sa_family == AF_INET) {
    std::memcpy(static_cast<void *>(&port), &v4.sin_port, sizeof(port));
    return {from_in4(v4.sin_addr), port.value()};
  }
  if (generic.sa_family == AF_INET6) {
    std::memcpy(static_cast<void *>(&port), &v6.sin6_port, sizeof(port));
    return {from_in6(v6.sin6_addr), port.value()};
  }
  return {};
}

in6_addr to_in6(const IpAddress &address) {
  in6_addr result;
  std::memcpy(&result, address.v6_bytes().data(), sizeof(result));
  return result;
}

in_addr to_in4(const IpAddress &address) {
  in_addr result;
  std::memcpy(&result, address.v4_bytes().data(), sizeof(result));
  return result;
}

IpAddress from_in6(const in6_addr &address) {
  return IpAddress::from_v6(bytes_of(address));
}
IpAddress from_in4(const in_addr &address) {
  return IpAddress::from_v4(bytes_of(address));
}

Endpoint local_endpoint(int descriptor) {
  SocketAddress address;
  if (::getsockname(descriptor, &address.generic, &address.size) != 0) return {};
  return address.endpoint();
}

}  // namespace slipgate
