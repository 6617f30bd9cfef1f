// Unix stream sockets of the host.
#pragma once

#include "flow/socket_target.h"
#include "host/stream.h"

namespace slipgate {

// Connects; ENOENT and ECONNREFUSED: nobody listens there. A full backlog is waited for.
Task<Result<StreamPtr, DialError>> dial_unix(Loop &loop, target::Unix to, Duration timeout = kLocalConnect);

}  // namespace slipgate
