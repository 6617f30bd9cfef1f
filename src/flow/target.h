// Where a flow goes: what route() decides and the gateway carries out. Services of our own are targets like any other.
#pragma once

#include <cstddef>
#include <variant>

#include "base/address.h"
#include "base/drop_reason.h"

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

using Target = std::variant<target::HostTcp, target::HostUdp, target::HostEcho, target::Dns, target::Echo,
                            target::RemoteForward, target::Peer, target::Refused>;

}  // namespace slipgate
