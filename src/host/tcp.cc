#include "host/tcp.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "host/error_queue.h"
#include "io/socket_address.h"
#include "io/wait.h"
#include "wire/icmp.h"

namespace slipgate {

namespace {

void set_option(int descriptor, int level, int option, int value) {
  ::setsockopt(descriptor, level, option, &value, sizeof(value));
}

void set_stream_options(int descriptor) {
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);  // the client's kernel has decided already when to send
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, SOL_SOCKET, SO_OOBINLINE, 1);  // urgent bytes are bytes; lesson: host-urgent-in-line
}

// A SYN's hops are its own: the connection's other segments have the kernel's.
void set_hops(int descriptor, int family, int hops) {
  if (family == AF_INET) {
    set_option(descriptor, IPPROTO_IP, IP_TTL, hops);
  } else {
    set_option(descriptor, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops);
  }
}

}  // namespace

Task<Result<StreamPtr, DialError>> dial_tcp(Loop &loop, Endpoint to, DialOptions options) {
  bool v4 = to.address.is_v4();
  int family = v4 ? AF_INET : AF_INET6;
  Fd descriptor(::socket(family, kStreamSocket, 0));  // lesson: host-unanswered-connect
  if (!descriptor) co_return DialError{.code = errno, .icmp_is_v4 = v4};
  int fd = descriptor.get();
  if (options.source) {
    // The port is chosen at connect(), where one local port serves many destinations.
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    SocketAddress source(Endpoint{*options.source, 0}, family);
    if (::bind(fd, &source.generic, source.size) != 0) co_return DialError{.code = errno, .icmp_is_v4 = v4};
  }
  set_receive_errors(fd, family, true);
  set_stream_options(fd);
  if (options.hops > 0) set_hops(fd, family, options.hops);
  if (options.service_class > 0) {
    set_option(fd, family == AF_INET ? static_cast<int>(IPPROTO_IP) : static_cast<int>(IPPROTO_IPV6),
               family == AF_INET ? IP_TOS : IPV6_TCLASS, options.service_class);
  }

  const SocketAddress address(to, family);
  AnyAddress name(address.v6, address.size);
  Result<StreamPtr, DialError> stream = co_await connect_stream(loop, std::move(descriptor), name, options.timeout);
  if (!stream) co_return stream.error();
  if (options.hops > 0) set_hops(fd, family, -1);
  // An established connection is not ended by an ICMP message (RFC 5927).
  set_receive_errors(fd, family, false);
  co_return stream;
}

Result<StreamPtr> make_tcp_stream(Loop &loop, Fd descriptor) {
  set_stream_options(descriptor.get());
  return make_host_stream(loop, std::move(descriptor));
}

Result<std::unique_ptr<TcpListener>> TcpListener::listen(Loop &loop, Endpoint at, Handler handler) {
  std::string what = "cannot listen on TCP " + at.to_string();
  int family = at.address.is_v4() ? AF_INET : AF_INET6;
  Fd descriptor(::socket(family, kStreamSocket, 0));
  if (!descriptor) return Error::from_errno(errno, what);
  int fd = descriptor.get();
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  // "::" means both families, as everywhere.
  if (family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !at.address.is_unspecified());
  SocketAddress address(at, family);
  if (::bind(fd, &address.generic, address.size) != 0 || ::listen(fd, SOMAXCONN) != 0) {
    return Error::from_errno(errno, what);
  }
  std::unique_ptr<TcpListener> listener(new TcpListener(loop, std::move(descriptor), std::move(handler)));
  if (Result<void> watched = loop.poller().add(fd, *listener, Interest::reading); !watched) return watched.error();
  return listener;
}

TcpListener::TcpListener(Loop &loop, Fd descriptor, Handler handler)
    : loop_(loop), descriptor_(std::move(descriptor)), handler_(std::move(handler)), timer_(*this) {}

TcpListener::~TcpListener() {
  if (destroyed_) *destroyed_ = true;
  loop_.poller().remove(descriptor_.get(), *this);
}

Endpoint TcpListener::local() const {
  return local_endpoint(descriptor_.get());
}

void TcpListener::on_events(uint32_t) {
  if (!timer_.armed()) accept_some();
}

void TcpListener::on_timer(Timer &, Time) {
  accept_some();
}

void TcpListener::accept_some() {
  bool gone = false;
  destroyed_ = &gone;
  for (int i = 0; i < kAcceptsPerTurn; i++) {
    SocketAddress peer;
    Fd connection(::accept4(descriptor_.get(), &peer.generic, &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (connection) {
      handler_(std::move(connection), peer.endpoint());
      if (gone) return;
      continue;
    }
    destroyed_ = nullptr;
    if (errno == EAGAIN) return;
    if (is_exhaustion(errno)) {
      // The connection stays in the backlog, so asking again at once would spin.
      loop_.timers().arm(timer_, loop_.now() + kPause);  // lesson: host-emfile-does-not-spin
      return;
    }
    // Everything else (ECONNABORTED, and the network errors that accept(2) lists) concerns that connection alone.
    destroyed_ = &gone;
  }
  destroyed_ = nullptr;
  loop_.poller().rearm(descriptor_.get(), *this, Interest::reading);
}

}  // namespace slipgate
