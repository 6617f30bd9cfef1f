#include "host/error_queue.h"

#include <asm/types.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
// after the above
#include <linux/errqueue.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/socket_address.h"

namespace slipgate {

bool set_receive_errors(int descriptor, int family, bool on) {
  int value = on;
  // Switching it off empties the queue.
  return family == AF_INET ? ::setsockopt(descriptor, IPPROTO_IP, IP_RECVERR, &value, sizeof(value)) == 0
                           : ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVERR, &value, sizeof(value)) == 0;
}

std::optional<QueuedError> take_error(int descriptor, MutableBytes quote) {
  SocketAddress name;
  iovec piece{quote.data(), quote.size()};
  alignas(cmsghdr) char control[512];
  msghdr head{};
  head.msg_name = &name.generic;
  head.msg_namelen = sizeof(sockaddr_in6);
  head.msg_iov = &piece;
  head.msg_iovlen = 1;
  head.msg_control = control;
  head.msg_controllen = sizeof(control);
  ssize_t size = ::recvmsg(descriptor, &head, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (size < 0) return std::nullopt;
  QueuedError result;
  result.quoted = static_cast<size_t>(size);
  if (head.msg_namelen > 0) result.error.destination = name.endpoint();
  for (cmsghdr *entry = CMSG_FIRSTHDR(&head); entry; entry = CMSG_NXTHDR(&head, entry)) {
    const bool hops = (entry->cmsg_level == IPPROTO_IP && entry->cmsg_type == IP_TTL) ||
                      (entry->cmsg_level == IPPROTO_IPV6 && entry->cmsg_type == IPV6_HOPLIMIT);
    if (hops && entry->cmsg_len >= CMSG_LEN(sizeof(int))) {
      int value;
      std::memcpy(&value, CMSG_DATA(entry), sizeof(value));
      result.error.ttl = static_cast<uint8_t>(value);
    }
    bool v4 = entry->cmsg_level == IPPROTO_IP && entry->cmsg_type == IP_RECVERR;
    bool v6 = entry->cmsg_level == IPPROTO_IPV6 && entry->cmsg_type == IPV6_RECVERR;
    if (!v4 && !v6) continue;
    sock_extended_err extended;
    std::memcpy(&extended, CMSG_DATA(entry), sizeof(extended));
    DatagramError &error = result.error;
    error.code = static_cast<int>(extended.ee_errno);
    error.has_icmp = extended.ee_origin == SO_EE_ORIGIN_ICMP || extended.ee_origin == SO_EE_ORIGIN_ICMP6;
    error.icmp_type = extended.ee_type;
    error.icmp_code = extended.ee_code;
    if (error.code == EMSGSIZE) error.mtu = extended.ee_info;
    if (error.has_icmp && entry->cmsg_len >= CMSG_LEN(sizeof(extended) + sizeof(sockaddr_in))) {
      SocketAddress reporter;
      size_t length = std::min<size_t>(entry->cmsg_len - CMSG_LEN(sizeof(extended)), sizeof(sockaddr_in6));
      std::memcpy(&reporter.v6, CMSG_DATA(entry) + sizeof(extended), length);
      error.reporter = reporter.endpoint().address;
    }
  }
  return result;
}

bool describe_in_icmp(int code, bool v4, uint8_t &type, uint8_t &icmp_code) {
  struct Row {
    int code;
    uint8_t type4, code4;  // RFC 792, RFC 1812 section 5.2.7.1
    uint8_t type6, code6;  // RFC 4443 section 3.1
  };
  static constexpr Row kRows[] = {
      {ENETUNREACH, 3, 0, 1, 0},  {EHOSTUNREACH, 3, 1, 1, 3},  {EHOSTDOWN, 3, 1, 1, 3}, {ENETDOWN, 3, 0, 1, 0},
      {ENOPROTOOPT, 3, 2, 1, 4},  {ECONNREFUSED, 3, 3, 1, 4},  {EACCES, 3, 13, 1, 1},   {EPERM, 3, 13, 1, 1},
      {EAFNOSUPPORT, 3, 0, 1, 0}, {EADDRNOTAVAIL, 3, 1, 1, 0}, {EMSGSIZE, 3, 4, 2, 0},
  };
  for (const Row &row : kRows) {
    if (row.code != code) continue;
    type = v4 ? row.type4 : row.type6;
    icmp_code = v4 ? row.code4 : row.code6;
    return true;
  }
  return false;
}

}  // namespace slipgate
