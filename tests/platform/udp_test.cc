#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "platform/sockets.h"

TEST_CASE("UDP_SEGMENT cuts, UDP_GRO joins and says the size") {
  Socket sender(AF_INET, SOCK_DGRAM), receiver(AF_INET, SOCK_DGRAM);
  receiver.bind_loopback();
  receiver.set(SOL_UDP, UDP_GRO, 1);
  std::string run(10 * 1000 + 300, 'x');
  REQUIRE(sender.send_with(run, receiver.name(), SOL_UDP, UDP_SEGMENT, uint16_t{1000}) ==
          static_cast<ssize_t>(run.size()));
  Received received = receiver.receive();
  CHECK(received.text.size() == run.size());
  int segment = 0;
  REQUIRE(received.control(SOL_UDP, UDP_GRO, segment));
  CHECK(segment == 1000);
}

TEST_CASE("UDP_SEGMENT: a receiver without UDP_GRO gets datagrams, the last one shorter") {
  Socket sender(AF_INET, SOCK_DGRAM), receiver(AF_INET, SOCK_DGRAM);
  receiver.bind_loopback();
  std::string run(2300, 'x');
  REQUIRE(sender.send_with(run, receiver.name(), SOL_UDP, UDP_SEGMENT, uint16_t{1000}) == 2300);
  CHECK(receiver.receive().text.size() == 1000);
  CHECK(receiver.receive().text.size() == 1000);
  CHECK(receiver.receive().text.size() == 300);
}

TEST_CASE("UDP_SEGMENT: 64 segments go, and the option can be asked for to see whether there is any") {
  Socket sender(AF_INET, SOCK_DGRAM), receiver(AF_INET, SOCK_DGRAM);
  receiver.bind_loopback();
  int value = -1;
  socklen_t length = sizeof(value);
  REQUIRE(::getsockopt(sender.descriptor, SOL_UDP, UDP_SEGMENT, &value, &length) == 0);
  CHECK(value == 0);
  std::string run(64 * 100, 'x');
  CHECK(sender.send_with(run, receiver.name(), SOL_UDP, UDP_SEGMENT, uint16_t{100}) ==
        static_cast<ssize_t>(run.size()));
}

TEST_CASE(
    "IPV6_PKTINFO with a v4-mapped address chooses the source of an IPv4 datagram; one that is not ours is refused") {
  Socket sender(AF_INET6, SOCK_DGRAM), receiver(AF_INET, SOCK_DGRAM);
  sender.set(IPPROTO_IPV6, IPV6_V6ONLY, 0);
  receiver.bind_loopback();
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  sockaddr_storage name = receiver.name();
  mapped.sin6_port = reinterpret_cast<const sockaddr_in &>(name).sin_port;
  std::memcpy(mapped.sin6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
  in6_pktinfo info{};
  std::memcpy(info.ipi6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x09", 16);
  sockaddr_storage to{};
  std::memcpy(&to, &mapped, sizeof(mapped));
  REQUIRE(sender.send_with("x", to, IPPROTO_IPV6, IPV6_PKTINFO, info) == 1);
  Received received = receiver.receive();
  CHECK(reinterpret_cast<const sockaddr_in &>(received.from).sin_addr.s_addr == htonl(0x7f000009));
  std::memcpy(info.ipi6_addr.s6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x01", 16);
  ssize_t sent = sender.send_with("x", to, IPPROTO_IPV6, IPV6_PKTINFO, info);
  int error = errno;
  CHECK(sent == -1);
  CHECK((error == EINVAL || error == ENETUNREACH));  // as the destination is remote or local
}

TEST_CASE("IP_RECVERR: a port unreachable comes with type, code and destination, and fails a send to somebody else") {
  Socket sender(AF_INET, SOCK_DGRAM), healthy(AF_INET, SOCK_DGRAM);
  healthy.bind_loopback();
  sockaddr_storage closed;
  {
    Socket gone(AF_INET, SOCK_DGRAM);
    gone.bind_loopback();
    closed = gone.name();
  }
  sender.set(IPPROTO_IP, IP_RECVERR, 1);
  REQUIRE(sender.send("x", closed) == 1);
  pollfd wait{sender.descriptor, 0, 0};
  REQUIRE(::poll(&wait, 1, 5000) == 1);
  CHECK((wait.revents & POLLERR) != 0);
  CHECK(sender.send("y", healthy.name()) == -1);
  CHECK(errno == ECONNREFUSED);
  sock_extended_err error{};
  sockaddr_storage about{};
  REQUIRE(sender.take_error(error, about));
  CHECK(error.ee_errno == ECONNREFUSED);
  CHECK(error.ee_origin == SO_EE_ORIGIN_ICMP);
  CHECK(error.ee_type == 3);
  CHECK(error.ee_code == 3);
  CHECK(std::memcmp(&about, &closed, sizeof(sockaddr_in)) == 0);
  CHECK(sender.send("y", healthy.name()) == 1);
  CHECK(healthy.receive().text == "y");
}

TEST_CASE("IP_MTU_DISCOVER is refused as control data: it is the socket's") {
  Socket sender(AF_INET, SOCK_DGRAM), receiver(AF_INET, SOCK_DGRAM);
  receiver.bind_loopback();
  CHECK(sender.send_with("x", receiver.name(), IPPROTO_IP, IP_MTU_DISCOVER, int{IP_PMTUDISC_DO}) == -1);
  CHECK(errno == EINVAL);
}

TEST_CASE("IP_TTL and IP_TOS hold for one datagram; the receiver may see them") {
  Socket sender(AF_INET, SOCK_DGRAM), receiver(AF_INET, SOCK_DGRAM);
  receiver.bind_loopback();
  receiver.set(IPPROTO_IP, IP_RECVTTL, 1);
  REQUIRE(sender.send_with("x", receiver.name(), IPPROTO_IP, IP_TTL, int{9}) == 1);
  REQUIRE(sender.send("x", receiver.name()) == 1);
  int ttl = 0;
  REQUIRE(receiver.receive().control(IPPROTO_IP, IP_TTL, ttl));
  CHECK(ttl == 9);
  REQUIRE(receiver.receive().control(IPPROTO_IP, IP_TTL, ttl));
  CHECK(ttl == 64);
}

TEST_CASE("sendmmsg stops at the datagram that is refused and says how many went before") {
  Socket sender(AF_INET, SOCK_DGRAM), receiver(AF_INET, SOCK_DGRAM);
  receiver.bind_loopback();
  sockaddr_storage good = receiver.name(), bad = good;
  reinterpret_cast<sockaddr_in &>(bad).sin_port = 0;
  sockaddr_storage names[3] = {good, bad, good};
  char byte = 'x';
  iovec piece{&byte, 1};
  mmsghdr messages[3]{};
  for (int i = 0; i < 3; i++) {
    messages[i].msg_hdr.msg_name = &names[i];
    messages[i].msg_hdr.msg_namelen = sizeof(sockaddr_in);
    messages[i].msg_hdr.msg_iov = &piece;
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  CHECK(::sendmmsg(sender.descriptor, messages, 3, 0) == 1);
  CHECK(::sendmmsg(sender.descriptor, messages + 1, 2, 0) == -1);
  CHECK(errno == EINVAL);
}
