// Sockets for the tests of kernel behaviours: no code of ours, so that a failure is the kernel's.
#pragma once

#include <asm/types.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
// after the above
#include <linux/errqueue.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "support/catch.h"

struct Received {
  std::string text;
  sockaddr_storage from{};
  std::vector<char> controls;
  msghdr head{};

  template <typename T>
  bool control(int level, int type, T &value) {
    head.msg_control = controls.data();
    for (cmsghdr *entry = CMSG_FIRSTHDR(&head); entry; entry = CMSG_NXTHDR(&head, entry)) {
      if (entry->cmsg_level != level || entry->cmsg_type != type) continue;
      std::memcpy(&value, CMSG_DATA(entry), sizeof(value));
      return true;
    }
    return false;
  }
};

struct Socket {
  Socket(int family, int type) : descriptor(::socket(family, type, 0)) { REQUIRE(descriptor >= 0); }
  explicit Socket(int existing) : descriptor(existing) {}
  ~Socket() {
    if (descriptor >= 0) ::close(descriptor);
  }
  Socket(const Socket &) = delete;

  void bind_loopback() {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(descriptor, reinterpret_cast<sockaddr *>(&at), sizeof(at)) == 0);
  }
  sockaddr_storage name() const {
    sockaddr_storage result{};
    socklen_t length = sizeof(result);
    REQUIRE(::getsockname(descriptor, reinterpret_cast<sockaddr *>(&result), &length) == 0);
    return result;
  }
  void set(int level, int option, int value) {
    REQUIRE(::setsockopt(descriptor, level, option, &value, sizeof(value)) == 0);
  }

  static socklen_t length_of(const sockaddr_storage &to) {
    return to.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  }
  ssize_t send(const std::string &text, const sockaddr_storage &to) {
    return ::sendto(descriptor, text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr *>(&to),
                    length_of(to));
  }
  template <typename T>
  ssize_t send_with(const std::string &text, sockaddr_storage to, int level, int type, const T &value) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(T))]{};
    iovec piece{const_cast<char *>(text.data()), text.size()};
    msghdr head{};
    head.msg_name = &to;
    head.msg_namelen = length_of(to);
    head.msg_iov = &piece;
    head.msg_iovlen = 1;
    head.msg_control = control;
    head.msg_controllen = sizeof(control);
    cmsghdr *entry = CMSG_FIRSTHDR(&head);
    entry->cmsg_level = level;
    entry->cmsg_type = type;
    entry->cmsg_len = CMSG_LEN(sizeof(T));
    std::memcpy(CMSG_DATA(entry), &value, sizeof(T));
    return ::sendmsg(descriptor, &head, MSG_NOSIGNAL);
  }
  Received receive() {
    Received result;
    result.text.resize(70000);
    result.controls.resize(512);
    iovec piece{result.text.data(), result.text.size()};
    result.head.msg_name = &result.from;
    result.head.msg_namelen = sizeof(result.from);
    result.head.msg_iov = &piece;
    result.head.msg_iovlen = 1;
    result.head.msg_control = result.controls.data();
    result.head.msg_controllen = result.controls.size();
    ssize_t size = ::recvmsg(descriptor, &result.head, 0);
    result.text.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return result;
  }
  bool take_error(sock_extended_err &error, sockaddr_storage &about) {
    alignas(cmsghdr) char control[512];
    msghdr head{};
    head.msg_name = &about;
    head.msg_namelen = sizeof(about);
    head.msg_control = control;
    head.msg_controllen = sizeof(control);
    if (::recvmsg(descriptor, &head, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return false;
    for (cmsghdr *entry = CMSG_FIRSTHDR(&head); entry; entry = CMSG_NXTHDR(&head, entry)) {
      if (entry->cmsg_level == IPPROTO_IP && entry->cmsg_type == IP_RECVERR) {
        std::memcpy(&error, CMSG_DATA(entry), sizeof(error));
        return true;
      }
    }
    return false;
  }

  int descriptor;
};

// Runs `body` in a child with a network namespace of its own; `problem` stays empty when all is as expected.
inline void test_in_namespace(const std::function<void(std::string &problem)> &body) {
  int channel[2];
  REQUIRE(::pipe(channel) == 0);
  pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string problem;
    if (::unshare(::getuid() == 0 ? CLONE_NEWNET : CLONE_NEWNET | CLONE_NEWUSER) != 0) {
      problem = "skipped";
    } else {
      body(problem);
    }
    ssize_t written = ::write(channel[1], problem.data(), problem.size());
    ::_exit(written < 0);
  }
  ::close(channel[1]);
  std::string problem;
  char buffer[256];
  for (ssize_t size; (size = ::read(channel[0], buffer, sizeof(buffer))) > 0;)
    problem.append(buffer, static_cast<size_t>(size));
  ::close(channel[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (problem == "skipped") {
    WARN("skipped: no network namespace can be made here");
    return;
  }
  CHECK(status == 0);
  CHECK(problem == "");
}
