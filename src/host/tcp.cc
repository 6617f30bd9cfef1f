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

constexpr int kStreamSocket = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

void set_option(int descriptor, int level, int option, int value) {
  ::setsockopt(descriptor, level, option, &value, sizeof(value));
}

// Edge-triggered: `readable_` and `writable_` stay true until a call says EAGAIN (or, in reading, brings less than
// asked for), and only an event makes them true again. An error or hangup is one event, too: nothing is asked again and
// again.
class HostStream final : public Stream, public Pollable, ScratchKeeper {
 public:
  // What write_some() is said to take while nothing is known to the contrary.
  static constexpr size_t kWritable = 65536;

  HostStream(Loop &loop, Fd descriptor) : loop_(loop), descriptor_(std::move(descriptor)) {}

  // Once, when the descriptor is connected or on its way.
  Result<void> begin() { return loop_.poller().add(descriptor_.get(), *this); }

  // connect() is under way: its events are told to `event` and gathered, the stream begins with connected().
  void connecting(Event &event) {
    connecting_ = &event;
    readable_ = false;
    events_ = 0;
  }
  uint32_t connect_events() const { return events_; }
  void connected() { connecting_ = nullptr; }
  int descriptor() const { return descriptor_.get(); }

  ~HostStream() override {
    if (destroyed_) *destroyed_ = true;
    if (!(read_end_ && write_ended_)) abort();
    close();
  }

  Peeked peek(size_t most) override {
    if (kept_ > 0) return kept(most);
    if (error_) return {.error = error_};
    if (most == 0) return {.error = failed_ ? take_socket_error() : 0};
    if (read_end_) return {.end = true};
    if (!readable_ || !descriptor_) return {};
    uint8_t *room = loop_.scratch().stream(this);
    most = std::min(most, Scratch::kStreamBytes);
    const iovec piece{room, most};
    const Peeked received = receive({&piece, 1}, most);
    if (received.size == 0) {
      loop_.scratch().forget(this);
      return received;
    }
    bytes_ = room;
    kept_ = static_cast<uint32_t>(received.size);
    return kept(most);
  }

  std::optional<Peeked> read(std::span<const iovec> room) override {
    if (kept_ > 0) return std::nullopt;
    if (error_) return Peeked{.error = error_};
    if (read_end_) return Peeked{.end = true};
    if (!readable_ || !descriptor_) return Peeked{};
    size_t most = 0;
    for (const iovec &piece : room) most += piece.iov_len;
    return receive(room, most);
  }

  void consume(size_t size) override {
    bytes_ += size;
    kept_ -= static_cast<uint32_t>(size);
    if (kept_ > 0) return;
    if (own_) {
      own_.reset();
    } else {
      loop_.scratch().forget(this);
    }
  }

  size_t writable() override { return writable_ ? kWritable : 0; }

  Result<size_t> write_some(std::span<const iovec> pieces) override {
    if (error_ || !descriptor_ || write_ended_) return Error::from_errno(error_ ? error_ : EPIPE, "write");
    msghdr head{};
    head.msg_iov = const_cast<iovec *>(pieces.data());
    head.msg_iovlen = pieces.size();
    ssize_t size;
    do {
      size = ::sendmsg(descriptor_.get(), &head, MSG_NOSIGNAL | MSG_DONTWAIT);  // lesson: host-epipe-no-signal
    } while (size < 0 && errno == EINTR);
    if (size >= 0) {
      size_t whole = 0;
      for (const iovec &piece : pieces) whole += piece.iov_len;
      if (static_cast<size_t>(size) < whole) writable_ = false;  // full: an event comes when there is room
      return static_cast<size_t>(size);
    }
    if (errno == EAGAIN) {
      writable_ = false;
      return size_t{0};
    }
    // Not error_: what the peer sent before it went can still be read.
    return Error::from_errno(errno, "write");
  }

  void shutdown_write() override {
    write_ended_ = true;
    if (descriptor_) ::shutdown(descriptor_.get(), SHUT_WR);
  }

  void abort() override {
    if (!descriptor_) return;
    linger linger{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(descriptor_.get(), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close();
    if (!error_) error_ = ECONNABORTED;
  }

  void watch(StreamWatcher *watcher) override { watcher_ = watcher; }

  void on_events(uint32_t events) override {
    if (events & (EPOLLERR | EPOLLHUP)) failed_ = true;
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) hangup_ = true;
    if (events & EPOLLPRI) urgent_ = true;
    if (connecting_) {
      events_ |= events;
      readable_ |= (events & EPOLLIN) != 0 || hangup_;
      connecting_->notify();
      return;
    }
    bool gone = false;
    destroyed_ = &gone;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
      readable_ = true;
      if (watcher_) watcher_->on_readable();
      if (gone) return;
    }
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) && !writable_) {
      writable_ = true;
      if (watcher_) watcher_->on_writable();
      if (gone) return;
    }
    destroyed_ = nullptr;
  }

 private:
  Peeked receive(std::span<const iovec> room, size_t most) {
    msghdr head{};
    head.msg_iov = const_cast<iovec *>(room.data());
    head.msg_iovlen = room.size();
    ssize_t size;
    do {
      size = ::recvmsg(descriptor_.get(), &head, MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size > 0) {
      // A short read has emptied the socket: spare the call that would say EAGAIN. Not after a hangup, of which there
      // is no second event; nor where urgent bytes come, at whose mark a read ends although there is more.
      if (static_cast<size_t>(size) < most && !hangup_ && !urgent_) readable_ = false;
      return {.size = static_cast<size_t>(size)};
    }
    if (size == 0) {
      read_end_ = true;
      return {.end = true};
    }
    if (errno == EAGAIN) {
      readable_ = false;
      return {};
    }
    return {.error = error_ = errno};
  }

  Peeked kept(size_t most) {
    piece_ = {bytes_, std::min<size_t>(kept_, std::max<size_t>(most, 1))};
    return {.pieces = {&piece_, 1}, .size = piece_.iov_len};
  }

  int take_socket_error() {
    socklen_t length = sizeof(error_);
    if (descriptor_) ::getsockopt(descriptor_.get(), SOL_SOCKET, SO_ERROR, &error_, &length);
    return error_;
  }

  void on_scratch_wanted() override {
    own_ = std::make_unique_for_overwrite<uint8_t[]>(kept_);
    std::memcpy(own_.get(), bytes_, kept_);
    bytes_ = own_.get();
  }

  void close() {
    loop_.scratch().forget(this);
    if (!descriptor_) return;
    descriptor_.reset();
    loop_.poller().forget(*this);
  }

  Loop &loop_;
  Fd descriptor_;
  int error_ = 0;
  uint32_t events_ = 0;  // while it connects
  Event *connecting_ = nullptr;
  StreamWatcher *watcher_ = nullptr;
  bool *destroyed_ = nullptr;       // set while the watcher is called
  std::unique_ptr<uint8_t[]> own_;  // peeked bytes that had to leave the scratch buffer
  uint8_t *bytes_ = nullptr;        // peeked, not consumed; in the scratch buffer or in own_
  uint32_t kept_ = 0;               // so many of them
  bool readable_ = true;
  bool writable_ = true;
  bool hangup_ = false;  // the peer will send no more
  bool urgent_ = false;  // it has sent urgent bytes
  bool failed_ = false;  // the socket has an error to tell
  bool read_end_ = false;
  bool write_ended_ = false;
  iovec piece_{};
};

void set_stream_options(int descriptor) {
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);  // the client's kernel has decided already when to send
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, SOL_SOCKET, SO_OOBINLINE, 1);  // urgent bytes are bytes; lesson: host-urgent-in-line
}

bool is_connected(int descriptor) {
  SocketAddress peer;
  return ::getpeername(descriptor, &peer.generic, &peer.size) == 0;
}

// errno with what the error queue knows about it.
DialError dial_error(int descriptor, int code, bool v4) {
  DialError result{.code = code, .icmp_is_v4 = v4};
  while (std::optional<QueuedError> queued = take_error(descriptor)) {
    if (!queued->error.has_icmp) continue;
    result.has_icmp = true;
    result.icmp_type = queued->error.icmp_type;
    result.icmp_code = queued->error.icmp_code;
    result.reporter = queued->error.reporter;
  }
  return result;
}

// A SYN's hops are its own: the connection's other segments have the kernel's.
void set_hops(int descriptor, int family, int hops) {
  if (family == AF_INET) {
    set_option(descriptor, IPPROTO_IP, IP_TTL, hops);
  } else {
    set_option(descriptor, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops);
  }
}

bool is_exhaustion(int code) {
  return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

}  // namespace

Result<StreamPtr> make_host_stream(Loop &loop, Fd descriptor) {
  set_stream_options(descriptor.get());
  auto stream = std::make_unique<HostStream>(loop, std::move(descriptor));
  if (Result<void> watched = stream->begin(); !watched) return watched.error();
  return StreamPtr(std::move(stream));
}

std::string DialError::to_string() const {
  std::string text = std::generic_category().message(code);
  if (has_icmp) {
    text += fmt::format(" (ICMP{} type {} code {})", icmp_is_v4 ? "" : "v6", icmp_type, icmp_code);
  }
  if (reason) text += fmt::format(": {}", description_of(*reason));
  return text;
}

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

  Event event(loop);
  auto stream = std::make_unique<HostStream>(loop, std::move(descriptor));
  SocketAddress address(to, family);
  if (::connect(fd, &address.generic, address.size) != 0) {
    // EAGAIN: no free local port (bind had chosen the address).
    if (errno != EINPROGRESS) co_return dial_error(fd, errno, v4);
    stream->connecting(event);
    if (!stream->begin()) co_return DialError{.code = ENOMEM, .icmp_is_v4 = v4};
    Time deadline = loop.now() + options.timeout;
    for (;;) {
      Woken woken = co_await event.wait(deadline);
      if (woken == Woken::cancelled) co_return DialError{.code = ECANCELED, .icmp_is_v4 = v4};
      // Writable and nothing amiss: it stands.
      if ((stream->connect_events() & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == EPOLLOUT) break;
      int error = 0;
      socklen_t length = sizeof(error);
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
      if (error) co_return dial_error(fd, error, v4);
      if (is_connected(fd)) break;
      if (woken == Woken::timed_out) co_return DialError{.code = ETIMEDOUT, .icmp_is_v4 = v4};
      // An ICMP message that the kernel does not take for final (a soft error) wakes us, too: go on.
    }
    stream->connected();
  } else if (Result<void> watched = stream->begin(); !watched) {
    co_return DialError{.code = watched.error().code, .icmp_is_v4 = v4};
  }
  if (options.hops > 0) set_hops(fd, family, -1);
  // An established connection is not ended by an ICMP message (RFC 5927).
  set_receive_errors(fd, family, false);
  co_return StreamPtr(std::move(stream));
}

Refusal refusal_for(const DialError &error, bool client_is_v4) {
  if (error.has_icmp && error.icmp_is_v4 == client_is_v4) {
    bool expired = error.icmp_type == (client_is_v4 ? icmp::kTimeExceeded : icmpv6::kTimeExceeded);
    return Refusal::unreachable(error.icmp_type, error.icmp_code, expired ? error.reporter : IpAddress());
  }
  uint8_t type, code;
  switch (error.code) {
    case ETIMEDOUT:
    case ECANCELED:
    case EINVAL:  // what Linux says of a blackhole route
      return Refusal::silence();
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case EACCES:
    case EPERM:
    case ENOPROTOOPT:
    case EAFNOSUPPORT:
      if (describe_in_icmp(error.code, client_is_v4, type, code)) return Refusal::unreachable(type, code);
      break;
    case EADDRNOTAVAIL:
      // IPv6: the host has no address to speak from, so the client shall fall back at once. IPv4: local ports ran out.
      if (!client_is_v4) return Refusal::unreachable(1, 0);
      break;
    default:
      break;
  }
  return Refusal::reset();
}

DropReason drop_reason_for(const DialError &error) {
  if (error.reason) return *error.reason;
  switch (error.code) {
    case ECONNREFUSED:
    case ECONNRESET:
      return DropReason::connection_refused;
    case ETIMEDOUT:
      return DropReason::host_timeout;
    case ECANCELED:
      return DropReason::request_cancelled;
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case EACCES:
    case EPERM:
    case ENOPROTOOPT:
    case EINVAL:
      return DropReason::host_unreachable;
    case EAFNOSUPPORT:
      return DropReason::no_ipv6;
    case EADDRNOTAVAIL:
      return error.icmp_is_v4 ? DropReason::host_error : DropReason::no_ipv6;
    default:
      return is_exhaustion(error.code) ? DropReason::descriptors_exhausted : DropReason::host_error;
  }
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
