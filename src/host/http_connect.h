// The way through an HTTP proxy: CONNECT (RFC 9110 section 9.3.6).
//
// Lives on one shard. `carrier` is a connection to the proxy. What the proxy says of the destination becomes the error
// that the destination itself would have been; what it does wrong is counted as its own fault (proxy.h). Cancelled with
// the task.
#pragma once

#include "host/tcp.h"

namespace slipgate {

Task<Result<StreamPtr, DialError>> connect_by_http(Loop &loop, StreamPtr carrier, Endpoint to, Duration timeout);

}  // namespace slipgate
