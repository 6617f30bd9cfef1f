// What a proxy puts before the data that it passes on, to say who the client really is: the PROXY protocol (HAProxy's
// proxy-protocol.txt) for streams, Cloudflare's Simple Proxy Protocol for datagrams.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

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
// Version 2 could say 65,551; addresses take 232 and what proxies add behind them (a certificate's name, say) little.
inline constexpr size_t kMostProxyV2Bytes = 4096;

// Version 2 (section 2.2); addresses and, after them, TLVs follow.
struct ProxyV2Header {
  static constexpr uint8_t kSignature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
  static constexpr uint8_t kLocal = 0x20, kProxy = 0x21;              // the version above the command
  static constexpr uint8_t kTcpOverIpv4 = 0x11, kTcpOverIpv6 = 0x21;  // the family above the transport

  uint8_t signature[12];
  uint8_t version_command;
  uint8_t family_transport;
  be16 length;  // of what follows
};
static_assert(sizeof(ProxyV2Header) == 16);

struct ProxyHeader {
  enum class State : uint8_t {
    incomplete,  // so far so good: read on
    malformed,   // not this protocol, too long, addresses that are not of the family named
    complete,
  };
  State state = State::malformed;
  size_t size = 0;  // bytes of the header; what follows is data
  // None: the connection is the proxy's own (LOCAL, UNKNOWN: a health check), or the client has no such addresses (it
  // came by a Unix socket). Then the connection's own endpoints count.
  std::optional<ProxiedClient> client;
};

// Looks at the first bytes of a stream, of either version. TLVs are passed over.
ProxyHeader parse_proxy_header(Bytes bytes);

// The header of this version, 1 or 2; source and destination are of one family.
std::vector<uint8_t> make_proxy_header(int version, const ProxiedClient &client);

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
