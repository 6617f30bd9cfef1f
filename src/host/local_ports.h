// From which of the host's ports a TCP connection goes out.
//
// connect() looks for a port that is free towards its destination, first through all the even ones of the host's range.
// When those are in TIME_WAIT, after some 14,000 connections to one destination within a minute, it looks at all of
// them each time: 1 to 2 ms of CPU. So each connection looks through a small window of the range, chosen at random (RFC
// 6056), and through all of it when that one is full. Kernels before Linux 6.3 look through all as ever.
#pragma once

#include <sys/socket.h>

#include <cstdint>

namespace slipgate {

struct PortRange {
  uint16_t first = 0, last = 0;  // both included; 0: not known

  bool operator==(const PortRange &) const = default;
};

// The host's (net.ipv4.ip_local_port_range), as it was when this was first called: at start, when files can be read.
PortRange host_port_range();

// connect() for a TCP socket without a port. errno as connect() leaves it.
int connect_from_window(int descriptor, const sockaddr *to, socklen_t size, PortRange range = host_port_range());

}  // namespace slipgate
