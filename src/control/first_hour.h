// What `quick` finds out about the machine that it runs on, so that a client's file works as it is.
//
// Before the loop starts: these calls wait, for a second or two at most.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"

namespace slipgate {

struct GuessedAddress {
  IpAddress address;
  bool is_public =
      false;  // no: only its own network reaches it; clients elsewhere need the router's address, and its help
};

// The best guess at an address that clients reach this machine by; none without a route.
std::optional<GuessedAddress> guess_own_address();

// The first port from `first` on that no UDP socket of this machine has, in either family; `first` itself when none is
// free.
uint16_t free_udp_port(uint16_t first);

}  // namespace slipgate
