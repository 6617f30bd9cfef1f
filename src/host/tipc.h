// TIPC services, of this node or another of its cluster.
#pragma once

#include <sys/socket.h>

#include <linux/tipc.h>

#include "flow/socket_target.h"
#include "host/stream.h"

namespace slipgate {

// One instance of a service, anywhere in the cluster.
sockaddr_tipc tipc_address(const target::Tipc &to);

// Connects, which lasts until the service accepts; EHOSTUNREACH: nobody has bound the service, EAFNOSUPPORT: the kernel
// has no TIPC. It knows no half-close: a service is not told that the client has ended, and the stream ends when the
// service has said nothing for a while after that.
Task<Result<StreamPtr, DialError>> dial_tipc(Loop &loop, target::Tipc to, Duration timeout = kLocalConnect);

}  // namespace slipgate
