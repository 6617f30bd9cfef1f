#include "control/notify.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "io/fd.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

// A service manager's socket, of an abstract name or of a file.
Fd manager(const std::string &name, bool abstract) {
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + (abstract ? 1 : 0), name.data(), name.size());
  auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + 1);  // the leading or the trailing zero
  REQUIRE(bind(socket.get(), reinterpret_cast<sockaddr *>(&address), size) == 0);
  REQUIRE(setenv("NOTIFY_SOCKET", ((abstract ? "@" : "") + name).c_str(), 1) == 0);
  return socket;
}

std::string next(const Fd &socket) {
  char text[512];
  ssize_t count = recv(socket.get(), text, sizeof(text), 0);
  return count < 0 ? "nothing" : std::string(text, static_cast<size_t>(count));
}

}  // namespace

TEST_CASE("the service manager hears of start, reload and stop") {
  for (bool abstract : {true, false}) {
    INFO(abstract);
    std::string name =
        abstract ? fmt::format("slipgate-notify-{}", getpid()) : fmt::format("/tmp/notify-{}.sock", getpid());
    Fd socket = manager(name, abstract);
    notify_ready(std::nullopt, "serving");
    CHECK(next(socket) == "READY=1\nSTATUS=serving");
    notify_reloading();
    CHECK(next(socket).starts_with("RELOADING=1\nMONOTONIC_USEC="));
    notify_status("two peers");
    CHECK(next(socket) == "STATUS=two peers");
    notify_stopping();
    CHECK(next(socket) == "STOPPING=1");
    if (!abstract) unlink(name.c_str());
  }
  unsetenv("NOTIFY_SOCKET");
}

TEST_CASE("a descriptor gets one line and is closed") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  notify_ready(ends[1], "serving");
  char text[64];
  REQUIRE(read(ends[0], text, sizeof(text)) == 8);
  CHECK(std::string(text, 8) == "serving\n");
  CHECK(read(ends[0], text, sizeof(text)) == 0);  // end of file
  close(ends[0]);
}

TEST_CASE("without anybody to tell nothing happens") {
  unsetenv("NOTIFY_SOCKET");
  notify_ready(std::nullopt);
  REQUIRE(setenv("NOTIFY_SOCKET", "relative", 1) == 0);
  notify_stopping();
  REQUIRE(setenv("NOTIFY_SOCKET", ("/" + std::string(300, 'x')).c_str(), 1) == 0);
  notify_stopping();
  REQUIRE(setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1) == 0);
  notify_stopping();
  unsetenv("NOTIFY_SOCKET");
}
