#include "io/relay.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "io/pace.h"

namespace slipgate {

// Nothing moves when a stream says that it is ready: the relay only notes it and asks for the end of the turn, so that
// a batch of packets becomes one large write, and no stream is called from within another. There each direction moves
// until one side has no more or takes no more, or has had its share of the turn.
//
// An idle relay is this object; it holds no buffer (what was peeked and not taken stays in its stream).

namespace {

constexpr size_t kChunk =
    60 * 1024;  // per system call: what 44 segments of 1,380 bytes are (datapath: 32 kB and more pay)
constexpr size_t kShare = 16 * kChunk;  // of one direction in one turn, then others have theirs

class Relay final : public Parked, TurnEnd, TimerTarget {
 public:
  Relay(Loop &loop, StreamPtr inside, StreamPtr outside, Duration idle, std::unique_ptr<RelayEnd> end)
      : Parked(loop),
        loop_(loop),
        end_(std::move(end)),
        traffic_(end_->traffic()),
        idle_(idle),
        timer_(*this),
        up_(*this, std::move(inside), traffic_.bytes_up, RelayEnd::Way::up),
        down_(*this, std::move(outside), traffic_.bytes_down, RelayEnd::Way::down) {
    traffic_.last_active = loop.now();
  }
  ~Relay() override { loop_.forget(*this); }

  void start() {
    up_.from->watch(&up_);
    down_.from->watch(&down_);
    loop_.timers().arm(timer_, traffic_.last_active + idle_);
    loop_.at_turn_end(*this, 0);
  }

 private:
  // One direction, named after the stream that it reads; also that stream's watcher.
  struct Direction final : StreamWatcher, PaceWaiter {
    Direction(Relay &owner, StreamPtr stream, uint64_t &moved, RelayEnd::Way which)
        : relay(owner), from(std::move(stream)), bytes(moved), way(which) {}
    void on_readable() override { relay.loop_.at_turn_end(relay, 0); }
    void on_writable() override { relay.loop_.at_turn_end(relay, 0); }
    void on_pace() override { relay.loop_.at_turn_end(relay, 0); }

    Relay &relay;
    StreamPtr from;
    uint64_t &bytes;
    const RelayEnd::Way way;
    int error = 0;        // of the stream `from`, in reading or in writing
    bool ended = false;   // the end was read and passed on
    bool broken = false;  // the other side takes no more
  };

  void on_turn_end() override {
    bool again = pump(up_, down_);
    again |= pump(down_, up_);
    if ((up_.broken || down_.broken) && !again) {
      // One side is gone. What it said before it went still belonged to the other, and has been moved.
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
    size_t moved = 0;
    const bool more = move(direction, other, std::min(kShare, end_->share(direction.way)), moved);
    if (moved > 0) end_->moved(direction.way, moved);
    return more;
  }

  bool move(Direction &direction, Direction &other, size_t share, size_t &moved) {
    Stream &from = *direction.from;
    Stream &to = *other.from;
    Pace *pace = end_->pace(direction.way);
    while (moved < share) {
      size_t room = to.writable();
      if (pace && room > 0) room = std::min(room, pace->grant(direction));
      if (room == 0) {
        // A reset need not wait until the other side takes bytes again.
        if (Peeked nothing = from.peek(0); nothing.size == 0 && nothing.error) {
          direction.error = nothing.error;
          direction.broken = true;
        }
        return false;
      }
      const size_t most = std::min({room, kChunk, share - moved});
      const std::span<const iovec> place = to.room(most);
      std::optional<Peeked> read;
      if (!place.empty()) {
        read = from.read(place);
        to.wrote(read ? read->size : 0);
      }
      const Peeked peeked = read ? *read : from.peek(most);
      if (peeked.size == 0) {
        if (peeked.end) {
          to.shutdown_write();
          direction.ended = true;
          traffic_.last_active = loop_.now();
        } else if (peeked.error) {
          direction.error = peeked.error;
          direction.broken = true;
        }
        return false;
      }
      size_t size = peeked.size;
      if (!read) {
        Result<size_t> written = to.write_some(peeked.pieces);
        if (!written) {
          other.error = written.error().code;
          direction.broken = true;
          return false;
        }
        if (*written == 0) return false;
        size = *written;
        from.consume(size);
      }
      moved += size;
      direction.bytes += size;
      if (pace) pace->charge(size);
      traffic_.last_active = loop_.now();
    }
    return true;
  }

  // The timer is not moved with every byte: it looks when it fires.
  void on_timer(Timer &, Time now) override {
    if (traffic_.last_active + idle_ > now) {
      loop_.timers().arm(timer_, traffic_.last_active + idle_);
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
    RelayResult result{.inside_error = up_.error, .outside_error = down_.error, .idle = idle};
    // They were not finished when the relay was idle: they abort themselves.
    up_.from.reset();
    down_.from.reset();
    std::unique_ptr<RelayEnd> end = std::move(end_);
    delete this;
    end->on_relay_end(result);
  }

  Loop &loop_;
  std::unique_ptr<RelayEnd> end_;
  Traffic &traffic_;  // of end_
  const Duration idle_;
  Timer timer_;
  Direction up_;
  Direction down_;
};

}  // namespace

void relay(Loop &loop, StreamPtr inside, StreamPtr outside, Duration idle, std::unique_ptr<RelayEnd> end) {
  // Parked on the loop, which owns it until it ends itself.
  (new Relay(loop, std::move(inside), std::move(outside), idle, std::move(end)))->start();
}

}  // namespace slipgate
