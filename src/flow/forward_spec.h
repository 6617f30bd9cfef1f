// The grammars of `-L` and `-R`, and of wgslirpy's `-t` and `-u`.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "flow/options.h"

namespace slipgate {

// What a part that was left out means. The IPv6 set counts when either literal of the specification is IPv6.
struct ForwardDefaults {
  IpAddress listen_v4, listen_v6;
  std::string target_v4, target_v6;  // empty: the gateway's choice

  // `-L`: loopback of the host; the only client, or the first. `-R`: every own inside address; loopback of the host.
  static ForwardDefaults of(Forward::Direction direction);
};

// [PROTO://] and one to four parts: PORT · BIND:PORT · PORT:HOST:HOSTPORT · BIND:PORT:HOST:HOSTPORT. PROTO: tcp (the
// default), udp, udprpc, tcppp, tcppp2 (`-R` alone), udpspp. Parts may be empty; IPv6 addresses stand in brackets. BIND
// is an address, `*` or `localhost`; port 0 of the listener is ephemeral, a missing or 0 HOSTPORT is the listener's
// port. HOST:HOSTPORT of `-R` may be a socket_target.h; a host of such a name stands in brackets.
Result<Forward> parse_forward(std::string_view spec, Forward::Direction direction, const ForwardDefaults &defaults);
Result<Forward> parse_forward(std::string_view spec, Forward::Direction direction);

// [PROTO://]HOST,SRC,DST, three socket addresses of which SRC may be empty and DST may be NAME:PORT: listen on HOST,
// connect inside to DST, as coming from SRC (port 0: any). PROTO is of the same kind as `transport`.
Result<Forward> parse_incoming(std::string_view spec, Forward::Transport transport);

}  // namespace slipgate
