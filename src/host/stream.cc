#include "host/stream.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "host/error_queue.h"
#include "host/local_ports.h"
#include "io/poller.h"
#include "io/socket_address.h"
#include "io/wait.h"

namespace slipgate {

namespace {

// A Unix socket whose backlog is full says so at once, and no event tells when there is room: it is asked again, first
// soon, then now and then.
constexpr Duration kFirstPause = milliseconds(5);
constexpr Duration kMostPause = milliseconds(200);

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

bool is_connected(int descriptor) {
  SocketAddress peer;
  return ::getpeername(descriptor, &peer.generic, &peer.size) == 0;
}

// errno with what the error queue knows about it.
DialError dial_error(int descriptor, int code, int family) {
  if (family != AF_INET && family != AF_INET6) return local_error(code);
  DialError result{.code = code, .icmp_is_v4 = family == AF_INET};
  while (std::optional<QueuedError> queued = take_error(descriptor)) {
    if (!queued->error.has_icmp) continue;
    result.has_icmp = true;
    result.icmp_type = queued->error.icmp_type;
    result.icmp_code = queued->error.icmp_code;
    result.reporter = queued->error.reporter;
  }
  return result;
}

}  // namespace

Result<StreamPtr> make_host_stream(Loop &loop, Fd descriptor) {
  auto stream = std::make_unique<HostStream>(loop, std::move(descriptor));
  if (Result<void> watched = stream->begin(); !watched) return watched.error();
  return StreamPtr(std::move(stream));
}

Task<Result<StreamPtr, DialError>> connect_stream(Loop &loop, Fd descriptor, AnyAddress to, Duration timeout) {
  const int fd = descriptor.get(), family = to.storage.ss_family;
  const Time deadline = loop.now() + timeout;
  Event event(loop);
  auto stream = std::make_unique<HostStream>(loop, std::move(descriptor));
  auto connect = [fd, family, &to] {
    const auto *name = reinterpret_cast<const sockaddr *>(&to.storage);
    return family == AF_INET || family == AF_INET6 ? connect_from_window(fd, name, to.size)
                                                   : ::connect(fd, name, to.size);
  };
  int answer = connect();
  for (Duration pause = kFirstPause; answer != 0 && errno == EAGAIN && family == AF_UNIX;
       pause = std::min(2 * pause, kMostPause)) {
    if (loop.now() >= deadline) co_return dial_error(fd, ETIMEDOUT, family);
    if (co_await event.wait(std::min(loop.now() + pause, deadline)) == Woken::cancelled)
      co_return dial_error(fd, ECANCELED, family);
    answer = connect();
  }
  if (answer != 0 && errno != EINPROGRESS) co_return dial_error(fd, errno, family);
  if (answer != 0) stream->connecting(event);
  if (Result<void> watched = stream->begin(); !watched) co_return dial_error(fd, watched.error().code, family);
  if (answer == 0) co_return StreamPtr(std::move(stream));
  for (;;) {
    Woken woken = co_await event.wait(deadline);
    if (woken == Woken::cancelled) co_return dial_error(fd, ECANCELED, family);
    // Writable and nothing amiss: it stands.
    if ((stream->connect_events() & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == EPOLLOUT) break;
    int error = 0;
    socklen_t length = sizeof(error);
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) co_return dial_error(fd, error, family);
    if (is_connected(fd)) break;
    if (woken == Woken::timed_out) co_return dial_error(fd, ETIMEDOUT, family);
    // An ICMP message that the kernel does not take for final (a soft error) wakes us, too: go on.
  }
  stream->connected();
  co_return StreamPtr(std::move(stream));
}

}  // namespace slipgate
