// Serves the connections of a listening stream socket (Unix or TCP): bounded in their number and in what each may have
// waiting. What is said on a connection is its Session's business.
//
// Lives on one loop. A turn accepts and answers only so much, so that packets pass meanwhile. What passes through may
// be secret: buffers are wiped.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/loop.h"

namespace slipgate {

// One connection's conversation.
class Session {
 public:
  virtual ~Session() = default;

  enum class Then : uint8_t {
    more,   // what is left of the input is the beginning of something
    again,  // enough was done for this turn, though more could be done
    close,  // nothing more is taken; the answer is still sent
  };
  struct Taken {
    size_t bytes = 0;  // from the front of the input
    Then then = Then::more;
  };
  // Takes what it can of `input` and puts what is to be sent behind `answer`. Once there is an answer it is called
  // again only when that was sent.
  virtual Taken take(std::string_view input, std::string &answer) = 0;
};

struct SessionLimits {
  size_t clients = 16;             // the one that was silent the longest makes room for the next
  size_t input = 64 << 10;         // bytes waiting to become something; more end the connection
  bool owner_only = false;         // a Unix socket's client must be of our own user, or root
  size_t read_at_once = 16 << 10;  // bytes asked of the socket
};

class SessionServer {
 public:
  using Maker = std::function<std::unique_ptr<Session>()>;

  // `listener` is listening and non-blocking, and outlives the server.
  static Result<std::unique_ptr<SessionServer>> open(Loop &loop, int listener, const SessionLimits &limits, Maker make);
  ~SessionServer();
  SessionServer(const SessionServer &) = delete;
  SessionServer &operator=(const SessionServer &) = delete;

 private:
  class State;
  explicit SessionServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace slipgate
