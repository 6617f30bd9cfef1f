// Where a flow goes: what route() decides and the gateway carries out. Services of our own are targets like any other.
#pragma once

#include <cstddef>
#include <variant>

#include "base/address.h"
#include "base/drop_reason.h"
#include "flow/options.h"

namespace slipgate {

namespace target {

// A connection, datagrams or echoes from the host, to this destination.
struct HostTcp {
  Endpoint endpoint;
  bool operator==(const HostTcp &) const = default;
};
struct HostUdp {
  Endpoint endpoint;
  bool operator==(const HostUdp &) const = default;
};
struct HostEcho {
  IpAddress address;
  bool operator==(const HostEcho &) const = default;
};
// The same by a proxy (`--egress`): a connection, datagrams (RFC 1928), a connection (CONNECT, RFC 9110 section 9.3.6).
struct Socks5Tcp {
  Endpoint endpoint;
  ProxyPtr proxy;
  bool operator==(const Socks5Tcp &) const = default;
};
struct Socks5Udp {
  Endpoint endpoint;
  ProxyPtr proxy;
  uint16_t way = 0;  // Egress::Way::number: one client endpoint has one association for each
  bool operator==(const Socks5Udp &) const = default;
};
struct HttpTcp {
  Endpoint endpoint;
  ProxyPtr proxy;
  bool operator==(const HttpTcp &) const = default;
};
// The built-in DNS server, over the protocol of the flow.
struct Dns {
  bool operator==(const Dns &) const = default;
};
// An address whose echoes we answer ourselves.
struct Echo {
  bool operator==(const Echo &) const = default;
};
// A `-R` listener: which one of the forwards.
struct RemoteForward {
  size_t index = 0;
  bool operator==(const RemoteForward &) const = default;
};
// Another client, at its inside address.
struct Peer {
  Endpoint endpoint;
  bool operator==(const Peer &) const = default;
};
// denied_by_policy: RST, or ICMP "administratively prohibited". no_service: RST, or port unreachable.
struct Refused {
  DropReason reason = DropReason::no_service;
  bool operator==(const Refused &) const = default;
};

}  // namespace target

using Target =
    std::variant<target::HostTcp, target::HostUdp, target::HostEcho, target::Socks5Tcp, target::Socks5Udp,
                 target::HttpTcp, target::Dns, target::Echo, target::RemoteForward, target::Peer, target::Refused>;

}  // namespace slipgate
