// What the kernel tells of ICMP messages about what a socket sent (IP_RECVERR, IPV6_RECVERR): the type and code that
// errno alone loses.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "io/datagram_port.h"

namespace slipgate {

// Asks for such messages to be kept, or (off) not, and throws away those that were.
bool set_receive_errors(int descriptor, int family, bool on);

struct QueuedError {
  DatagramError error;
  size_t quoted = 0;  // bytes of `quote` that were filled
};

// Takes the next message off the queue; none: it is empty. `quote` takes what the message quotes of the datagram's
// payload.
std::optional<QueuedError> take_error(int descriptor, MutableBytes quote = {});

// Errors of a send that concern its destination, in ICMP's words of that family: what a client is told when there was
// no ICMP message (our own routing table said so). False: nothing to tell (EINVAL, too: Linux says it of a blackhole
// route).
bool describe_in_icmp(int code, bool v4, uint8_t &type, uint8_t &icmp_code);

}  // namespace slipgate
