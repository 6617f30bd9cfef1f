// How each reason for not serving a flow is told to the client (contract: "Semantics a peer or guest sees").
#pragma once

#include "base/drop_reason.h"
#include "io/stream_request.h"

namespace slipgate {

// For a TCP request of this family.
Refusal tcp_refusal(DropReason reason, bool v4);

// The ICMP or ICMPv6 error for a datagram or echo; `silence`: none.
Refusal datagram_refusal(DropReason reason, bool v4);

}  // namespace slipgate
