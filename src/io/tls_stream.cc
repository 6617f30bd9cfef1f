#include "io/tls_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "io/wait.h"

namespace slipgate {

namespace {

constexpr size_t kRecord = 16 << 10;       // the largest plaintext of one record (RFC 8446 section 5.1)
constexpr size_t kMostWaiting = 64 << 10;  // records that the carrier does not take yet: no more bytes are taken

class TlsStream final : public Stream, StreamWatcher, TlsTransport {
 public:
  TlsStream(const TlsContext &context, StreamPtr carrier, const std::string &peer)
      : carrier_(std::move(carrier)), session_(context, *this, peer) {
    carrier_->watch(this);
  }
  ~TlsStream() override { carrier_->watch(nullptr); }

  // While shaking hands: who is told that something moved.
  Event *handshake_event = nullptr;
  TlsSession::State handshake() {
    TlsSession::State state = session_.handshake();
    flush();
    return state;
  }
  const std::string &reason() const { return session_.error(); }

  Peeked peek(size_t most) override {
    if (most == 0) return {.error = carrier_failed_ ? failure() : carrier_->peek(0).error};
    if (head_ == plain_.size()) refill();
    if (size_t waiting = plain_.size() - head_) {
      piece_ = {plain_.data() + head_, std::min(waiting, most)};
      return {.pieces = {&piece_, 1}, .size = piece_.iov_len};
    }
    if (session_.state() == TlsSession::State::ended) return {.end = true};
    if (session_.state() == TlsSession::State::failed || carrier_failed_) return {.error = failure()};
    return {};
  }

  void consume(size_t size) override {
    head_ += size;
    if (head_ < plain_.size()) return;
    std::vector<uint8_t>().swap(plain_);  // an idle stream needs none
    head_ = 0;
  }

  size_t writable() override { return records_.size() < kMostWaiting ? kMostWaiting - records_.size() : 0; }

  // Each piece becomes a record, or several.
  Result<size_t> write_some(std::span<const iovec> pieces) override {
    if (finished_) return Error::from_errno(EPIPE, "write");
    size_t taken = 0;
    for (const iovec &piece : pieces) {
      size_t size = std::min(piece.iov_len, writable());
      if (!session_.write({static_cast<const uint8_t *>(piece.iov_base), size}) || carrier_failed_) {
        return Error::from_errno(failure(), "write");
      }
      taken += size;
      if (size < piece.iov_len) break;
    }
    flush();
    return taken;
  }

  void shutdown_write() override {
    if (std::exchange(finished_, true)) return;
    session_.finish();
    flush();
  }

  void abort() override {
    carrier_->abort();
    finished_ = carrier_failed_ = true;
  }

  void watch(StreamWatcher *watcher) override { watcher_ = watcher; }

 private:
  void refill() {
    if (session_.state() != TlsSession::State::open) return;
    plain_.resize(kRecord);
    plain_.resize(session_.read(plain_));
    head_ = 0;
    flush();  // an answer to the peer's alert or change of keys
  }

  int failure() const { return carrier_error_ ? carrier_error_ : ECONNRESET; }

  // Everything that waits, as far as the carrier takes it; then our end, when it was asked for.
  void flush() {
    size_t sent = 0;
    while (sent < records_.size() && !carrier_failed_) {
      iovec piece{records_.data() + sent, records_.size() - sent};
      Result<size_t> taken = carrier_->write_some({&piece, 1});
      if (!taken) fail(taken.error().code);
      if (!taken || *taken == 0) break;
      sent += *taken;
    }
    records_.erase(records_.begin(), records_.begin() + static_cast<ptrdiff_t>(sent));
    if (records_.empty()) std::vector<uint8_t>().swap(records_);
    if (finished_ && records_.empty() && !carrier_failed_ && !std::exchange(carrier_finished_, true)) {
      carrier_->shutdown_write();
    }
  }

  void fail(int error) {
    carrier_failed_ = true;
    carrier_error_ = error;
  }

  size_t read_records(MutableBytes room) override {
    // More than `room`, which may be a record's head of five bytes: the rest stays peeked.
    Peeked peeked = carrier_->peek(std::max(room.size(), kRecord));
    if (peeked.error) fail(peeked.error);
    carrier_ended_ = peeked.end || peeked.error;
    size_t copied = 0;
    for (const iovec &piece : peeked.pieces) {
      size_t size = std::min(piece.iov_len, room.size() - copied);
      std::memcpy(room.data() + copied, piece.iov_base, size);
      copied += size;
    }
    if (copied > 0) carrier_->consume(copied);
    return copied;
  }
  bool ended() const override { return carrier_ended_; }
  void write_records(Bytes records) override { records_.insert(records_.end(), records.begin(), records.end()); }

  void on_readable() override {
    if (handshake_event) return handshake_event->notify();
    if (watcher_) watcher_->on_readable();
  }
  void on_writable() override {
    flush();
    if (handshake_event) return handshake_event->notify();
    if (watcher_) watcher_->on_writable();
  }

  StreamPtr carrier_;
  TlsSession session_;
  StreamWatcher *watcher_ = nullptr;
  std::vector<uint8_t> plain_;  // of the peer, from head_ on
  size_t head_ = 0;
  iovec piece_{};
  std::vector<uint8_t> records_;  // of ours
  bool finished_ = false;         // we will write no more
  bool carrier_finished_ = false;
  bool carrier_ended_ = false;
  bool carrier_failed_ = false;
  int carrier_error_ = 0;
};

}  // namespace

Task<Result<StreamPtr>> make_tls_stream(Loop &loop, const TlsContext &context, StreamPtr carrier, std::string peer,
                                        Duration timeout) {
  Event moved(loop);
  auto stream = std::make_unique<TlsStream>(context, std::move(carrier), peer);
  stream->handshake_event = &moved;
  Time until = loop.now() + timeout;
  for (;;) {
    TlsSession::State state = stream->handshake();
    if (state == TlsSession::State::open) break;
    if (state != TlsSession::State::handshaking) co_return Error{EPROTO, fmt::format("TLS: {}", stream->reason())};
    Woken woken = co_await moved.wait(until);
    if (woken == Woken::timed_out) co_return Error{ETIMEDOUT, "TLS: no answer to the handshake"};
    if (woken == Woken::cancelled) co_return Error{ECANCELED, "TLS: cancelled"};
  }
  stream->handshake_event = nullptr;
  co_return StreamPtr(std::move(stream));
}

}  // namespace slipgate
