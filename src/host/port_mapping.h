// Asking the router for a way in: that datagrams to a port of its outside address reach a UDP port of this machine. PCP
// (RFC 6887) first, NAT-PMP (RFC 6886) where the router knows no better.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "base/address.h"
#include "base/result.h"
#include "base/time.h"
#include "io/loop.h"
#include "wire/pcp.h"

namespace slipgate {

struct Router {
  Endpoint endpoint;       // port 5351, elsewhere in tests
  uint32_t interface = 0;  // of a link-local address
};

// Where the default route goes: none on machines without one, or whose default route needs no router.
std::optional<Router> default_router(bool v4);
// The same from the text of /proc/net/route and /proc/net/ipv6_route; `interface_index` gives the number of an
// interface.
std::optional<Router> default_router_v4(std::string_view routes);
std::optional<Router> default_router_v6(std::string_view routes,
                                        const std::function<uint32_t(std::string_view)> &interface_index);

struct PortMapping {
  Router router;
  bool nat_pmp = false;  // the protocol that the router speaks
  pcp::Nonce nonce{};    // PCP: what this mapping is known by
  uint16_t internal_port = 0;
  Endpoint external;    // where the world reaches the port
  seconds lifetime{0};  // as granted
};

// Asks, and asks again for about two seconds when nothing comes; a refusal ends it at once. `previous` is the mapping
// to renew, which the router then keeps where it is if it can.
Task<Result<PortMapping>> request_port_mapping(Loop &loop, Router router, uint16_t internal_port, seconds lifetime,
                                               std::optional<PortMapping> previous = std::nullopt);

// Renews for ever, half of the lifetime before it ends, more often when the router does not answer; ends when the task
// is cancelled. `told` hears of every attempt: the mapping, perhaps with another external endpoint, or why there is
// none now.
Task<> keep_port_mapping(Loop &loop, PortMapping mapping, std::function<void(const Result<PortMapping> &)> told);

// At exit: says that the mapping is not needed any more. One datagram, sent at once; an answer is not waited for.
void remove_port_mapping(const PortMapping &mapping);

}  // namespace slipgate
