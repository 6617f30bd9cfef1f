// The vsock of a guest of Firecracker, by the Unix socket that stands for it on the host.
#pragma once

#include "flow/socket_target.h"
#include "host/stream.h"

namespace slipgate {

// Connects to the Unix socket and asks for the port; ECONNRESET: nobody in the guest listens there, EPROTO: who listens
// on the Unix socket is no Firecracker.
Task<Result<StreamPtr, DialError>> dial_firecracker(Loop &loop, target::Firecracker to,
                                                    Duration timeout = kLocalConnect);

}  // namespace slipgate
