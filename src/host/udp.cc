#include "host/udp.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "host/error_queue.h"
#include "io/socket_address.h"

namespace slipgate {

namespace {

bool set_option(int descriptor, int level, int option, int value) {
  return ::setsockopt(descriptor, level, option, &value, sizeof(value)) == 0;
}

// An old kernel would not refuse the control message but send one huge datagram.
bool has_segmentation(int descriptor) {
  static const bool known = [descriptor] {
    int segment = 0;
    socklen_t length = sizeof(segment);
    return ::getsockopt(descriptor, SOL_UDP, UDP_SEGMENT, &segment, &length) == 0;
  }();
  return known;
}

struct ControlWriter {
  alignas(
      cmsghdr) char bytes[CMSG_SPACE(sizeof(int)) * 2 + CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t))];
  size_t used = 0;

  template <typename T>
  void put(int level, int type, const T &value) {
    auto *head = reinterpret_cast<cmsghdr *>(bytes + used);
    head->cmsg_level = level;
    head->cmsg_type = type;
    head->cmsg_len = CMSG_LEN(sizeof(T));
    std::memcpy(CMSG_DATA(head), &value, sizeof(T));
    used += CMSG_SPACE(sizeof(T));
  }
};

// `segment`: the size of the datagrams that the kernel joined, if it did.
DatagramHeader read_header(msghdr &head, bool want_local, size_t &segment) {
  DatagramHeader header;
  for (cmsghdr *control = CMSG_FIRSTHDR(&head); control; control = CMSG_NXTHDR(&head, control)) {
    int value = 0;
    if (control->cmsg_len >= CMSG_LEN(sizeof(value))) std::memcpy(&value, CMSG_DATA(control), sizeof(value));
    if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO && value > 0) {
      segment = static_cast<size_t>(value);
    }
    if (control->cmsg_level == IPPROTO_IP) {
      if (control->cmsg_type == IP_TTL) header.ttl = static_cast<uint8_t>(value);
      if (control->cmsg_type == IP_TOS) header.traffic_class = *CMSG_DATA(control);  // one byte
      if (control->cmsg_type == IP_PKTINFO && want_local) {
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(control), sizeof(info));
        header.local = from_in4(info.ipi_addr);
      }
    } else if (control->cmsg_level == IPPROTO_IPV6) {
      if (control->cmsg_type == IPV6_HOPLIMIT) header.ttl = static_cast<uint8_t>(value);
      if (control->cmsg_type == IPV6_TCLASS) header.traffic_class = static_cast<uint8_t>(value);
      if (control->cmsg_type == IPV6_PKTINFO && want_local) {
        in6_pktinfo info;
        std::memcpy(&info, CMSG_DATA(control), sizeof(info));
        header.local = from_in6(info.ipi6_addr);
      }
    }
  }
  if (header.local.is_multicast() || header.local.is_broadcast()) header.local = IpAddress();
  return header;
}

}  // namespace

Result<std::unique_ptr<HostDatagramSocket>> HostDatagramSocket::open(Loop &loop, DatagramPortOwner &owner, Kind kind,
                                                                     const Endpoint &local) {
  bool v4 = local.address.is_v4();
  int family = v4 ? AF_INET : AF_INET6;
  int protocol = kind != Kind::ping ? 0 : v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6);
  std::string what = (kind == Kind::ping ? "cannot open a ping socket on " : "cannot open UDP ") + local.to_string();
  Fd descriptor(::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (!descriptor) return Error::from_errno(errno, what);
  int fd = descriptor.get();
  bool listener = kind == Kind::udp_listener;
  bool both = listener && !v4 && local.address.is_unspecified();
  if (!v4) {
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    if (listener) set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
  if (v4 || both) {
    set_option(fd, IPPROTO_IP, IP_RECVTTL, 1);
    set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
    if (listener && v4) set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
  }
  if (kind != Kind::ping) set_option(fd, SOL_UDP, UDP_GRO, 1);
  set_option(fd, SOL_SOCKET, SO_BROADCAST, 1);  // what may be reached is the policy's to say, not the socket's
  // A UDP flow ends with no datagram: errors are how the client learns that nobody is there.
  set_receive_errors(fd, family, true);
  if (both) set_receive_errors(fd, AF_INET, true);
  SocketAddress address(local, family);
  if (::bind(fd, &address.generic, address.size) != 0) return Error::from_errno(errno, what);
  std::unique_ptr<HostDatagramSocket> socket(new HostDatagramSocket(loop, owner, kind, std::move(descriptor), family));
  if (Result<void> watched = loop.poller().add(fd, *socket, Interest::reading); !watched) return watched.error();
  return socket;
}

HostDatagramSocket::HostDatagramSocket(Loop &loop, DatagramPortOwner &owner, Kind kind, Fd descriptor, int family)
    : loop_(loop),
      owner_(owner),
      descriptor_(std::move(descriptor)),
      family_(static_cast<int16_t>(family)),
      kind_(kind) {}

HostDatagramSocket::~HostDatagramSocket() {
  if (destroyed_) *destroyed_ = true;
  loop_.forget(*this);
  // A last answer and the end of its flow may share a turn. Nobody is left to hear of an error.
  if (gathered_ && gathered_->count > 0) {
    const Gathered &last = *gathered_;
    set_dont_fragment(last.header.dont_fragment);
    for (size_t at = 0; at < last.size; at += last.segment) {
      Bytes one(last.bytes + at, std::min(last.segment, last.size - at));
      (void)send_message({}, one, last.to, last.header, 0);
    }
  }
  loop_.poller().remove(descriptor_.get(), *this);
}

Endpoint HostDatagramSocket::local() const {
  return local_endpoint(descriptor_.get());
}

// "Don't fragment" is the socket's, not the datagram's (IP_MTU_DISCOVER is refused as control data): it is changed only
// when a datagram wants it otherwise. Clear means WANT, so that what is longer than the path is cut by us.
void HostDatagramSocket::set_dont_fragment(bool on) {
  if (dont_fragment_ == static_cast<int8_t>(on)) return;
  dont_fragment_ = static_cast<int8_t>(on);
  if (family_ == AF_INET6) {
    set_option(descriptor_.get(), IPPROTO_IPV6, IPV6_MTU_DISCOVER, on ? IPV6_PMTUDISC_DO : IPV6_PMTUDISC_WANT);
  }
  set_option(descriptor_.get(), IPPROTO_IP, IP_MTU_DISCOVER, on ? IP_PMTUDISC_DO : IP_PMTUDISC_WANT);
}

bool HostDatagramSocket::send(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header) {
  if (kind_ == Kind::ping || !has_segmentation(descriptor_.get())) return send_now(prefix, payload, to, header);
  if (!std::exchange(sent_this_turn_, true)) {
    loop_.at_turn_end(*this, 0);
    return send_now(prefix, payload, to, header);
  }
  if (gather(prefix, payload, to, header)) return true;
  bool gone = false;
  bool *outer = std::exchange(destroyed_, &gone);
  send_gathered();
  if (gone) {
    if (outer) *outer = true;
    errno = ECANCELED;
    return false;
  }
  destroyed_ = outer;
  return gather(prefix, payload, to, header) || send_now(prefix, payload, to, header);
}

// False: it does not fit to what is gathered.
bool HostDatagramSocket::gather(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header) {
  const size_t size = prefix.size() + payload.size();
  if (size == 0 || size > kMostBytes) return false;
  if (!gathered_) gathered_ = std::make_unique_for_overwrite<Gathered>();
  Gathered &run = *gathered_;
  if (run.count == 0) {
    run.to = to;
    run.header = header;
    run.segment = size;
    run.size = 0;
  } else if (size > run.segment || run.size % run.segment != 0 || run.size + size > kMostBytes ||
             run.count == kMostSegments || to != run.to || header != run.header) {
    return false;
  }
  uint8_t *end = std::copy(prefix.begin(), prefix.end(), run.bytes + run.size);
  std::copy(payload.begin(), payload.end(), end);
  run.size += size;
  run.count++;
  return true;
}

void HostDatagramSocket::on_turn_end() {
  sent_this_turn_ = false;
  send_gathered();
}

void HostDatagramSocket::on_pace() {
  loop_.poller().rearm(descriptor_.get(), *this, Interest::reading);
}

void HostDatagramSocket::send_gathered() {
  if (!gathered_ || gathered_->count == 0) return;
  std::unique_ptr<Gathered> run = std::move(gathered_);
  if (run->count > 1) {
    set_dont_fragment(run->header.dont_fragment);
    Bytes all(run->bytes, run->size);
    if (send_message({}, all, run->to, run->header, run->segment) >= 0) return;
  }
  // One by one each gets its own error; a path, a device or a pending error that refuses a run need not refuse them.
  bool gone = false;
  bool *outer = std::exchange(destroyed_, &gone);
  for (size_t at = 0; at < run->size && !gone; at += run->segment) {
    Bytes one(run->bytes + at, std::min(run->segment, run->size - at));
    send_now({}, one, run->to, run->header);
  }
  if (!gone) {
    destroyed_ = outer;
  } else if (outer) {
    *outer = true;
  }
}

ssize_t HostDatagramSocket::send_message(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header,
                                         size_t segment) {
  SocketAddress name(to, family_);
  iovec pieces[2] = {{const_cast<uint8_t *>(prefix.data()), prefix.size()},
                     {const_cast<uint8_t *>(payload.data()), payload.size()}};
  // IPv4 through an AF_INET6 socket takes IPv4's control data.
  bool v4 = to.address.is_v4();
  ControlWriter control;
  int ttl = header.ttl, traffic_class = header.traffic_class;
  if (v4) {
    control.put(IPPROTO_IP, IP_TTL, ttl);
    control.put(IPPROTO_IP, IP_TOS, traffic_class);
  } else {
    control.put(IPPROTO_IPV6, IPV6_HOPLIMIT, ttl);
    control.put(IPPROTO_IPV6, IPV6_TCLASS, traffic_class);
  }
  if (segment > 0) control.put(SOL_UDP, UDP_SEGMENT, static_cast<uint16_t>(segment));
  size_t without_local = control.used;
  if (kind_ == Kind::udp_listener && !header.local.is_unspecified() && header.local.is_v4() == v4) {
    if (family_ == AF_INET6) {
      control.put(IPPROTO_IPV6, IPV6_PKTINFO, in6_pktinfo{.ipi6_addr = to_in6(header.local), .ipi6_ifindex = 0});
    } else {
      control.put(IPPROTO_IP, IP_PKTINFO,
                  in_pktinfo{.ipi_ifindex = 0, .ipi_spec_dst = to_in4(header.local), .ipi_addr = {}});
    }
  }
  msghdr head{};
  head.msg_name = &name.generic;
  head.msg_namelen = name.size;
  head.msg_iov = pieces;
  head.msg_iovlen = 2;
  head.msg_control = control.bytes;
  head.msg_controllen = control.used;
  ssize_t sent = ::sendmsg(descriptor_.get(), &head, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno == EINVAL && control.used > without_local) {
    head.msg_controllen = without_local;  // our address vanished: any other is better than none
    sent = ::sendmsg(descriptor_.get(), &head, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
  return sent;
}

bool HostDatagramSocket::send_now(Bytes prefix, Bytes payload, const Endpoint &to, const DatagramHeader &header) {
  set_dont_fragment(header.dont_fragment);
  int error = 0;
  // An error may belong to an earlier datagram to somebody else, whose ICMP message arrived meanwhile: it is told to
  // whom it concerns, and this datagram gets another chance.
  for (int attempt = 0; attempt < 3; attempt++) {
    if (send_message(prefix, payload, to, header, 0) >= 0) return true;
    error = errno;
    if (error == EAGAIN || error == ENOBUFS) break;  // the kernel's buffer is full: UDP may lose datagrams
    bool gone = false;
    bool *outer = std::exchange(destroyed_, &gone);
    bool alive = drain_errors();  // lesson: host-udp-error-of-another
    if (!alive || gone) {
      if (outer) *outer = true;
      errno = error;
      return false;
    }
    destroyed_ = outer;
    if (error == EMSGSIZE) break;  // ours, and told by the error queue
  }
  // Routes and firewalls of this host refuse without an ICMP message: say it in ICMP's words. (EMSGSIZE came by the
  // queue.)
  DatagramError told{.destination = to, .code = error};
  if (error == EAGAIN || error == ENOBUFS) {
    if (kind_ != Kind::ping) owner_.on_datagram_error(told);
  } else if (error != EMSGSIZE && describe_in_icmp(error, to.address.is_v4(), told.icmp_type, told.icmp_code)) {
    told.has_icmp = true;
    owner_.on_datagram_error(told);
  }
  errno = error;
  return false;
}

void HostDatagramSocket::on_events(uint32_t events) {
  bool gone = false;
  destroyed_ = &gone;
  if (events & EPOLLERR) {
    if (!drain_errors()) return;
  }
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
    if (!receive()) return;
  }
  destroyed_ = nullptr;
}

bool HostDatagramSocket::receive() {
  struct Slot {
    SocketAddress name;
    iovec piece;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int)) * 2 + CMSG_SPACE(sizeof(in6_pktinfo)) +
                                  CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(int))];
  };
  Slot slots[kBatch];
  mmsghdr messages[kBatch];
  uint8_t *scratch = loop_.scratch().datagrams();
  bool *gone = destroyed_;
  Pace *pace = owner_.pace();
  if (pace && pace->rate() == Pace::kNoLimit) pace = nullptr;
  const unsigned at_once = pace ? 1 : kBatch;
  for (int batch = 0; batch < kBatchesPerTurn; batch++) {
    if (pace && pace->grant(*this) == 0) return true;
    for (unsigned i = 0; i < at_once; i++) {
      slots[i].piece = {scratch + size_t{i} * 65536, 65536};
      messages[i] = {};
      msghdr &head = messages[i].msg_hdr;
      head.msg_name = &slots[i].name.generic;
      head.msg_namelen = sizeof(sockaddr_in6);
      head.msg_iov = &slots[i].piece;
      head.msg_iovlen = 1;
      head.msg_control = slots[i].control;
      head.msg_controllen = sizeof(slots[i].control);
    }
    int count = ::recvmmsg(descriptor_.get(), messages, at_once, MSG_DONTWAIT, nullptr);
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return true;
      // A pending error in the way of datagrams: reading took it off, and the queue has its story.
      if (!drain_errors()) return false;
      continue;
    }
    for (int i = 0; i < count; i++) {
      const size_t size = messages[i].msg_len;
      if (pace) pace->charge(size);
      size_t segment = std::max<size_t>(size, 1);
      DatagramHeader header = read_header(messages[i].msg_hdr, kind_ == Kind::udp_listener, segment);
      const auto *bytes = static_cast<const uint8_t *>(slots[i].piece.iov_base);
      const Endpoint from = slots[i].name.endpoint();
      // A datagram of length zero is one, too.
      for (size_t at = 0; at < size || at == 0; at += segment) {
        Bytes payload(bytes + at, std::min(segment, size - at));
        owner_.on_datagram(payload, from, header);  // lesson: host-udp-empty-datagram
        if (*gone) return false;
      }
    }
    if (count < static_cast<int>(at_once)) return true;
  }
  loop_.poller().rearm(descriptor_.get(), *this, Interest::reading);
  return true;
}

bool HostDatagramSocket::drain_errors() {
  bool *gone = destroyed_;
  uint8_t quote[64];
  for (int i = 0; i < kErrorsPerCall; i++) {
    std::optional<QueuedError> queued = take_error(descriptor_.get(), quote);
    if (!queued) return true;
    queued->error.quote = Bytes(quote, std::min(queued->quoted, sizeof(quote)));
    if (!queued->error.has_icmp && queued->error.code == EMSGSIZE) {
      // Our own kernel knows the path's MTU: the client learns it as from a router.
      bool v4 = queued->error.destination.address.is_v4();
      queued->error.has_icmp = describe_in_icmp(EMSGSIZE, v4, queued->error.icmp_type, queued->error.icmp_code);
    }
    owner_.on_datagram_error(queued->error);
    if (gone && *gone) return false;
  }
  return true;
}

HostDatagramPort::HostDatagramPort(Loop &loop, DatagramPortOwner &owner, const Options &options)
    : loop_(loop), owner_(owner), options_(options) {}
HostDatagramPort::~HostDatagramPort() = default;

bool HostDatagramPort::send(Bytes payload, const Endpoint &to, const DatagramHeader &header) {
  bool v4 = to.address.is_v4();
  std::unique_ptr<HostDatagramSocket> &socket = sockets_[v4 ? 0 : 1];
  if (!socket) {
    const std::optional<IpAddress> &source = v4 ? options_.source_ipv4 : options_.source_ipv6;
    Endpoint local{source.value_or(IpAddress::any(v4)), 0};
    Result<std::unique_ptr<HostDatagramSocket>> opened =
        HostDatagramSocket::open(loop_, owner_, HostDatagramSocket::Kind::udp, local);
    if (!opened) {
      open_error_ = opened.error().code;
      DatagramError error{.destination = to, .code = open_error_};
      error.has_icmp = describe_in_icmp(open_error_, v4, error.icmp_type, error.icmp_code);
      owner_.on_datagram_error(error);
      return false;
    }
    socket = std::move(*opened);
  }
  return socket->send({}, payload, to, header);
}

Endpoint HostDatagramPort::local(bool v4) const {
  const std::unique_ptr<HostDatagramSocket> &socket = sockets_[v4 ? 0 : 1];
  return socket ? socket->local() : Endpoint{IpAddress::any(v4), 0};
}

}  // namespace slipgate
