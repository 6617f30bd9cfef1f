// What `quick` finds out about the machine that it runs on, so that a client's file works as it is.
//
// Before the loop starts: these calls wait, for a second or two at most.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"

namespace slipgate {

// The address from which this machine reaches the Internet, IPv4 before IPv6; none without a route.
std::optional<IpAddress> outgoing_address();
// Only reachable in its own network: private (RFC 1918), shared by a provider (RFC 6598), unique local (RFC 4193), or
// link-local. Then clients elsewhere need the router's address, and its help.
bool is_private(const IpAddress &address);

// The first port from `first` on that no UDP socket of this machine has, in either family; `first` itself when none is
// free.
uint16_t free_udp_port(uint16_t first);

}  // namespace slipgate
