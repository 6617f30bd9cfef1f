#include "io/udp_socket.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/socket_address.h"

namespace slipgate {

namespace {

constexpr UdpSystemCalls kKernel{
    .receive_many = [](int descriptor, mmsghdr *messages, unsigned count,
                       int flags) { return ::recvmmsg(descriptor, messages, count, flags, nullptr); },
    .send_many = [](int descriptor, mmsghdr *messages, unsigned count,
                    int flags) { return ::sendmmsg(descriptor, messages, count, flags); },
};

// A joined run smaller than this is copied into small buffers: a stack that holds on to one of its datagrams would
// otherwise keep 64 kB alive for it.
constexpr size_t kCopyBelow = 16384;

// What a message's control data can be: pktinfo of either family, and the size of the segments.
union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in_pktinfo))];
};

bool set_option(int descriptor, int level, int option, int value) {
  return ::setsockopt(descriptor, level, option, &value, sizeof(value)) == 0;
}

// Appends a control message; the caller sums up the length.
template <typename T>
size_t put_control(char *at, int level, int type, const T &value) {
  auto *head = reinterpret_cast<cmsghdr *>(at);
  head->cmsg_level = level;
  head->cmsg_type = type;
  head->cmsg_len = CMSG_LEN(sizeof(T));
  std::memcpy(CMSG_DATA(head), &value, sizeof(T));
  return CMSG_SPACE(sizeof(T));
}

// Errors that say that our side of the path is no more (the address vanished, the interface went).
bool is_source_error(int code) {
  return code == EINVAL || code == EADDRNOTAVAIL || code == ENODEV || code == ENXIO || code == ENETUNREACH;
}

// Errors that a run of datagrams gets and single ones need not: no UDP_SEGMENT here (EIO: the device cannot checksum;
// EINVAL: old kernel), or a path narrower than the datagrams.
bool is_segment_error(int code) {
  return code == EIO || code == EINVAL || code == EMSGSIZE || code == EOPNOTSUPP;
}

}  // namespace

struct UdpSocket::Incoming {
  std::array<Packet, kReceiveMessages> buffers;
  std::array<SocketAddress, kReceiveMessages> names;
  std::array<Control, kReceiveMessages> controls;
  std::array<iovec, kReceiveMessages> pieces;
  std::array<mmsghdr, kReceiveMessages> messages;
};

struct UdpSocket::Outgoing {
  std::array<SocketAddress, kSendMessages> names;
  std::array<Control, kSendMessages> controls;
  std::array<iovec, kSendPieces> pieces;
  std::array<mmsghdr, kSendMessages> messages;
  std::array<size_t, kSendMessages> datagrams;  // in each message
};

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(Loop &loop, UdpSocketOwner &owner, BufferPool &batches,
                                                   BufferPool &singles, Counters &counters,
                                                   const UdpSocketOptions &options) {
  std::unique_ptr<UdpSocket> socket(new UdpSocket(loop, owner, batches, singles, counters, options));
  if (Result<void> bound = socket->bind(options); !bound) return bound.error();
  if (Result<void> watched = loop.poller().add(socket->descriptor_.get(), *socket, Interest::reading); !watched) {
    return watched.error();
  }
  return socket;
}

UdpSocket::UdpSocket(Loop &loop, UdpSocketOwner &owner, BufferPool &batches, BufferPool &singles, Counters &counters,
                     const UdpSocketOptions &options)
    : loop_(loop),
      owner_(owner),
      batches_(batches),
      singles_(singles),
      counters_(counters),
      calls_(options.calls ? *options.calls : kKernel),
      queue_capacity_(options.queue_capacity),
      incoming_(std::make_unique<Incoming>()),
      messages_(std::make_unique<Outgoing>()) {}

UdpSocket::~UdpSocket() {
  if (destroyed_) *destroyed_ = true;
  if (descriptor_) loop_.poller().remove(descriptor_.get(), *this);
}

Result<void> UdpSocket::bind(const UdpSocketOptions &options) {
  std::string what = "cannot listen on UDP " + options.listen.to_string();
  constexpr int kType = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  Endpoint listen = options.listen;
  family_ = listen.address.is_v4() ? AF_INET : AF_INET6;
  bool either = listen.address == IpAddress();
  // A v4-mapped wildcard and ::, both families, are the same socket where there is IPv6, and plain IPv4 where there is
  // not.
  descriptor_ = Fd(::socket(family_, kType, 0));
  if (!descriptor_ && errno == EAFNOSUPPORT && either) {
    family_ = AF_INET;
    listen.address = IpAddress::any(true);
    descriptor_ = Fd(::socket(family_, kType, 0));
  }
  if (!descriptor_) return Error::from_errno(errno, what);
  int fd = descriptor_.get();
  if (family_ == AF_INET6) {
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !either);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  } else {
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
  }
  if (options.reuse_port && !set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1)) return Error::from_errno(errno, what);
  // Encrypted packets may be cut by routers rather than vanish: the inner MTU is what the configuration says.
  set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
  // Beyond net.core.rmem_max, often 208 kB, for who may (CAP_NET_ADMIN); else what that allows.
  if (!set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, options.kernel_buffer))
    set_option(fd, SOL_SOCKET, SO_RCVBUF, options.kernel_buffer);
  if (!set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, options.kernel_buffer))
    set_option(fd, SOL_SOCKET, SO_SNDBUF, options.kernel_buffer);
  set_option(fd, SOL_UDP, UDP_GRO, 1);
  // An old kernel would not refuse the control message but send one huge datagram: ask for the option first.
  int segment = 0;
  socklen_t length = sizeof(segment);
  segments_ = ::getsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, &length) == 0;

  SocketAddress address(listen, family_);
  if (::bind(fd, &address.generic, address.size) != 0) {
    // IPv6 compiled in but switched off: :: cannot be bound.
    if (either && family_ == AF_INET6 && errno == EADDRNOTAVAIL) {
      UdpSocketOptions v4 = options;
      v4.listen.address = IpAddress::any(true);
      return bind(v4);
    }
    return Error::from_errno(errno, what);
  }
  for (Packet &buffer : incoming_->buffers) {
    if (!buffer) buffer = batches_.allocate(65536);
    if (!buffer) return Error{ENOBUFS, what + ": no buffers"};
  }
  return {};
}

Endpoint UdpSocket::local() const {
  return local_endpoint(descriptor_.get());
}

Result<void> UdpSocket::set_mark(uint32_t mark) {
  if (::setsockopt(descriptor_.get(), SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0) return {};
  return Error::from_errno(errno, "cannot mark the UDP socket's datagrams");
}

Result<void> UdpSocket::steer(std::span<const sock_filter> program) {
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size()),
                          .filter = const_cast<sock_filter *>(program.data())};
  if (::setsockopt(descriptor_.get(), SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof(filter)) == 0) return {};
  return Error::from_errno(errno, "cannot steer datagrams to their threads");
}

void UdpSocket::on_events(uint32_t events) {
  bool gone = false;
  destroyed_ = &gone;
  if ((events & (EPOLLOUT | EPOLLERR)) && blocked_) {
    blocked_ = false;
    flush();
    if (!blocked_) watch();
    if (queued() == 0) owner_.on_queue_empty();
    if (gone) return;
  }
  if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
    // What this brings goes through the gateway before more is fetched. Where the kernel joins nothing one call brings
    // little, and what a flood left in the socket lies before everybody else's.
    bool more = true;
    for (size_t calls = 0; more && calls < kReceiveCalls && received_.size() < kEnough; calls++) more = receive();
    if (more) watch();
    if (!received_.empty()) {
      owner_.on_datagrams(received_);
      if (gone) return;
      received_.clear();
    }
  }
  destroyed_ = nullptr;
}

// Tells again what is ready.
void UdpSocket::watch() {
  loop_.poller().rearm(descriptor_.get(), *this, blocked_ ? Interest::both : Interest::reading);
}

// True: there may be more.
bool UdpSocket::receive() {
  Incoming &in = *incoming_;
  for (size_t i = 0; i < kReceiveMessages; i++) {
    in.pieces[i] = {in.buffers[i].data(), 65536};
    msghdr &head = in.messages[i].msg_hdr;
    head = {};
    head.msg_name = &in.names[i].generic;
    head.msg_namelen = sizeof(sockaddr_in6);
    head.msg_iov = &in.pieces[i];
    head.msg_iovlen = 1;
    head.msg_control = in.controls[i].bytes;
    head.msg_controllen = sizeof(in.controls[i].bytes);
  }
  int count;
  do {
    count = calls_.receive_many(descriptor_.get(), in.messages.data(), kReceiveMessages, MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  // An error was pending on the socket (an ICMP message about something that we sent): reading took it off.
  if (count < 0) return errno != EAGAIN && errno != EBADF;
  counters_.receive_calls++;
  for (int i = 0; i < count; i++) {
    msghdr &head = in.messages[i].msg_hdr;
    size_t size = in.messages[i].msg_len;
    DatagramPath path;
    path.remote = in.names[i].endpoint();
    size_t segment = size;
    for (cmsghdr *control = CMSG_FIRSTHDR(&head); control; control = CMSG_NXTHDR(&head, control)) {
      if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        in6_pktinfo info;
        std::memcpy(&info, CMSG_DATA(control), sizeof(info));
        path.local = from_in6(info.ipi6_addr);
        path.interface = info.ipi6_ifindex;
      } else if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        std::memcpy(&info, CMSG_DATA(control), sizeof(info));
        path.local = from_in4(info.ipi_addr);
        path.interface = static_cast<uint32_t>(info.ipi_ifindex);
      } else if (control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_GRO) {
        int value;
        std::memcpy(&value, CMSG_DATA(control), sizeof(value));
        if (value > 0) segment = static_cast<size_t>(value);
      }
    }
    // The destination of a broadcast or multicast datagram cannot be the source of the answer.
    if (path.local.is_multicast() || path.local.is_broadcast()) path.local = IpAddress();
    if (head.msg_flags & MSG_TRUNC) {  // cannot be: a UDP payload is below 64 kB
      counters_.drop(DropReason::message_too_long);
      continue;
    }
    take(static_cast<size_t>(i), size, segment, path);
  }
  return count == static_cast<int>(kReceiveMessages);
}

// Takes apart what one message brought.
void UdpSocket::take(size_t slot, size_t size, size_t segment, const DatagramPath &path) {
  Packet &buffer = incoming_->buffers[slot];
  segment = std::max<size_t>(segment, 1);
  bool keep = size >= kCopyBelow || segment > singles_.capacity() - Packet::kHeadroom - Packet::kTailroom;
  if (keep) {
    // The slot needs another buffer; without one the datagrams are copied all the same.
    Packet fresh = batches_.allocate(65536);
    if (fresh) {
      std::swap(fresh, buffer);
      for (size_t offset = 0; offset < size || offset == 0; offset += segment) {
        size_t part = std::min(segment, size - offset);
        bool alone = part == size;
        Packet packet =
            carve(fresh, offset, part, alone ? fresh.headroom() : 0, alone ? fresh.tailroom() + (65536 - part) : 0);
        received_.push_back({std::move(packet), path});
        counters_.datagrams_received++;
      }
      return;
    }
  }
  for (size_t offset = 0; offset < size || offset == 0; offset += segment) {
    size_t part = std::min(segment, size - offset);
    counters_.datagrams_received++;
    if (part > singles_.capacity() - Packet::kHeadroom - Packet::kTailroom) {
      counters_.drop(DropReason::buffers_exhausted);
      continue;
    }
    Packet packet = singles_.allocate(part);
    if (!packet) {
      counters_.drop(DropReason::buffers_exhausted);
      continue;
    }
    std::memcpy(packet.data(), buffer.data() + offset, part);
    received_.push_back({std::move(packet), path});
  }
}

void UdpSocket::queue(Packet packet, const DatagramPath &path) {
  if (queued() >= queue_capacity_) flush();
  if (queued() >= queue_capacity_) {  // lesson: wg-udp-queue-bounded
    counters_.drop(DropReason::link_queue_full);
    return;
  }
  outgoing_.push_back({std::move(packet), path});
}

// How many datagrams from `first` on make one message.
size_t UdpSocket::run_length(size_t first) const {
  const Datagram &leader = outgoing_[first];
  size_t segment = leader.packet.size();
  if (!segments_ || segment == 0) return 1;
  size_t total = segment;
  size_t end = first + 1;
  while (end < outgoing_.size() && end - first < kMaxSegments) {
    const Datagram &next = outgoing_[end];
    size_t size = next.packet.size();
    if (size > segment || size == 0 || total + size > kMaxRun || !(next.path == leader.path)) break;
    total += size;
    end++;
    if (size < segment) break;  // lesson: wg-udp-mixed-sizes
  }
  return end - first;
}

// Fills in messages from head_ on, and says how many.
size_t UdpSocket::build(bool with_local) {
  Outgoing &out = *messages_;
  size_t at = head_;
  size_t pieces = 0;
  size_t count = 0;
  while (at < outgoing_.size() && count < kSendMessages) {
    size_t run = at - head_ < singly_ ? 1 : run_length(at);
    if (pieces + run > kSendPieces) break;
    const DatagramPath &path = outgoing_[at].path;
    size_t segment = outgoing_[at].packet.size();
    bool scoped = path.remote.address.is_link_local() && !path.remote.address.is_v4();
    out.names[count] = SocketAddress(path.remote, family_, scoped ? path.interface : 0);
    msghdr &head = out.messages[count].msg_hdr;
    head = {};
    head.msg_name = &out.names[count].generic;
    head.msg_namelen = out.names[count].size;
    head.msg_iov = &out.pieces[pieces];
    head.msg_iovlen = run;
    for (size_t i = 0; i < run; i++) {
      Packet &packet = outgoing_[at + i].packet;
      out.pieces[pieces++] = {packet.data(), packet.size()};
    }
    char *control = out.controls[count].bytes;
    size_t used = 0;
    bool sticky = with_local && !path.local.is_unspecified() && path.local.is_v4() == path.remote.address.is_v4();
    if (sticky && family_ == AF_INET6) {
      // The kernel takes this one for v4-mapped addresses, too. An interface only where the address needs it: routes
      // may change under a standing session.
      in6_pktinfo info{.ipi6_addr = to_in6(path.local), .ipi6_ifindex = scoped ? path.interface : 0};
      used += put_control(control + used, IPPROTO_IPV6, IPV6_PKTINFO, info);
    } else if (sticky) {
      in_pktinfo info{.ipi_ifindex = 0, .ipi_spec_dst = to_in4(path.local), .ipi_addr = {}};
      used += put_control(control + used, IPPROTO_IP, IP_PKTINFO, info);
    }
    if (run > 1) used += put_control(control + used, SOL_UDP, UDP_SEGMENT, static_cast<uint16_t>(segment));
    if (used) {
      head.msg_control = control;
      head.msg_controllen = used;
    }
    out.datagrams[count++] = run;
    at += run;
  }
  return count;
}

// The kernel stops at the first message that it refuses and says why only when asked again from there: then that
// message is the first one, and its error is looked at alone.
void UdpSocket::flush() {
  bool retried = false;    // the first message was tried again after its error
  bool with_local = true;  // for the first message
  while (queued() > 0 && !blocked_) {
    size_t count = build(with_local);
    if (!with_local) count = 1;
    int sent =
        calls_.send_many(descriptor_.get(), messages_->messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
    int error = sent < 0 ? errno : sent == 0 ? EAGAIN : 0;
    if (!error) {
      size_t datagrams = 0;
      for (int i = 0; i < sent; i++) datagrams += messages_->datagrams[i];  // lesson: wg-partial-sendmmsg
      counters_.send_calls++;
      counters_.datagrams_sent += datagrams;
      advance(datagrams);
      retried = false;
      with_local = true;
      continue;
    }
    size_t run = messages_->datagrams[0];
    if (error == EINTR) continue;
    if (error == EAGAIN) {
      blocked_ = true;
      watch();
      break;
    }
    if (with_local && !outgoing_[head_].path.local.is_unspecified() && is_source_error(error)) {
      with_local = false;  // lesson: host-source-address-vanished
      continue;
    }
    if (run > 1 && is_segment_error(error)) {  // lesson: wg-segment-fallback
      if (error == EIO || error == EOPNOTSUPP) segments_ = false;
      singly_ = run;
      with_local = true;
      continue;
    }
    // The error may be an earlier datagram's, of another destination: take it off the socket and try once more.
    if (!retried) {  // lesson: host-send-error-of-another
      retried = true;
      drain_errors();
      continue;
    }
    drop_first(run, error == EMSGSIZE ? DropReason::message_too_long : DropReason::link_send_failed);
    retried = false;
    with_local = true;
  }
  if (head_ == outgoing_.size()) {
    outgoing_.clear();
    head_ = 0;
  } else if (head_ > 0) {
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void UdpSocket::drop_first(size_t datagrams, DropReason reason) {
  for (size_t i = 0; i < datagrams; i++) counters_.drop(reason);
  advance(datagrams);
}

void UdpSocket::advance(size_t datagrams) {
  for (size_t i = 0; i < datagrams; i++) outgoing_[head_ + i].packet.reset();
  head_ += datagrams;
  singly_ -= std::min(singly_, datagrams);
}

void UdpSocket::drain_errors() {
  int error = 0;
  socklen_t length = sizeof(error);
  ::getsockopt(descriptor_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
}

}  // namespace slipgate
