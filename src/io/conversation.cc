#include "io/conversation.h"

#include <utility>

namespace slipgate {

Conversation::Conversation(Loop &loop, StreamPtr stream) : stream_(std::move(stream)), moved_(loop) {
  stream_->watch(this);
}

Conversation::~Conversation() {
  if (stream_) stream_->watch(nullptr);
}

Task<int> Conversation::wait(Time deadline) {
  const Woken woken = co_await moved_.wait(deadline);
  if (woken == Woken::timed_out) co_return ETIMEDOUT;
  co_return woken == Woken::cancelled ? ECANCELED : 0;
}

Task<int> Conversation::say(std::vector<uint8_t> words, Time deadline) {
  size_t said = 0;
  while (said < words.size()) {
    const iovec piece{words.data() + said, words.size() - said};
    Result<size_t> taken = stream_->write_some({&piece, 1});
    if (!taken) co_return taken.error().code;
    said += *taken;
    if (*taken > 0) continue;
    if (int error = co_await wait(deadline)) co_return error;
  }
  co_return 0;
}

StreamPtr Conversation::finish() {
  stream_->watch(nullptr);
  return std::move(stream_);
}

}  // namespace slipgate
