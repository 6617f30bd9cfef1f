#include "control/uapi_socket.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>

#include "control/control_socket.h"
#include "control/session_server.h"
#include "control/uapi.h"

namespace slipgate {
namespace {

class UapiConversation final : public Session {
 public:
  explicit UapiConversation(WireGuardControl &control) : session_(control) {}

  Taken take(std::string_view input, std::string &answer) override {
    const size_t taken = session_.take(input, answer, UapiSocket::kChangesPerTurn);
    if (session_.broken()) return {.bytes = taken, .then = Then::close};
    return {.bytes = taken, .then = taken > 0 && taken < input.size() ? Then::again : Then::more};
  }

 private:
  UapiSession session_;
};

}  // namespace

std::string uapi_folder() {
  if (::access(kWireGuardFolder, W_OK) == 0) return kWireGuardFolder;
  if (errno == ENOENT && ::mkdir(kWireGuardFolder, 0700) == 0) return kWireGuardFolder;
  const std::string own = control_folder();
  if (own.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(own + "/wireguard", error);
  if (error) return {};
  ::chmod(own.c_str(), 0700);
  return own + "/wireguard";
}

struct UapiSocket::State {
  ControlListener listener;
  std::unique_ptr<SessionServer> server;
};

Result<std::unique_ptr<UapiSocket>> UapiSocket::open(Loop &loop, WireGuardControl &control, const std::string &folder,
                                                     const std::string &interface) {
  if (folder.empty()) {
    return Error{ENOENT, fmt::format("no folder for the socket of {}: {} is not writable and XDG_RUNTIME_DIR not set",
                                     interface, kWireGuardFolder)};
  }
  const std::string path = fmt::format("{}/{}.sock", folder, interface);
  Result<ControlListener> listener = ControlListener::open(path);
  if (!listener) {
    if (listener.error().code != EADDRINUSE) return Error::from_errno(listener.error().code, path);
    return Error{EADDRINUSE, fmt::format("{}: an interface of this name is served already", path)};
  }
  auto state = std::unique_ptr<State>(new State{std::move(*listener), nullptr});
  Result<std::unique_ptr<SessionServer>> server = SessionServer::open(
      loop, state->listener.descriptor(), {.clients = kMostClients, .input = kReadAtOnce, .read_at_once = kReadAtOnce},
      [&control] { return std::make_unique<UapiConversation>(control); });
  if (!server) return server.error();
  state->server = std::move(*server);
  return std::unique_ptr<UapiSocket>(new UapiSocket(std::move(state)));
}

UapiSocket::UapiSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}
UapiSocket::~UapiSocket() = default;

const std::string &UapiSocket::path() const {
  return state_->listener.path();
}

}  // namespace slipgate
