#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "platform/sockets.h"

namespace {

struct Connected {
  Connected() : listener(AF_INET, SOCK_STREAM), client(AF_INET, SOCK_STREAM), server(-1) {
    listener.bind_loopback();
    REQUIRE(::listen(listener.descriptor, 1) == 0);
    sockaddr_storage name = listener.name();
    REQUIRE(::connect(client.descriptor, reinterpret_cast<sockaddr *>(&name), sizeof(sockaddr_in)) == 0);
    server.descriptor = ::accept4(listener.descriptor, nullptr, nullptr, SOCK_NONBLOCK);
    REQUIRE(server.descriptor >= 0);
  }
  Socket listener, client, server;
};

int events_of(int epoll) {
  epoll_event event{};
  return ::epoll_wait(epoll, &event, 1, 100) == 1 ? static_cast<int>(event.events) : 0;
}

}  // namespace

TEST_CASE("EPOLLET: a hangup is one event, not one per wait") {
  Connected pair;
  int epoll = ::epoll_create1(0);
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {}};
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, pair.server.descriptor, &event) == 0);
  CHECK(events_of(epoll) == EPOLLOUT);
  CHECK(events_of(epoll) == 0);
  ::close(pair.client.descriptor);
  pair.client.descriptor = -1;
  CHECK((events_of(epoll) & EPOLLRDHUP) != 0);
  CHECK(events_of(epoll) == 0);
  ::close(epoll);
}

TEST_CASE("EPOLLET: EPOLL_CTL_MOD tells again what is still ready") {
  Connected pair;
  int epoll = ::epoll_create1(0);
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, pair.server.descriptor, &event) == 0);
  REQUIRE(::send(pair.client.descriptor, "xy", 2, 0) == 2);
  CHECK(events_of(epoll) == EPOLLIN);
  CHECK(events_of(epoll) == 0);
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_MOD, pair.server.descriptor, &event) == 0);
  CHECK(events_of(epoll) == EPOLLIN);
  ::close(epoll);
}

TEST_CASE("EPOLLET: an epoll descriptor is readable while one of its own is ready") {
  Connected pair;
  int epoll = ::epoll_create1(0);
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {}};
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, pair.server.descriptor, &event) == 0);
  pollfd wait{epoll, POLLIN, 0};
  CHECK(::poll(&wait, 1, 0) == 0);
  REQUIRE(::send(pair.client.descriptor, "x", 1, 0) == 1);
  CHECK(::poll(&wait, 1, 1000) == 1);
  CHECK(events_of(epoll) == EPOLLIN);
  CHECK(::poll(&wait, 1, 0) == 0);
  ::close(epoll);
}

TEST_CASE("EPOLLET: a write that was cut short is followed by EPOLLOUT without another attempt") {
  Connected pair;
  std::string much(16 << 20, 'x');
  ssize_t sent = ::send(pair.server.descriptor, much.data(), much.size(), MSG_NOSIGNAL);
  REQUIRE(sent > 0);
  REQUIRE(static_cast<size_t>(sent) < much.size());
  int epoll = ::epoll_create1(0);
  epoll_event event{.events = EPOLLOUT | EPOLLET, .data = {}};
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, pair.server.descriptor, &event) == 0);
  CHECK(events_of(epoll) == 0);
  std::string sink(static_cast<size_t>(sent), 0);
  REQUIRE(::recv(pair.client.descriptor, sink.data(), sink.size(), MSG_WAITALL) == sent);
  CHECK((events_of(epoll) & EPOLLOUT) != 0);
  ::close(epoll);
}

TEST_CASE("SO_LINGER 0 makes close() a reset; what was received before it can still be read") {
  Connected pair;
  REQUIRE(::send(pair.client.descriptor, "last", 4, 0) == 4);
  linger linger{1, 0};
  ::setsockopt(pair.client.descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
  ::close(pair.client.descriptor);
  pair.client.descriptor = -1;
  pollfd wait{pair.server.descriptor, POLLRDHUP, 0};
  REQUIRE(::poll(&wait, 1, 5000) == 1);
  char buffer[10];
  CHECK(::recv(pair.server.descriptor, buffer, sizeof(buffer), 0) == 4);
  CHECK(::recv(pair.server.descriptor, buffer, sizeof(buffer), 0) == -1);
  CHECK(errno == ECONNRESET);
}

TEST_CASE("IP_RECVERR on a connecting TCP socket: the ICMP code that errno loses") {
  // The message is our own, from a raw socket, which a namespace of our own allows.
  test_in_namespace([](std::string &problem) {
    if (std::system("ip link set lo up") != 0) {
      problem = "no loopback";
      return;
    }
    int fd = ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    // The sequence number must be right for the kernel to believe the message: quote the SYN as it is on the wire.
    int sniffer = ::socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
    int client = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int on = 1;
    ::setsockopt(client, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
    // A SYN that nobody answers: dropped by a listener with a full backlog.
    int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    at.sin_port = htons(4567);
    ::bind(listener, reinterpret_cast<sockaddr *>(&at), sizeof(at));
    ::listen(listener, 0);
    for (int i = 0; i < 4; i++) {
      ::connect(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), reinterpret_cast<sockaddr *>(&at), sizeof(at));
    }
    ::connect(client, reinterpret_cast<sockaddr *>(&at), sizeof(at));
    sockaddr_in mine{};
    socklen_t length = sizeof(mine);
    ::getsockname(client, reinterpret_cast<sockaddr *>(&mine), &length);
    uint8_t packet[200];
    for (pollfd wait{sniffer, POLLIN, 0}; ::poll(&wait, 1, 5000) == 1;) {
      ssize_t size = ::recv(sniffer, packet, sizeof(packet), 0);
      if (size < 40 || std::memcmp(packet + 20, &mine.sin_port, 2) != 0) continue;
      break;
    }
    uint8_t message[8 + 28] = {3, 13};  // administratively prohibited
    std::memcpy(message + 8, packet, 28);
    uint32_t sum = 0;
    for (size_t i = 0; i < sizeof(message); i += 2) sum += static_cast<uint32_t>(message[i] << 8 | message[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    message[2] = static_cast<uint8_t>(~sum >> 8);
    message[3] = static_cast<uint8_t>(~sum);
    ::sendto(fd, message, sizeof(message), 0, reinterpret_cast<sockaddr *>(&at), sizeof(at));
    pollfd wait{client, POLLOUT, 0};
    if (::poll(&wait, 1, 5000) != 1) {
      problem = "connect went on";
      return;
    }
    int error = 0;
    length = sizeof(error);
    ::getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != EHOSTUNREACH) problem = "errno " + std::to_string(error);
    Socket socket(client);
    sock_extended_err extended{};
    sockaddr_storage about{};
    if (!socket.take_error(extended, about)) {
      problem += " nothing queued";
    } else if (extended.ee_type != 3 || extended.ee_code != 13) {
      problem += " wrong code";
    }
  });
}

TEST_CASE("ping sockets: the kernel puts its own identifier in and gives back the answers to it alone") {
  test_in_namespace([](std::string &problem) {
    int file = ::open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);
    if (std::system("ip link set lo up") != 0 || ::write(file, "0 0", 3) != 3) {
      problem = "cannot prepare";
      return;
    }
    Socket one(::socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)), two(::socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    if (one.descriptor < 0 || two.descriptor < 0) {
      problem = "no ping socket";
      return;
    }
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_storage to{};
    std::memcpy(&to, &at, sizeof(at));
    std::string echo("\x08\x00\x00\x00\x12\x34\x00\x07payload", 15);
    if (one.send(echo, to) != 15) problem = "not sent";
    pollfd wait{one.descriptor, POLLIN, 0};
    if (::poll(&wait, 1, 5000) != 1) {
      problem = "no answer";
      return;
    }
    std::string answer = one.receive().text;
    if (answer.size() != 15 || answer[0] != 0 || answer.substr(6) != echo.substr(6)) problem = "wrong answer";
    if (answer.substr(4, 2) == echo.substr(4, 2)) problem = "identifier kept";
    char byte;
    if (::recv(two.descriptor, &byte, 1, MSG_DONTWAIT) != -1) problem = "the other socket heard it";
  });
}
