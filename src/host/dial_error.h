// Why the host's side of a connection did not come about, and what that means for the client that asked for it.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"
#include "base/drop_reason.h"
#include "io/stream_request.h"

namespace slipgate {

// Why a connection did not come about.
struct DialError {
  int code = 0;           // errno
  bool has_icmp = false;  // an ICMP message ended it; type and code are of the destination's family
  bool icmp_is_v4 = true;
  uint8_t icmp_type = 0;
  uint8_t icmp_code = 0;
  IpAddress reporter;                // whose message it is
  bool local = false;                // of a socket that is none of the Internet's: it says nothing about a network
  std::optional<DropReason> reason;  // how it is counted; none: by its code

  std::string to_string() const;
};

// Of a Unix, vsock or TIPC socket.
DialError local_error(int code);

// How the client is told: RST for "nothing listens", ICMP of its own family for what was unreachable or prohibited, as
// from the destination (a hop that the TTL ended at speaks for itself), and silence when nobody answered (its own timer
// decides) or nobody ever would (a black hole among the host's routes).
Refusal refusal_for(const DialError &error, bool client_is_v4);
// And how it is counted.
DropReason drop_reason_for(const DialError &error);

// Whether descriptors or memory ran out.
bool is_exhaustion(int code);

}  // namespace slipgate
