#include "host/firecracker.h"

#include <utility>

#include "host/unix.h"
#include "io/conversation.h"
#include "wire/firecracker.h"

namespace slipgate {

Task<Result<StreamPtr, DialError>> dial_firecracker(Loop &loop, target::Firecracker to, Duration timeout) {
  const Time deadline = loop.now() + timeout;
  target::Unix socket{std::move(to.path)};  // named: g++ 12 destroys such a temporary in co_await twice
  Result<StreamPtr, DialError> carrier = co_await dial_unix(loop, std::move(socket), timeout);
  if (!carrier) co_return carrier.error();
  Conversation firecracker(loop, std::move(*carrier));
  if (int error = co_await firecracker.say(make_firecracker_request(to.port), deadline)) co_return local_error(error);
  Result<FirecrackerAnswer, int> answer = co_await firecracker.hear(parse_firecracker_answer, deadline);
  if (!answer) co_return local_error(answer.error());
  co_return firecracker.finish();
}

}  // namespace slipgate
