// The way through a SOCKS5 proxy (RFC 1928): connections, and associations for datagrams (socks5_port.h).
//
// Lives on one shard. `carrier` is a connection to the proxy. What the proxy says of the destination becomes the error
// that the destination itself would have been; what it does wrong is counted as its own fault (proxy.h). Cancelled with
// the task.
#pragma once

#include <optional>

#include "flow/options.h"
#include "host/proxy.h"

namespace slipgate {

// `timeout`: for the proxy's own attempt at `to`.
Task<Result<StreamPtr, DialError>> connect_by_socks5(Loop &loop, StreamPtr carrier, ProxyPtr proxy, Endpoint to,
                                                     Duration timeout);

struct Socks5Association {
  StreamPtr control;                 // the association lasts as long as it does
  std::optional<IpAddress> address;  // where datagrams go; none, or unspecified: where the proxy is
  uint16_t port = 0;
};
Task<Result<Socks5Association, DialError>> associate_by_socks5(Loop &loop, StreamPtr carrier, ProxyPtr proxy);

}  // namespace slipgate
