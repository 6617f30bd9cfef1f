// A proxy on loopback that follows a script: hears what it expects, says its line, or misbehaves.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/tcp.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate::test {

class ScriptedProxy {
 public:
  struct Step {
    std::string hears, says;
  };

  ScriptedProxy(Loop &loop, std::vector<Step> script) : script_(std::move(script)) {
    Result<std::unique_ptr<TcpListener>> listening = TcpListener::listen(
        loop, {IpAddress::v4(127, 0, 0, 1), 0}, [this](Fd accepted, Endpoint) { connection = std::move(accepted); });
    REQUIRE(listening);
    listener_ = std::move(*listening);
  }

  Endpoint at() const { return listener_->local(); }
  bool script_done() const { return next_ == script_.size(); }

  // Once in every turn.
  void act() {
    if (!connection) return;
    char buffer[4096];
    ssize_t size = ::recv(connection.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size == 0) left = true;
    if (size > 0) heard.append(buffer, static_cast<size_t>(size));
    while (next_ < script_.size() && heard.size() >= script_[next_].hears.size()) {
      const Step &step = script_[next_++];
      if (!heard.starts_with(step.hears)) misheard = heard;
      heard.erase(0, step.hears.size());
      to_say_ += step.says;
    }
    const size_t most = byte_by_byte ? 1 : to_say_.size();
    if (!to_say_.empty() && ::send(connection.get(), to_say_.data(), most, MSG_NOSIGNAL) > 0) to_say_.erase(0, most);
    if (to_say_.empty() && next_ == script_.size() && closes) connection.reset();
  }

  bool byte_by_byte = false, closes = false;
  Fd connection;
  std::string heard;     // beyond the script
  std::string misheard;  // instead of what the script says
  bool left = false;     // the other side has gone

 private:
  std::vector<Step> script_;
  size_t next_ = 0;
  std::string to_say_;
  std::unique_ptr<TcpListener> listener_;
};

// What a dial through `proxy` comes to; `shake_hands(loop, stream)` makes the task.
template <typename T, typename ShakeHands>
Task<Result<T, DialError>> dial_through(Loop *loop, Endpoint at, ShakeHands shake_hands) {
  Result<StreamPtr, DialError> carrier = co_await dial_tcp(*loop, at);
  if (!carrier) co_return carrier.error();
  co_return co_await shake_hands(*loop, std::move(*carrier));
}

template <typename T, typename ShakeHands>
Result<T, DialError> through(Loop &loop, ScriptedProxy &proxy, ShakeHands shake_hands) {
  std::optional<Result<T, DialError>> result;
  spawn(loop, dial_through<T>(&loop, proxy.at(), shake_hands), &result);
  REQUIRE(run_until(loop, [&] {
    proxy.act();
    return result.has_value();
  }));
  CHECK(proxy.misheard == "");
  return std::move(*result);
}

inline std::string all_of(Loop &loop, Stream &stream, size_t size) {
  std::string text;
  run_until(loop, [&] {
    Peeked peeked = stream.peek(size - text.size());
    for (const iovec &piece : peeked.pieces) text.append(static_cast<const char *>(piece.iov_base), piece.iov_len);
    if (peeked.size > 0) stream.consume(peeked.size);
    return text.size() >= size || peeked.end || peeked.error;
  });
  return text;
}

}  // namespace slipgate::test
