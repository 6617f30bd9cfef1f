#include "host/host_addresses.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/socket_address.h"

namespace slipgate {

namespace {

Fd open_netlink(uint32_t groups, int flags) {
  Fd descriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE));
  if (!descriptor) return {};
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(descriptor.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0) return {};
  return descriptor;
}

// The addresses in one RTM_NEWADDR message.
void read_address(const nlmsghdr *message, std::vector<InterfaceAddress> &to) {
  const auto *info = static_cast<const ifaddrmsg *>(NLMSG_DATA(message));
  if (message->nlmsg_len < NLMSG_LENGTH(sizeof(ifaddrmsg))) return;
  int left = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof(ifaddrmsg)));
  std::optional<IpAddress> address, local;
  for (const rtattr *attribute = IFA_RTA(info); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != IFA_ADDRESS && attribute->rta_type != IFA_LOCAL) continue;
    Bytes bytes(static_cast<const uint8_t *>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute));
    IpAddress value;
    if (info->ifa_family == AF_INET && bytes.size() == 4) {
      value = IpAddress::from_v4(bytes);
    } else if (info->ifa_family == AF_INET6 && bytes.size() == 16) {
      value = IpAddress::from_v6(bytes);
    } else {
      continue;
    }
    (attribute->rta_type == IFA_LOCAL ? local : address) = value;
  }
  // On a point-to-point interface IFA_ADDRESS is the other end.
  if (local) {
    to.push_back({*local, info->ifa_prefixlen});
  } else if (address) {
    to.push_back({*address, info->ifa_prefixlen});
  }
}

bool in(const IpAddress &address, const char *prefix) {
  return IpPrefix::parse(prefix)->contains(address);
}

}  // namespace

Result<std::vector<InterfaceAddress>> list_host_addresses() {
  const char *what = "cannot read the host's addresses";
  Fd descriptor = open_netlink(0, 0);
  if (!descriptor) return Error::from_errno(errno, what);
  // The kernel answers at once; the timeout is for a kernel that does not.
  timeval timeout{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(descriptor.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  struct {
    nlmsghdr head;
    ifaddrmsg body;
  } request{};
  request.head.nlmsg_len = sizeof(request);
  request.head.nlmsg_type = RTM_GETADDR;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.ifa_family = AF_UNSPEC;
  if (::send(descriptor.get(), &request, sizeof(request), 0) < 0) return Error::from_errno(errno, what);
  std::vector<InterfaceAddress> addresses;
  auto buffer = std::make_unique<std::array<uint8_t, 65536>>();
  for (;;) {
    ssize_t size = ::recv(descriptor.get(), buffer->data(), buffer->size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return Error::from_errno(size < 0 ? errno : EPROTO, what);
    auto left = static_cast<uint32_t>(size);
    for (auto *message = reinterpret_cast<nlmsghdr *>(buffer->data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) {
        std::sort(addresses.begin(), addresses.end());
        addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
        return addresses;
      }
      if (message->nlmsg_type == NLMSG_ERROR) {
        const auto *error = static_cast<const nlmsgerr *>(NLMSG_DATA(message));
        return Error::from_errno(-error->error, what);
      }
      if (message->nlmsg_type == RTM_NEWADDR) read_address(message, addresses);
    }
  }
}

Result<std::unique_ptr<HostAddresses>> HostAddresses::open(Loop &loop, std::function<void()> on_change) {
  // Watching begins before reading: what changes between is read twice, not missed.
  Fd watch = open_netlink(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, SOCK_NONBLOCK);
  if (!watch) return Error::from_errno(errno, "cannot watch the host's addresses");
  std::unique_ptr<HostAddresses> result(new HostAddresses(loop, std::move(watch), std::move(on_change)));
  if (Result<void> watched = loop.poller().add(result->watch_.get(), *result, Interest::reading); !watched)
    return watched.error();
  Result<std::vector<InterfaceAddress>> addresses = list_host_addresses();
  if (!addresses) return addresses.error();
  result->addresses_ = std::move(*addresses);
  return result;
}

HostAddresses::HostAddresses(Loop &loop, Fd watch, std::function<void()> on_change)
    : loop_(loop), watch_(std::move(watch)), on_change_(std::move(on_change)) {}

HostAddresses::~HostAddresses() {
  loop_.poller().remove(watch_.get(), *this);
  loop_.forget(*this);
}

bool HostAddresses::contains(const IpAddress &address) const {
  auto found = std::lower_bound(addresses_.begin(), addresses_.end(), InterfaceAddress{address, 0});
  return found != addresses_.end() && found->address == address;
}

bool HostAddresses::has_ipv6() const {
  return std::any_of(addresses_.begin(), addresses_.end(), [](const InterfaceAddress &entry) {
    const IpAddress &address = entry.address;
    return !address.is_v4() && !address.is_loopback() && !address.is_link_local();
  });
}

void HostAddresses::on_events(uint32_t) {
  // What the messages say does not matter, nor whether some were lost (ENOBUFS): all is read again, once per turn.
  uint8_t buffer[4096];
  while (::recv(watch_.get(), buffer, sizeof(buffer), MSG_DONTWAIT) > 0 || errno == ENOBUFS || errno == EINTR) {
  }
  loop_.at_turn_end(*this, 0);
}

void HostAddresses::on_turn_end() {
  Result<std::vector<InterfaceAddress>> addresses = list_host_addresses();
  if (!addresses || *addresses == addresses_) return;
  addresses_ = std::move(*addresses);
  if (on_change_) on_change_();
}

std::optional<IpAddress> outgoing_address(bool v4) {
  int family = v4 ? AF_INET : AF_INET6;
  Fd descriptor(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!descriptor) return std::nullopt;
  // Any address that is routed by default will do; connect() of a datagram socket only looks the route up.
  SocketAddress anywhere(Endpoint{*IpAddress::parse(v4 ? "8.8.8.8" : "2001:4860:4860::8888"), 53}, family);
  if (::connect(descriptor.get(), &anywhere.generic, anywhere.size) != 0) return std::nullopt;
  return local_endpoint(descriptor.get()).address;
}

bool is_public(const IpAddress &address) {
  if (address.is_loopback() || address.is_link_local() || address.is_multicast() || address.is_unspecified())
    return false;
  if (address.is_v4()) {
    for (const char *prefix :
         {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16",
          "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"}) {
      if (in(address, prefix)) return false;
    }
    return true;
  }
  return in(address, "2000::/3") && !in(address, "2001:db8::/32");
}

std::optional<IpAddress> best_host_address() {
  std::optional<IpAddress> v4 = outgoing_address(true);
  std::optional<IpAddress> v6 = outgoing_address(false);
  if (v4 && is_public(*v4)) return v4;
  if (v6 && is_public(*v6)) return v6;
  return v4 ? v4 : v6;
}

}  // namespace slipgate
