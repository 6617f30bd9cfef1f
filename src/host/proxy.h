// What the ways through proxies have in common: how patient we are, and what becomes of a proxy's own faults.
#pragma once

#include "host/tcp.h"

namespace slipgate {

// How long a proxy may take to be reached, and to each step of a handshake that needs nobody but itself.
inline constexpr Duration kProxyPatience = seconds(10);

// The proxy is not reached, or not in the way that it should be (`reason`: proxy_unreachable, proxy_failed,
// proxy_login): what the client sees is an unreachable host.
DialError proxy_error(int code, DropReason reason);

}  // namespace slipgate
