#include "control/session_server.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "io/fd.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

using namespace slipgate;

namespace {

// Gives every word back that ends with a blank; "bye " is the last one.
class Parrot final : public Session {
 public:
  Taken take(std::string_view input, std::string &answer) override {
    size_t end = input.find(' ');
    if (end == std::string_view::npos) return {};
    answer = input.substr(0, end + 1);
    return {.bytes = end + 1, .then = answer == "bye " ? Then::close : Then::more};
  }
};

// A listener of the kernel's choice among abstract names.
struct Served {
  explicit Served(SessionLimits limits = {}) : listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr *>(&name), sizeof(sa_family_t)) == 0);
    REQUIRE(::listen(listener.get(), 16) == 0);
    size = sizeof(address);
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr *>(&address), &size) == 0);
    auto opened = SessionServer::open(loop, listener.get(), limits, [] { return std::make_unique<Parrot>(); });
    REQUIRE(opened);
    server = std::move(*opened);
  }
  Fd connect() {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr *>(&address), size) == 0);
    return socket;
  }
  // What comes until so many bytes are there, or the other side closes ("." stands for that).
  std::string hear(const Fd &socket, size_t bytes) {
    std::string heard;
    test::run_until(loop, [&] {
      char chunk[256];
      ssize_t count;
      while ((count = ::recv(socket.get(), chunk, sizeof(chunk), 0)) > 0)
        heard.append(chunk, static_cast<size_t>(count));
      if (count == 0) heard += ".";
      return count == 0 || heard.size() >= bytes;
    });
    return heard;
  }

  Loop loop;
  Fd listener;
  sockaddr_un address{};
  socklen_t size = 0;
  std::unique_ptr<SessionServer> server;
};

void tell(const Fd &socket, std::string_view text) {
  REQUIRE(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

}  // namespace

TEST_CASE("a conversation goes on until one side ends it") {
  Served served;
  Fd one = served.connect(), two = served.connect();
  tell(one, "a b c");
  CHECK(served.hear(one, 4) == "a b ");
  tell(two, "x bye y ");
  CHECK(served.hear(two, 100) == "x bye .");
  tell(one, "d ");
  CHECK(served.hear(one, 3) == "cd ");
  ::shutdown(one.get(), SHUT_WR);
  CHECK(served.hear(one, 1) == ".");
}

TEST_CASE("what a client leaves behind is still answered") {
  Served served;
  Fd one = served.connect();
  tell(one, "a b ");
  ::shutdown(one.get(), SHUT_WR);
  CHECK(served.hear(one, 100) == "a b .");
}

TEST_CASE("without descriptors a connection waits, and is served when there are some [control-emfile-waits]") {
  Served served;
  Fd one = served.connect();
  tell(one, "a ");
  std::vector<Fd> all;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit few = before;
  few.rlim_cur = 64;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  while (true) {
    Fd another(::dup(one.get()));
    if (!another) break;
    all.push_back(std::move(another));
  }
  CHECK(errno == EMFILE);
  int turns = 0;
  for (const Time until = served.loop.now() + milliseconds(250); served.loop.now() < until; turns++) {
    served.loop.turn(until - served.loop.now());
  }
  CHECK(turns < 20);  // it does not spin
  all.clear();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(served.hear(one, 2) == "a ");
}
