// The control socket of a running gateway: a Unix stream socket (mode 0600) that takes one JSON request a line and
// gives one JSON answer a line, in order.
//
// Requests are objects with a "command" (status, flows, reload); answers are objects with "ok", and "error" when that
// is false. control/serve.cc says what else is in them; a reader takes a member that is missing as unknown, because
// both sides may be of different versions.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/fd.h"
#include "io/loop.h"

namespace slipgate {

// A listening control socket, before there is a loop. Its file is removed when it goes.
class ControlListener {
 public:
  // Makes the socket, and its folder (mode 0700) if that is missing. A socket file that nobody listens on is replaced;
  // EADDRINUSE: somebody does.
  static Result<ControlListener> open(const std::string &path);
  // FOLDER/NAME.sock, or NAME-2, NAME-3 ... when others have it.
  static Result<ControlListener> open_named(const std::string &folder, const std::string &name);

  ControlListener(ControlListener &&other) noexcept;
  ControlListener &operator=(ControlListener &&) = delete;
  ~ControlListener();

  int descriptor() const { return descriptor_.get(); }
  const std::string &path() const { return path_; }
  // The file's stem: the name that was free.
  std::string name() const;

 private:
  ControlListener(Fd descriptor, std::string path) : descriptor_(std::move(descriptor)), path_(std::move(path)) {}

  Fd descriptor_;
  std::string path_;  // empty: moved from
};

// Serves a listener. Lives on one loop; the handler is called on it and answers at once.
class ControlSocket {
 public:
  using Handler = std::function<nlohmann::json(const nlohmann::json &request)>;

  // At `path`, or, when that is empty, under `name` (or the next free of NAME-2, NAME-3 ...) in control_folder().
  static Result<std::unique_ptr<ControlSocket>> open(Loop &loop, const std::string &path, const std::string &name,
                                                     Handler handler);
  static Result<std::unique_ptr<ControlSocket>> serve(Loop &loop, ControlListener listener, Handler handler);
  ~ControlSocket();
  ControlSocket(const ControlSocket &) = delete;
  ControlSocket &operator=(const ControlSocket &) = delete;

  const std::string &path() const;
  std::string name() const;

 private:
  struct State;
  explicit ControlSocket(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The answer line (with its line end) to one request line, whatever that holds. "ok" is put in: there is no "error".
std::string answer_control_line(std::string_view line, const ControlSocket::Handler &handler);

// Asks a gateway, waiting up to a few seconds. An answer with "ok":false becomes an error.
Result<nlohmann::json> control_request(const std::string &path, const nlohmann::json &request);

// $XDG_RUNTIME_DIR/slipgate, /run/user/UID/slipgate or, for root, /run/slipgate: where gateways of this user have their
// sockets; empty when none of these folders' parents exists.
std::string control_folder();
// The sockets in it, by name; some may be stale.
std::vector<std::string> control_sockets();
// The socket of the running gateway that reads this configuration file; empty: none runs.
std::string control_socket_of(const std::string &config_file);

}  // namespace slipgate
