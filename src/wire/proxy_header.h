// What a proxy puts before the data that it passes on, to say who the client really is: the PROXY protocol, version 1
// (HAProxy's proxy-protocol.txt, section 2.1) for streams, Cloudflare's Simple Proxy Protocol for datagrams.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/address.h"
#include "base/bytes.h"
#include "base/endian.h"

namespace slipgate {

// The client that spoke to the proxy, and where it spoke to.
struct ProxiedClient {
  Endpoint source;
  Endpoint destination;
};

// The longest line of version 1, its CRLF included (section 2.1).
inline constexpr size_t kMostProxyV1Bytes = 107;

struct ProxyV1 {
  enum class State : uint8_t {
    incomplete,  // so far so good: read on
    malformed,   // not this protocol, a line too long, addresses that are not of the family named, or UNKNOWN
    complete,
  };
  State state = State::malformed;
  size_t size = 0;  // bytes of the line with its CRLF; what follows is data
  ProxiedClient client;
};

// Looks at the first bytes of a stream.
ProxyV1 parse_proxy_v1(Bytes bytes);

// Before every datagram, both ways.
struct SppHeader {
  static constexpr uint16_t kMagic = 0x56ec;

  be16 magic;
  uint8_t client_address[16];  // IPv4 as v4-mapped
  uint8_t proxy_address[16];
  be16 client_port;
  be16 proxy_port;

  ProxiedClient client() const {
    return {{IpAddress::from_v6(client_address), client_port}, {IpAddress::from_v6(proxy_address), proxy_port}};
  }
};
static_assert(sizeof(SppHeader) == 38);

// Null: too short, or another magic.
const SppHeader *view_spp(Bytes datagram);

}  // namespace slipgate
