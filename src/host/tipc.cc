#include "host/tipc.h"

#include <cerrno>
#include <memory>
#include <utility>

namespace slipgate {

namespace {

// How long a service may take to answer a client that has ended: it cannot see that it has.
constexpr Duration kAfterEnd = seconds(10);

// TIPC's manners made a stream's: it can be ended only both ways at once, and what says that the other side has ended
// looks like a reset, or goes along with a read of what came before it.
class TipcStream final : public Stream, TimerTarget {
 public:
  // `descriptor` is the carrier's.
  TipcStream(Loop &loop, StreamPtr carrier, int descriptor)
      : loop_(loop), carrier_(std::move(carrier)), descriptor_(descriptor) {}

  Peeked peek(size_t most) override {
    if (ended_) return {.end = true};
    return heard(carrier_->peek(most));
  }
  void consume(size_t size) override { carrier_->consume(size); }
  std::optional<Peeked> read(std::span<const iovec> room) override {
    if (ended_) return Peeked{.end = true};
    std::optional<Peeked> peeked = carrier_->read(room);
    return peeked ? std::optional(heard(*peeked)) : std::nullopt;
  }
  size_t writable() override { return carrier_->writable(); }
  Result<size_t> write_some(std::span<const iovec> pieces) override { return carrier_->write_some(pieces); }
  void shutdown_write() override { loop_.timers().arm(timer_, loop_.now() + kAfterEnd); }
  void abort() override { carrier_->abort(); }
  void watch(StreamWatcher *watcher) override {
    watcher_ = watcher;
    carrier_->watch(watcher);
  }

 private:
  Peeked heard(const Peeked &peeked) {
    if (peeked.size > 0) {
      if (timer_.armed()) loop_.timers().arm(timer_, loop_.now() + kAfterEnd);
      return peeked;
    }
    if (peeked.error == ECONNRESET || (!peeked.error && !peeked.end && is_over())) {
      ended_ = true;
      return {.end = true};
    }
    return peeked;
  }

  bool is_over() const {
    sockaddr_tipc peer;
    socklen_t size = sizeof(peer);
    if (::getpeername(descriptor_, reinterpret_cast<sockaddr *>(&peer), &size) == 0) return false;
    uint8_t byte;
    return ::recv(descriptor_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
  }

  void on_timer(Timer &, Time) override {
    ended_ = true;
    if (watcher_) watcher_->on_readable();
  }

  Loop &loop_;
  StreamPtr carrier_;
  const int descriptor_;
  StreamWatcher *watcher_ = nullptr;
  Timer timer_{*this};
  bool ended_ = false;
};

}  // namespace

sockaddr_tipc tipc_address(const target::Tipc &to) {
  sockaddr_tipc address{};
  address.family = AF_TIPC;
  address.addrtype = TIPC_SERVICE_ADDR;
  address.addr.name.name.type = to.type;
  address.addr.name.name.instance = to.instance;
  return address;
}

Task<Result<StreamPtr, DialError>> dial_tipc(Loop &loop, target::Tipc to, Duration timeout) {
  Fd descriptor(::socket(AF_TIPC, kStreamSocket, 0));
  if (!descriptor) co_return local_error(errno);
  const int number = descriptor.get();
  AnyAddress name(tipc_address(to));
  Result<StreamPtr, DialError> stream = co_await connect_stream(loop, std::move(descriptor), name, timeout);
  if (!stream) co_return stream.error();
  co_return StreamPtr(std::make_unique<TipcStream>(loop, std::move(*stream), number));
}

}  // namespace slipgate
