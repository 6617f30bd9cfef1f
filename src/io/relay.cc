#include "io/relay.h"

#include <algorithm>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/async_result.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

namespace slipgate {

// Nothing moves when a stream says that it is ready: the relay only notes it and asks for the end of the turn, so that
// a batch of packets becomes one large write, and no stream is called from within another. There each direction moves
// until one side has no more or takes no more, or has had its share of the turn.
//
// An idle relay is this object and the frame of its suspended coroutine; it holds no buffer (what was peeked and not
// taken stays in its stream).

namespace {

constexpr asio::use_awaitable_t<asio::io_context::executor_type> kAwait;

constexpr size_t kChunk =
    60 * 1024;  // per system call: what 44 segments of 1,380 bytes are (datapath: 32 kB and more pay)
constexpr size_t kShare = 16 * kChunk;  // of one direction in one turn, then others have theirs

class Relay : public Parked, TurnEnd, TimerTarget {
 public:
  Relay(Loop &loop, StreamPtr inside, StreamPtr outside, Duration idle)
      : Parked(loop),
        loop_(loop),
        idle_(idle),
        last_(loop.now()),
        timer_(*this),
        up_(*this, std::move(inside)),
        down_(*this, std::move(outside)) {}
  ~Relay() override { loop_.forget(*this); }

  void start() {
    up_.from->watch(&up_);
    down_.from->watch(&down_);
    loop_.timers().arm(timer_, last_ + idle_);
    loop_.at_turn_end(*this, 0);
  }

  void cancel() {
    cancelled_ = true;
    up_.error = down_.error = ECANCELED;
    abort();
  }

 protected:
  virtual void complete(const RelayResult &result) = 0;  // and destroys itself

  Loop &loop_;
  bool cancelled_ = false;

 private:
  // One direction, named after the stream that it reads; also that stream's watcher.
  struct Direction final : StreamWatcher {
    Direction(Relay &owner, StreamPtr stream) : relay(owner), from(std::move(stream)) {}
    void on_readable() override { relay.loop_.at_turn_end(relay, 0); }
    void on_writable() override { relay.loop_.at_turn_end(relay, 0); }

    Relay &relay;
    StreamPtr from;
    uint64_t bytes = 0;
    int error = 0;        // of the stream `from`, in reading or in writing
    bool ended = false;   // the end was read and passed on
    bool broken = false;  // the other side takes no more
  };

  void on_turn_end() override {
    bool again = pump(up_, down_);
    again |= pump(down_, up_);
    if (up_.broken || down_.broken) {
      // One side is gone. What it said before it went still belongs to the other: it had its share in this very call.
      abort();
      return;
    }
    if (up_.ended && down_.ended) {
      finish(false);
      return;
    }
    if (again) loop_.at_turn_end(*this, 0);
  }

  // Moves what can be moved; true when it stopped only because its share is used up.
  bool pump(Direction &direction, Direction &other) {
    if (direction.ended || direction.broken) return false;
    Stream &from = *direction.from;
    Stream &to = *other.from;
    for (size_t moved = 0; moved < kShare;) {
      size_t room = to.writable();
      if (room == 0) {
        // A reset need not wait until the other side takes bytes again.
        if (Peeked nothing = from.peek(0); nothing.size == 0 && nothing.error) {
          direction.error = nothing.error;
          direction.broken = true;
        }
        return false;
      }
      Peeked peeked = from.peek(std::min(room, kChunk));
      if (peeked.size == 0) {
        if (peeked.end) {
          to.shutdown_write();
          direction.ended = true;
          last_ = loop_.now();
        } else if (peeked.error) {
          direction.error = peeked.error;
          direction.broken = true;
        }
        return false;
      }
      Result<size_t> written = to.write_some(peeked.pieces);
      if (!written) {
        other.error = written.error().code;
        direction.broken = true;
        return false;
      }
      if (*written == 0) return false;
      from.consume(*written);
      moved += *written;
      direction.bytes += *written;
      last_ = loop_.now();
    }
    return true;
  }

  // The timer is not moved with every byte: it looks when it fires.
  void on_timer(Timer &, Time now) override {
    if (last_ + idle_ > now) {
      loop_.timers().arm(timer_, last_ + idle_);
      return;
    }
    finish(true);
  }

  void abort() {
    up_.from->abort();
    down_.from->abort();
    finish(false);
  }

  void finish(bool idle) {
    RelayResult result{.bytes_up = up_.bytes,
                       .bytes_down = down_.bytes,
                       .inside_error = up_.error,
                       .outside_error = down_.error,
                       .idle = idle};
    // Streams go first: the coroutine runs later, and they were not finished when the relay was idle (they abort
    // themselves).
    up_.from.reset();
    down_.from.reset();
    complete(result);
  }

  const Duration idle_;
  Time last_;  // a byte moved
  Timer timer_;
  Direction up_;
  Direction down_;
};

template <typename Handler>
class HandlerRelay final : public Relay {
 public:
  HandlerRelay(Loop &loop, StreamPtr inside, StreamPtr outside, Duration idle, Handler handler)
      : Relay(loop, std::move(inside), std::move(outside), idle), handler_(std::move(handler)) {}

  Handler &handler() { return handler_; }

 private:
  void complete(const RelayResult &result) override {
    // A cancellation that comes between now and the coroutine's waking must not find us; one that brought us here is
    // still running in the slot, which is emptied later.
    if (!cancelled_) asio::get_associated_cancellation_slot(handler_).clear();
    asio::post(loop_.context(), [handler = std::move(handler_), result]() mutable {
      asio::get_associated_cancellation_slot(handler).clear();
      std::move(handler)(result);
    });
    delete this;
  }

  Handler handler_;
};

}  // namespace

Task<RelayResult> relay(Loop &loop, StreamPtr inside, StreamPtr outside, Duration idle) {
  return asio::async_initiate<decltype(kAwait), void(RelayResult)>(
      [&loop, idle](auto handler, StreamPtr one, StreamPtr two) {
        using Handler = decltype(handler);
        auto *relay = new HandlerRelay<Handler>(loop, std::move(one), std::move(two), idle, std::move(handler));
        auto slot = asio::get_associated_cancellation_slot(relay->handler());
        if (slot.is_connected()) {
          slot.assign([relay, done = false](asio::cancellation_type) mutable {
            if (!std::exchange(done, true)) relay->cancel();
          });
        }
        relay->start();
      },
      kAwait, std::move(inside), std::move(outside));
}

}  // namespace slipgate
