#include "control/control_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/catch.h"

using namespace slipgate;
using nlohmann::json;

namespace {

struct TemporaryFolder {
  TemporaryFolder() { REQUIRE(mkdtemp(path)); }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string file(std::string_view name) const { return fmt::format("{}/{}", path, name); }
  char path[32] = "/tmp/control_test.XXXXXX";
};

json echo(const json &request) {
  if (request["command"] == "fail") return {{"error", "as asked"}};
  if (request["command"] == "count") return {{"half", request.at("number").get<int>() / 2}};
  if (request["command"] == "large") return {{"text", std::string(1 << 20, 'x')}};
  return {{"echo", request["command"]}};
}

// A control socket on a loop of its own thread.
class Running {
 public:
  explicit Running(const std::string &path) {
    Result<ControlListener> listener = ControlListener::open(path);
    REQUIRE(listener);
    Result<std::unique_ptr<ControlSocket>> served = ControlSocket::serve(loop_, std::move(*listener), echo);
    REQUIRE(served);
    socket_ = std::move(*served);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Running() {
    loop_.post([this] { loop_.stop(); });
    thread_.join();
  }

 private:
  Loop loop_;
  std::unique_ptr<ControlSocket> socket_;
  std::thread thread_;
};

Fd connect_to(const std::string &path) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(connect(socket.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0);
  return socket;
}

// Whether the other side closes, without a word, before long.
bool is_closed(const Fd &socket) {
  timeval patience{20, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  char byte;
  return recv(socket.get(), &byte, 1, 0) == 0;
}

std::string read_line(const Fd &socket) {
  std::string text;
  char byte;
  while (recv(socket.get(), &byte, 1, 0) == 1) {
    if (byte == '\n') return text;
    text += byte;
  }
  return text + " (closed)";
}

}  // namespace

TEST_CASE("a request line is answered, whatever it holds") {
  struct Row {
    std::string_view line;
    json answer;
  };
  const json no_command{{"ok", false}, {"error", "no \"command\"; send an object like {\"command\":\"status\"}"}};
  const json no_json{{"ok", false}, {"error", "not JSON; send one object a line, like {\"command\":\"status\"}"}};
  const Row rows[] = {
      {R"({"command":"hello"})", {{"ok", true}, {"echo", "hello"}}},
      {R"({"command":"fail"})", {{"ok", false}, {"error", "as asked"}}},
      {R"({"command":"count","number":8})", {{"ok", true}, {"half", 4}}},
      {R"({"command":7})", no_command},
      {"[]", no_command},
      {"null", no_command},
      {"", no_json},
      {"{", no_json},
      {"\xff\xfe", no_json},
      {"{} {}", no_json},
  };
  for (const Row &row : rows) {
    INFO(row.line);
    std::string answer = answer_control_line(row.line, echo);
    CHECK(answer.back() == '\n');
    CHECK(std::count(answer.begin(), answer.end(), '\n') == 1);
    CHECK(json::parse(answer) == row.answer);
  }
  // A member that the handler wants and does not find is the client's mistake.
  json bad = json::parse(answer_control_line(R"({"command":"count","number":"eight"})", echo));
  CHECK(bad["ok"] == false);
  CHECK(bad["error"].get<std::string>().starts_with("bad request: "));
  // Names in other encodings do not stop the answer.
  std::string latin = answer_control_line(R"({"command":"x"})", [](const json &) { return json{{"name", "caf\xe9"}}; });
  CHECK(json::parse(latin)["name"] == "caf\xef\xbf\xbd");
  std::string deep(60000, '[');
  CHECK(json::parse(answer_control_line(deep, echo)) == no_json);
}

TEST_CASE("requests are answered in order over the socket, which only its owner may use") {
  TemporaryFolder folder;
  std::string path = folder.file("a.sock");
  {
    Running running(path);
    struct stat status {};
    REQUIRE(stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);

    Result<json> answer = control_request(path, {{"command", "hello"}});
    REQUIRE(answer);
    CHECK((*answer)["echo"] == "hello");
    Result<json> refused = control_request(path, {{"command", "fail"}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text == "as asked");
    Result<json> large = control_request(path, {{"command", "large"}});
    REQUIRE(large);
    CHECK((*large)["text"].get<std::string>().size() == 1 << 20);

    Fd socket = connect_to(path);
    std::string lines = "{\"command\":\"one\"}\n{\"command\":\"two\"}\nnonsense\n{\"comm";
    REQUIRE(send(socket.get(), lines.data(), lines.size(), 0) == static_cast<ssize_t>(lines.size()));
    CHECK(json::parse(read_line(socket))["echo"] == "one");
    CHECK(json::parse(read_line(socket))["echo"] == "two");
    CHECK(json::parse(read_line(socket))["ok"] == false);
    REQUIRE(send(socket.get(), "and\":\"three\"}\n", 14, 0) == 14);
    CHECK(json::parse(read_line(socket))["echo"] == "three");
  }
  CHECK_FALSE(std::filesystem::exists(path));  // removed with its gateway
  CHECK_FALSE(control_request(path, {{"command", "hello"}}));
}

TEST_CASE("a request without end is cut off [control-request-bounded]") {
  TemporaryFolder folder;
  Running running(folder.file("a.sock"));
  Fd socket = connect_to(folder.file("a.sock"));
  timeval patience{20, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  std::string chunk(65536, 'x');
  ssize_t sent = 1;
  size_t total = 0;
  constexpr size_t kMuch = 64 << 20;
  while (sent > 0 && total < kMuch) {
    sent = send(socket.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    total += sent > 0 ? static_cast<size_t>(sent) : 0;
  }
  CHECK(sent < 0);
  CHECK(total < kMuch);
}

TEST_CASE("silent clients make room for new ones [control-clients-bounded]") {
  TemporaryFolder folder;
  Running running(folder.file("a.sock"));
  std::vector<Fd> silent;
  for (int i = 0; i < 40; i++) {
    silent.push_back(connect_to(folder.file("a.sock")));
    // Each is known to the gateway before the next comes.
    REQUIRE(control_request(folder.file("a.sock"), {{"command", "hello"}}));
  }
  CHECK(is_closed(silent[0]));
  REQUIRE(send(silent.back().get(), "{\"command\":\"late\"}\n", 19, MSG_NOSIGNAL) == 19);
  CHECK(json::parse(read_line(silent.back()))["echo"] == "late");
}

TEST_CASE("a stale socket is replaced, a live one kept [control-live-socket-kept]") {
  TemporaryFolder folder;
  std::string path = folder.file("a.sock");
  {
    Fd left_behind(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(bind(left_behind.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0);
  }
  REQUIRE(std::filesystem::exists(path));
  Running running(path);
  Result<ControlListener> second = ControlListener::open(path);
  REQUIRE_FALSE(second);
  CHECK(second.error().code == EADDRINUSE);
  CHECK(control_request(path, {{"command", "hello"}}));  // the first is still there
}

TEST_CASE("a name that is taken gets a number") {
  TemporaryFolder folder;
  std::string made = folder.file("deep");
  Result<ControlListener> first = ControlListener::open_named(made, "office");
  REQUIRE(first);
  CHECK(first->name() == "office");
  Result<ControlListener> second = ControlListener::open_named(made, "office"),
                          third = ControlListener::open_named(made, "office");
  REQUIRE(second);
  REQUIRE(third);
  CHECK(second->path() == made + "/office-2.sock");
  CHECK(third->name() == "office-3");
}

TEST_CASE("what is no socket is not replaced, and paths have a limit") {
  TemporaryFolder folder;
  std::string path = folder.file("a.sock");
  std::ofstream(path) << "precious";
  Result<ControlListener> listener = ControlListener::open(path);
  REQUIRE_FALSE(listener);
  CHECK(listener.error().text.find(path) != std::string::npos);
  CHECK(std::filesystem::file_size(path) == 8);
  Result<ControlListener> overlong = ControlListener::open(folder.file(std::string(200, 'x')));
  REQUIRE_FALSE(overlong);
  CHECK(overlong.error().code == ENAMETOOLONG);
}

TEST_CASE("the gateway of a configuration file is found by asking those that run") {
  TemporaryFolder folder;
  REQUIRE(setenv("XDG_RUNTIME_DIR", folder.path, 1) == 0);
  std::string config = folder.file("wg.conf");
  std::ofstream(config) << "x";
  CHECK(control_folder() == folder.file("slipgate"));
  CHECK(control_sockets().empty());
  CHECK(control_socket_of(config).empty());

  Loop loop;
  Result<std::unique_ptr<ControlSocket>> socket = ControlSocket::open(loop, "", "office", [&](const json &) {
    return json{{"config", config}};
  });
  REQUIRE(socket);
  CHECK((*socket)->name() == "office");
  std::thread thread([&] { loop.run(); });
  CHECK(control_sockets() == std::vector<std::string>{folder.file("slipgate/office.sock")});
  std::string link = folder.file("link.conf");
  std::filesystem::create_symlink(config, link);
  CHECK(control_socket_of(link) == folder.file("slipgate/office.sock"));
  std::string other = folder.file("other.conf");
  std::ofstream(other) << "x";
  CHECK(control_socket_of(other).empty());
  loop.post([&] { loop.stop(); });
  thread.join();
  unsetenv("XDG_RUNTIME_DIR");
}
