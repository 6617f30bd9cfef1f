// slipgate as wireguard-go [-f] NAME: an interface alone, that wg(8) and wg-quick(8) configure. As wireguard-go it goes
// into the background when the interface stands, and ends when the interface or its socket is removed.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "base/log.h"
#include "cli/command.h"
#include "config/tun.h"
#include "control/serve_tun.h"
#include "io/fd.h"

namespace slipgate::cli {

namespace {

constexpr std::string_view kUsageText = "Usage: wireguard-go [-f/--foreground] INTERFACE-NAME\n";

LogLevel log_level() {
  const char *value = getenv("LOG_LEVEL");
  const std::string_view level = value ? value : "";
  if (level == "verbose" || level == "debug") return LogLevel::debug;
  return level == "silent" ? LogLevel::error : LogLevel::info;
}

// In the parent: waits until the child serves or has failed.
int wait_for(Fd ready) {
  char word;
  ssize_t count;
  do {
    count = ::read(ready.get(), &word, 1);
  } while (count < 0 && errno == EINTR);
  return count == 1 ? kDone : kFailed;
}

void leave_terminal(const Fd &nowhere) {
  for (int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(nowhere.get(), descriptor);
}

}  // namespace

int run_as_wireguard_go(Words arguments) {
  const char *asked = getenv("WG_PROCESS_FOREGROUND");
  bool foreground = asked && std::string_view(asked) == "1";
  std::string name;
  for (const std::string &word : arguments) {
    if (word == "--version") {
      print(fmt::format("slipgate {} as wireguard-go\n", SLIPGATE_VERSION));
      return kDone;
    }
    if (word == "-f" || word == "--foreground") {
      foreground = true;
    } else if (name.empty() && !word.starts_with('-')) {
      name = word;
    } else {
      name.clear();
      break;
    }
  }
  if (name.empty()) {
    print(kUsageText);
    return kFailed;
  }
  if (!is_interface_name(name) && name != "tun%d") {
    return fail(fmt::format("'{}' is no interface name; give 1 to 15 letters, digits or _=+.-", name), kFailed);
  }

  ServeTunOptions options;
  options.tun.interface = name;
  options.log_level = log_level();
  options.set_up = false;
  options.needs_socket = true;
  if (foreground) return serve_tun(options);

  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail("cannot make a pipe");
  Fd ready(ends[0]), tell_ready(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return fail("cannot go into the background");
  if (child > 0) {
    tell_ready.reset();
    return wait_for(std::move(ready));
  }
  ready.reset();
  ::setsid();
  const Fd nowhere(::open("/dev/null", O_RDWR | O_CLOEXEC));  // while it may still be opened
  options.on_ready = [&] {
    leave_terminal(nowhere);
    if (::write(tell_ready.get(), "", 1) < 0) return;  // whoever started us went away; we stay
    tell_ready.reset();
  };
  return serve_tun(options);
}

}  // namespace slipgate::cli
