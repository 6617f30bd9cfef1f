#include "control/control_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/time.h"
#include "config/wg_quick.h"
#include "control/session_server.h"

namespace slipgate {

namespace {

using nlohmann::json;

constexpr size_t kLongestRequest = 64 << 10;  // bytes of a line
constexpr size_t kLongestAnswer = 256 << 20;  // what a client of ours takes: the flows of a busy gateway
constexpr int kMostNames = 99;                // NAME-2 ... NAME-99
constexpr seconds kPatience{10};              // a client's, with a gateway that does not answer
constexpr int kBacklog = 16;
constexpr int kLockAttempts = 50;  // a second in all
constexpr milliseconds kLockPause{20};

Result<sockaddr_un> address_of(const std::string &path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Error{ENAMETOOLONG, fmt::format("control socket {}: a socket's path has 1 to {} bytes", path,
                                           sizeof(address.sun_path) - 1)};
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Fd stream_socket(int flags) {
  return Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}

// Does somebody listen there?
bool is_live(const sockaddr_un &address) {
  Fd probe = stream_socket(SOCK_NONBLOCK);
  // EAGAIN: its queue is full, but there it is.
  return probe &&
         (connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0 || errno == EAGAIN);
}

json refusal(std::string text) {
  return {{"ok", false}, {"error", std::move(text)}};
}

}  // namespace

// --- the listener ---

Result<ControlListener> ControlListener::open(const std::string &path) {
  Result<sockaddr_un> address = address_of(path);
  if (!address) return address.error();
  auto fail = [&path](int code) { return Error::from_errno(code, fmt::format("control socket {}", path)); };

  std::string folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  mkdir(folder.c_str(), 0700);  // there already, or the next line says why not
  Fd lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock) return fail(errno);
  // Two gateways that start at once must not both find the same file stale. Who may read the folder may hold the lock:
  // it is not waited for without end.
  for (int attempt = 0; flock(lock.get(), LOCK_EX | LOCK_NB) != 0; attempt++) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail(errno);
    if (attempt == kLockAttempts) {
      return Error{EWOULDBLOCK, fmt::format("control socket {}: another process keeps its folder locked", path)};
    }
    std::this_thread::sleep_for(kLockPause);
  }

  Fd listener = stream_socket(SOCK_NONBLOCK);
  if (!listener) return fail(errno);
  fchmod(listener.get(), 0600);  // before bind(): the file is made with this mode (unix(7), Linux)
  const sockaddr *bound = reinterpret_cast<const sockaddr *>(&*address);
  if (bind(listener.get(), bound, sizeof(*address)) != 0) {
    struct stat status {};
    bool replaceable = errno == EADDRINUSE && lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
    if (!replaceable) return fail(errno);
    if (is_live(*address)) {  // lesson: control-live-socket-kept
      return Error{EADDRINUSE,
                   fmt::format("control socket {}: another gateway has it; give another --name or --control", path)};
    }
    unlink(path.c_str());
    if (bind(listener.get(), bound, sizeof(*address)) != 0) return fail(errno);
  }
  if (listen(listener.get(), kBacklog) != 0) return fail(errno);
  return ControlListener(std::move(listener), path);
}

Result<ControlListener> ControlListener::open_named(const std::string &folder, const std::string &name) {
  for (int number = 1;; number++) {
    std::string path =
        number == 1 ? fmt::format("{}/{}.sock", folder, name) : fmt::format("{}/{}-{}.sock", folder, name, number);
    Result<ControlListener> listener = open(path);
    if (listener || listener.error().code != EADDRINUSE || number == kMostNames) return listener;
  }
}

ControlListener::ControlListener(ControlListener &&other) noexcept
    : descriptor_(std::move(other.descriptor_)), path_(std::exchange(other.path_, {})) {}

ControlListener::~ControlListener() {
  if (!path_.empty()) unlink(path_.c_str());
}

std::string ControlListener::name() const {
  return stem_of(path_);
}

// --- serving ---

std::string answer_control_line(std::string_view line, const ControlSocket::Handler &handler) {
  json answer;
  json request = json::parse(line, nullptr, false);
  if (request.is_discarded()) {
    answer = refusal("not JSON; send one object a line, like {\"command\":\"status\"}");
  } else if (!request.is_object() || !request.contains("command") || !request["command"].is_string()) {
    answer = refusal("no \"command\"; send an object like {\"command\":\"status\"}");
  } else {
    try {
      answer = handler(request);
    } catch (const json::exception &error) {  // a member of an unexpected type
      answer = refusal(fmt::format("bad request: {}", error.what()));
    }
  }
  if (answer.is_object() && !answer.contains("ok")) answer["ok"] = !answer.contains("error");
  // Names come from files in any encoding; JSON is UTF-8.
  std::string text = answer.dump(-1, ' ', false, json::error_handler_t::replace);
  text += '\n';
  return text;
}

namespace {

// A line is a request.
class ControlSession final : public Session {
 public:
  explicit ControlSession(const ControlSocket::Handler &handler) : handler_(handler) {}

  Taken take(std::string_view input, std::string &answer) override {
    const size_t end = input.find('\n');
    if (end == std::string_view::npos) return {};
    answer = answer_control_line(input.substr(0, end), handler_);
    return {.bytes = end + 1};
  }

 private:
  const ControlSocket::Handler &handler_;
};

}  // namespace

struct ControlSocket::State {
  ControlListener listener;
  Handler handler;
  std::unique_ptr<SessionServer> server;
};

Result<std::unique_ptr<ControlSocket>> ControlSocket::open(Loop &loop, const std::string &path, const std::string &name,
                                                           Handler handler) {
  std::string folder = path.empty() ? control_folder() : std::string();
  if (path.empty() && folder.empty())
    return Error{ENOENT, "no control socket: XDG_RUNTIME_DIR is not set; give --control PATH"};
  Result<ControlListener> listener =
      path.empty() ? ControlListener::open_named(folder, name) : ControlListener::open(path);
  if (!listener) return listener.error();
  return serve(loop, std::move(*listener), std::move(handler));
}

Result<std::unique_ptr<ControlSocket>> ControlSocket::serve(Loop &loop, ControlListener listener, Handler handler) {
  auto state = std::unique_ptr<State>(new State{std::move(listener), std::move(handler), nullptr});
  Result<std::unique_ptr<SessionServer>> server =
      SessionServer::open(loop, state->listener.descriptor(), {.input = kLongestRequest, .owner_only = true},
                          [&handler = state->handler] { return std::make_unique<ControlSession>(handler); });
  if (!server) return server.error();
  state->server = std::move(*server);
  return std::unique_ptr<ControlSocket>(new ControlSocket(std::move(state)));
}

ControlSocket::ControlSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}
ControlSocket::~ControlSocket() = default;

const std::string &ControlSocket::path() const {
  return state_->listener.path();
}
std::string ControlSocket::name() const {
  return state_->listener.name();
}

// --- asking ---

Result<json> control_request(const std::string &path, const json &request) {
  Result<sockaddr_un> address = address_of(path);
  if (!address) return address.error();
  auto fail = [&path](int code) { return Error::from_errno(code, fmt::format("control socket {}", path)); };
  Fd socket = stream_socket(0);
  if (!socket) return fail(errno);
  timeval patience{kPatience.count(), 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(socket.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof(*address)) != 0) return fail(errno);

  std::string line = request.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  for (std::string_view rest = line; !rest.empty();) {
    ssize_t sent = send(socket.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return fail(errno == EAGAIN ? ETIMEDOUT : errno);
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  std::string answer;
  std::array<char, 65536> chunk;
  while (answer.find('\n', answer.size() - std::min(answer.size(), chunk.size())) == std::string::npos) {
    ssize_t count = recv(socket.get(), chunk.data(), chunk.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno == EAGAIN ? ETIMEDOUT : errno);
    if (count == 0 || answer.size() > kLongestAnswer) return fail(EPROTO);
    answer.append(chunk.data(), static_cast<size_t>(count));
  }
  json parsed = json::parse(answer, nullptr, false);
  if (!parsed.is_object()) return fail(EPROTO);
  if (!parsed.value("ok", false)) {
    return Error{0, parsed.contains("error") && parsed["error"].is_string() ? parsed["error"].get<std::string>()
                                                                            : std::string("the gateway refused")};
  }
  return parsed;
}

std::string control_folder() {
  auto is_folder = [](const std::string &path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
  };
  if (const char *runtime = getenv("XDG_RUNTIME_DIR"); runtime && *runtime == '/' && is_folder(runtime)) {
    return fmt::format("{}/slipgate", runtime);
  }
  if (std::string own = fmt::format("/run/user/{}", geteuid()); is_folder(own)) return own + "/slipgate";
  if (geteuid() == 0 && is_folder("/run")) return "/run/slipgate";
  return {};
}

std::vector<std::string> control_sockets() {
  std::vector<std::string> paths;
  std::string folder = control_folder();
  if (folder.empty()) return paths;
  std::error_code error;
  for (const auto &entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".sock" && entry.is_socket(error)) paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  return paths;
}

std::string control_socket_of(const std::string &config_file) {
  std::error_code error;
  for (const std::string &path : control_sockets()) {
    Result<json> status = control_request(path, {{"command", "status"}});
    if (!status || !status->contains("config") || !(*status)["config"].is_string()) continue;
    std::string config = (*status)["config"].get<std::string>();
    if (!config.empty() && std::filesystem::equivalent(config, config_file, error)) return path;
  }
  return {};
}

}  // namespace slipgate
