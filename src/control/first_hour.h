// What `quick` finds out about the machine that it runs on, so that a client's file works as it is.
//
// Before the gateway's loop starts: these calls wait, for a few seconds at most.
#pragma once

#include <memory>
#include <optional>
#include <string>

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

// A port of the router's that leads to ours (PCP, NAT-PMP), for as long as this object lives.
class RouterPort {
 public:
  // Asks the router that the default route of this family names, and waits for its word. Never null.
  static std::unique_ptr<RouterPort> ask(uint16_t port, bool v4);
  // Renews it from now on, by a thread of its own.
  void keep();
  ~RouterPort();  // the router is told that the port is not needed any more

  // Where the world reaches our port; none: there is no router, or it refused or kept silent.
  std::optional<Endpoint> external() const;
  // For a person: what the router said; empty: there is none.
  const std::string &text() const { return text_; }

 private:
  struct Keeper;
  RouterPort();

  std::string text_;
  std::unique_ptr<Keeper> keeper_;  // null: nothing to keep
};

}  // namespace slipgate
