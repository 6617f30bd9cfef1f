#include "control/notify.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "io/fd.h"

namespace slipgate {

namespace {

void send_to_manager(std::string_view text) {
  const char *path = getenv("NOTIFY_SOCKET");
  if (!path || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  size_t size = strlen(path);
  if (size >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // abstract: unix(7)
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return;
  socklen_t length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  // A manager that went away is none of our business.
  (void)!sendto(socket.get(), text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr *>(&address),
                length);
}

}  // namespace

void notify_ready(std::optional<int> ready_fd, std::string_view status) {
  send_to_manager(fmt::format("READY=1\nSTATUS={}", status));
  if (!ready_fd) return;
  std::string line = fmt::format("{}\n", status);
  while (write(*ready_fd, line.data(), line.size()) < 0 && errno == EINTR) {
  }
  if (*ready_fd > 2) close(*ready_fd);
}

void notify_reloading() {
  // MONOTONIC_USEC: what Type=notify-reload asks for.
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  send_to_manager(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1000000 + now.tv_nsec / 1000));
}

void notify_stopping() {
  send_to_manager("STOPPING=1");
}
void notify_status(std::string_view status) {
  send_to_manager(fmt::format("STATUS={}", status));
}

}  // namespace slipgate
