#include "io/stream_pair.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace slipgate {

namespace {

class PairEnd final : public Stream, TurnEnd {
 public:
  PairEnd(Loop &loop, size_t capacity) : loop_(loop), capacity_(capacity) {}
  ~PairEnd() override {
    if (!(read_end_ && write_ended_)) abort();
    if (other_) other_->other_ = nullptr;
    if (destroyed_) *destroyed_ = true;
    loop_.forget(*this);
  }

  void join(PairEnd *other) { other_ = other; }

  Peeked peek(size_t most) override {
    if (size_t waiting = incoming_.size() - head_) {
      piece_ = {incoming_.data() + head_, std::min(waiting, std::max<size_t>(most, 1))};
      return {.pieces = {&piece_, 1}, .size = piece_.iov_len};
    }
    if (error_) return {.error = error_};
    if (peer_ended_) {
      read_end_ = true;
      return {.end = true};
    }
    return {};
  }

  void consume(size_t size) override {
    head_ += size;
    if (head_ == incoming_.size()) {
      std::vector<uint8_t>().swap(incoming_);
      head_ = 0;
    }
    if (size && other_) other_->tell(false, true);
  }

  size_t writable() override {
    if (!other_ || error_ || write_ended_) return capacity_;  // write_some() says why not
    return capacity_ - (other_->incoming_.size() - other_->head_);
  }

  Result<size_t> write_some(std::span<const iovec> pieces) override {
    if (error_) return Error::from_errno(error_, "write");
    if (!other_ || write_ended_) return Error::from_errno(EPIPE, "write");
    size_t room = writable();
    size_t taken = 0;
    std::vector<uint8_t> &to = other_->incoming_;
    if (other_->head_ > 0 && room > 0) {
      to.erase(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(other_->head_));
      other_->head_ = 0;
    }
    for (const iovec &piece : pieces) {
      size_t size = std::min(piece.iov_len, room - taken);
      const uint8_t *bytes = static_cast<const uint8_t *>(piece.iov_base);
      to.insert(to.end(), bytes, bytes + size);
      taken += size;
    }
    if (taken) other_->tell(true, false);
    return taken;
  }

  void shutdown_write() override {
    if (std::exchange(write_ended_, true) || !other_) return;
    other_->peer_ended_ = true;
    other_->tell(true, false);
  }

  void abort() override {
    error_ = ECONNABORTED;
    if (!other_ || std::exchange(other_->error_, ECONNRESET)) return;
    // A reset overtakes what was not read yet, as it does in TCP.
    std::vector<uint8_t>().swap(other_->incoming_);
    other_->head_ = 0;
    other_->tell(true, true);
  }

  void watch(StreamWatcher *watcher) override { watcher_ = watcher; }

 private:
  void tell(bool readable, bool writable) {
    tell_readable_ |= readable;
    tell_writable_ |= writable;
    loop_.at_turn_end(*this, 0);
  }

  void on_turn_end() override {
    bool readable = std::exchange(tell_readable_, false);
    bool writable = std::exchange(tell_writable_, false);
    // The watcher may destroy this stream in the first call.
    bool gone = false;
    destroyed_ = &gone;
    if (readable && watcher_) watcher_->on_readable();
    if (gone) return;
    destroyed_ = nullptr;
    if (writable && watcher_) watcher_->on_writable();
  }

  Loop &loop_;
  const size_t capacity_;
  PairEnd *other_ = nullptr;
  StreamWatcher *watcher_ = nullptr;
  std::vector<uint8_t> incoming_;
  size_t head_ = 0;  // of incoming_, what was consumed
  iovec piece_{};
  int error_ = 0;
  bool peer_ended_ = false;  // the other end has finished writing
  bool read_end_ = false;    // and our owner knows
  bool write_ended_ = false;
  bool tell_readable_ = false;
  bool tell_writable_ = false;
  bool *destroyed_ = nullptr;  // set while the watcher is called
};

}  // namespace

std::pair<StreamPtr, StreamPtr> make_stream_pair(Loop &loop, size_t capacity) {
  auto one = std::make_unique<PairEnd>(loop, capacity);
  auto two = std::make_unique<PairEnd>(loop, capacity);
  one->join(two.get());
  two->join(one.get());
  return {std::move(one), std::move(two)};
}

}  // namespace slipgate
