// A network namespace of the test's own, for what must not (or may not) be done to the host's: addresses, routes,
// sysctls.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "support/catch.h"

namespace slipgate::test {

struct PrivateNetwork {
  // A shell command; its failure ends the test.
  void run(const std::string &command) {
    if (std::system(command.c_str()) != 0) failed += "failed: " + command + "\n";
  }
  void write(const char *path, const std::string &text) {
    int file = ::open(path, O_WRONLY);
    if (file < 0 || ::write(file, text.data(), text.size()) < 0) failed += std::string("cannot write ") + path + "\n";
    if (file >= 0) ::close(file);
  }
  std::string failed;
};

// Runs `body` in a child with a network namespace whose loopback is up, and reports what it returns (empty: good).
// Where no namespace can be made the test says so and ends.
inline void in_private_network(const std::function<std::string(PrivateNetwork &)> &body) {
  int channel[2];
  REQUIRE(::pipe2(channel, O_CLOEXEC) == 0);
  std::fflush(nullptr);
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string result;
    uid_t user = ::getuid();
    gid_t group = ::getgid();
    int flags = CLONE_NEWNET | (user == 0 ? 0 : CLONE_NEWUSER);
    if (::unshare(flags) != 0) {
      result = "skipped";
    } else {
      PrivateNetwork network;
      if (user != 0) {
        network.write("/proc/self/setgroups", "deny");
        network.write("/proc/self/uid_map", "0 " + std::to_string(user) + " 1");
        network.write("/proc/self/gid_map", "0 " + std::to_string(group) + " 1");
      }
      network.run("ip link set lo up");
      result = network.failed.empty() ? body(network) : "";
      result += network.failed;
    }
    ssize_t written = ::write(channel[1], result.data(), result.size());
    ::_exit(written < 0);
  }
  ::close(channel[1]);
  std::string result;
  char buffer[1024];
  for (ssize_t size; (size = ::read(channel[0], buffer, sizeof(buffer))) > 0;)
    result.append(buffer, static_cast<size_t>(size));
  ::close(channel[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (result == "skipped") {
    WARN("skipped: no network namespace can be made here");
    return;
  }
  CHECK(status == 0);
  CHECK(result == "");
}

}  // namespace slipgate::test
