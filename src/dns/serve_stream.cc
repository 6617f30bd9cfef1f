#include "dns/serve_stream.h"

#include <algorithm>
#include <array>
#include <vector>

#include "io/wait.h"

namespace slipgate::dns {

namespace {

constexpr size_t kLengthSize = 2;           // RFC 1035 section 4.2.2
constexpr size_t kMostWaiting = 256 << 10;  // answers that the client does not take: no more questions are read
constexpr size_t kPiece = 16 << 10;         // bytes looked at in one go
constexpr Duration kLinger = seconds(2);    // for the client's own end, after ours

class Connection final : public StreamWatcher {
 public:
  Connection(Loop &loop, Server &server, StreamPtr stream, uint32_t client)
      : loop_(loop), server_(server), stream_(std::move(stream)), client_(client), changed_(loop) {
    stream_->watch(this);
  }
  ~Connection() {
    stream_->watch(nullptr);
    server_.end_stream(client_);
  }

  // `self` owns this object; answers that come later look whether it is still there.
  Task<> serve(std::weak_ptr<Connection> self);

  void on_readable() override { changed_.notify(); }
  void on_writable() override { changed_.notify(); }

 private:
  bool step(const std::weak_ptr<Connection> &self);
  bool read();
  bool take_questions(const std::weak_ptr<Connection> &self);
  bool write();
  void answer(Bytes message);
  void active() { deadline_ = loop_.now() + kStreamIdle; }
  bool may_ask() const {
    if (waiting_ >= kMostPipelined) return false;  // lesson: dns-pipeline-bounded
    return !broken_ && output_.size() - written_ < kMostWaiting;
  }

  Loop &loop_;
  Server &server_;
  StreamPtr stream_;
  const uint32_t client_;
  Event changed_;
  Time deadline_ = kNever;
  std::vector<uint8_t> input_;   // from the first byte that no question has taken
  std::vector<uint8_t> output_;  // answers, the first `written_` bytes of which are gone
  size_t written_ = 0;
  size_t waiting_ = 0;   // questions without an answer yet
  bool ended_ = false;   // the client's end came
  bool broken_ = false;  // no stream any more, or not one of DNS
};

Task<> Connection::serve(std::weak_ptr<Connection> self) {
  active();
  for (;;) {
    while (step(self)) {
    }
    if (broken_) co_return;  // destruction aborts the stream
    bool all_sent = output_.empty() && waiting_ == 0;
    if (ended_ && all_sent) {
      stream_->shutdown_write();
      co_return;
    }
    Woken woken = co_await changed_.wait(deadline_);
    if (woken == Woken::cancelled) co_return;
    if (woken == Woken::notified) continue;
    // The time of an upstream is bounded, and not the client's fault.
    if (waiting_ > 0 && output_.empty()) {
      active();
      continue;
    }
    if (!all_sent) co_return;
    break;
  }
  // Idle: our end, and a moment for the client's, so that it sees an orderly close.
  stream_->shutdown_write();
  Time until = loop_.now() + kLinger;
  input_.clear();
  while (!ended_ && !broken_) {
    while (read()) input_.clear();
    if (ended_ || broken_ || co_await changed_.wait(until) != Woken::notified) break;
  }
}

// Something moved: look again.
bool Connection::step(const std::weak_ptr<Connection> &self) {
  bool moved = may_ask() && input_.size() < kLengthSize + kMaxMessage && read();
  moved = take_questions(self) || moved;
  return write() || moved;
}

bool Connection::read() {
  if (ended_ || broken_) return false;
  Peeked peeked = stream_->peek(kPiece);
  for (const iovec &piece : peeked.pieces) {
    const uint8_t *bytes = static_cast<const uint8_t *>(piece.iov_base);
    input_.insert(input_.end(), bytes, bytes + piece.iov_len);
  }
  if (peeked.size > 0) stream_->consume(peeked.size);
  ended_ = peeked.end;
  broken_ = broken_ || peeked.error != 0;
  return peeked.size > 0;
}

bool Connection::take_questions(const std::weak_ptr<Connection> &self) {
  size_t taken = 0;
  while (may_ask()) {
    ByteReader reader{Bytes(input_).subspan(taken)};
    Bytes message = reader.take(reader.u16());
    if (!reader.ok()) break;
    taken += kLengthSize + message.size();
    waiting_++;
    active();
    server_.query(message, Transport::tcp, client_, [self](Bytes answer) {
      if (std::shared_ptr<Connection> connection = self.lock()) connection->answer(answer);
    });
  }
  input_.erase(input_.begin(), input_.begin() + static_cast<ptrdiff_t>(taken));
  return taken > 0;
}

void Connection::answer(Bytes message) {
  waiting_--;
  if (message.empty()) {
    broken_ = true;  // no question at all: whoever this is does not speak DNS
  } else {
    std::array<uint8_t, kLengthSize> length;
    ByteWriter{MutableBytes(length)}.u16(static_cast<uint16_t>(message.size()));
    output_.insert(output_.end(), length.begin(), length.end());
    output_.insert(output_.end(), message.begin(), message.end());
  }
  changed_.notify();
}

bool Connection::write() {
  bool wrote = false;
  while (!broken_ && written_ < output_.size()) {
    iovec piece{output_.data() + written_, output_.size() - written_};
    Result<size_t> taken = stream_->write_some({&piece, 1});
    if (!taken) broken_ = true;
    if (!taken || *taken == 0) break;
    written_ += *taken;
    wrote = true;
    active();
  }
  if (written_ == output_.size()) {
    output_.clear();
    written_ = 0;
  }
  return wrote;
}

}  // namespace

Task<> serve_stream(Loop &loop, Server &server, StreamPtr stream, uint32_t client) {
  if (!server.begin_stream(client)) co_return;
  auto connection = std::make_shared<Connection>(loop, server, std::move(stream), client);
  co_await connection->serve(connection);
}

}  // namespace slipgate::dns
