// A few words over a stream before somebody else has it: the handshake with a proxy.
//
// Lives on one shard. What the other side sends behind the words that were asked for stays in the stream.
#pragma once

#include <cerrno>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/wait.h"

namespace slipgate {

class Conversation final : StreamWatcher {
 public:
  // One at a time waits; destroyed or finish()ed when none does.
  Conversation(Loop &loop, StreamPtr stream);
  ~Conversation();

  // 0, or the errno of why not: ETIMEDOUT, ECANCELED, what the stream says.
  Task<int> say(std::vector<uint8_t> words, Time deadline);

  // The next words of the other side. `parse(Bytes)` looks at what has come so far and gives a value with a `state`
  // (incomplete, malformed, complete) and the `size` of what is complete; it bounds how much that is. EPROTO:
  // malformed; ECONNRESET: the end came first.
  template <typename Parse>
  auto hear(Parse parse, Time deadline) -> Task<Result<decltype(parse(Bytes())), int>>;

  // The stream, for whoever goes on with it.
  StreamPtr finish();

 private:
  // More than most words have; what it holds beyond them is looked at once more.
  static constexpr size_t kPiece = 1024;

  Task<int> wait(Time deadline);
  void on_readable() override { moved_.notify(); }
  void on_writable() override { moved_.notify(); }

  StreamPtr stream_;
  Event moved_;
};

template <typename Parse>
auto Conversation::hear(Parse parse, Time deadline) -> Task<Result<decltype(parse(Bytes())), int>> {
  using Heard = decltype(parse(Bytes()));
  std::vector<uint8_t> bytes;
  for (;;) {
    const size_t before = bytes.size();
    const Peeked peeked = stream_->peek(kPiece);
    for (const iovec &piece : peeked.pieces) {
      const auto *begin = static_cast<const uint8_t *>(piece.iov_base);
      bytes.insert(bytes.end(), begin, begin + piece.iov_len);
    }
    const Heard heard = parse(Bytes(bytes));
    if (heard.state == Heard::State::complete) {
      stream_->consume(heard.size - before);
      co_return heard;
    }
    if (heard.state == Heard::State::malformed) co_return EPROTO;
    if (peeked.error) co_return peeked.error;
    if (peeked.end) co_return ECONNRESET;
    if (peeked.size > 0) {
      stream_->consume(peeked.size);
    } else if (int error = co_await wait(deadline)) {
      co_return error;
    }
  }
}

}  // namespace slipgate
