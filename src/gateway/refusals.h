// How each reason for not serving a flow is told to the client (contract: "Semantics a peer or guest sees").
#pragma once

#include <algorithm>

#include "base/drop_reason.h"
#include "io/datagram_port.h"
#include "io/stream_request.h"
#include "stack/stack.h"

namespace slipgate {

// For a TCP request of this family.
Refusal tcp_refusal(DropReason reason, bool v4);

// One hop further: what of a datagram's header leaves the gateway, and what of an answer's goes inside. A packet from
// inside has at least one hop left behind us (else it is refused as ttl_expired); an answer that has come so far shall
// arrive.
inline DatagramHeader header_outside(const DatagramInfo &info) {
  return {.ttl = static_cast<uint8_t>(info.ttl - 1),
          .traffic_class = info.traffic_class,
          .dont_fragment = info.dont_fragment};
}
inline DatagramInfo info_inside(const DatagramHeader &header) {
  return {.ttl = static_cast<uint8_t>(std::max<uint8_t>(header.ttl, 2) - 1), .traffic_class = header.traffic_class};
}

// The ICMP or ICMPv6 error for a datagram or echo; `silence`: none.
Refusal datagram_refusal(DropReason reason, bool v4);

}  // namespace slipgate
