// Stream sockets of the host as Streams: TCP's, Unix, vsock, TIPC.
//
// Lives on one shard.
#pragma once

#include <sys/socket.h>

#include <cstring>

#include "base/result.h"
#include "host/dial_error.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/stream.h"

namespace slipgate {

// A connected non-blocking stream socket (TCP, Unix, vsock, TIPC) as a Stream. Reads land in the loop's scratch buffer:
// at most one HostStream at a time keeps peeked bytes there; another's peek() moves them to memory of their own.
Result<StreamPtr> make_host_stream(Loop &loop, Fd descriptor);

// What they are opened as.
inline constexpr int kStreamSocket = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

// An address of any family.
struct AnyAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  template <typename Address>
  explicit AnyAddress(const Address &address, socklen_t length = sizeof(Address)) : size(length) {
    static_assert(sizeof(Address) <= sizeof(storage));
    std::memcpy(&storage, &address, length);
  }
};

// Connects a non-blocking stream socket within `timeout` (ETIMEDOUT); the task may be cancelled (ECANCELED). What ICMP
// said is in the error when the socket gathers such (IP_RECVERR).
Task<Result<StreamPtr, DialError>> connect_stream(Loop &loop, Fd descriptor, AnyAddress to, Duration timeout);

// How long a socket of this machine or cluster is waited for: it answers at once, or its owner is busy.
inline constexpr Duration kLocalConnect = seconds(10);

}  // namespace slipgate
