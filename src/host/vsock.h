// vsock(7): sockets of the machine's guests, of the machine that it is a guest of, and its own.
#pragma once

#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "flow/socket_target.h"
#include "host/stream.h"

namespace slipgate {

sockaddr_vm vsock_address(const target::Vsock &to);

// Connects; ECONNRESET: nobody listens there, ENODEV: nobody has the CID. The kernel's own patience is 2 s.
Task<Result<StreamPtr, DialError>> dial_vsock(Loop &loop, target::Vsock to, Duration timeout = kLocalConnect);

}  // namespace slipgate
