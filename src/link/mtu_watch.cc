#include "link/mtu_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace slipgate {

std::unique_ptr<MtuWatch> MtuWatch::open(Loop &loop, const std::string &interface,
                                         std::function<void(uint32_t)> on_change) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  Fd watch(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK;
  if (index == 0 || !watch || ::bind(watch.get(), reinterpret_cast<const sockaddr *>(&address), sizeof(address)) != 0) {
    return nullptr;
  }
  std::unique_ptr<MtuWatch> made(new MtuWatch(loop, static_cast<int>(index), std::move(watch), std::move(on_change)));
  if (!loop.poller().add(made->watch_.get(), *made, Interest::reading)) return nullptr;
  return made;
}

MtuWatch::MtuWatch(Loop &loop, int index, Fd watch, std::function<void(uint32_t)> on_change)
    : loop_(loop), index_(index), watch_(std::move(watch)), on_change_(std::move(on_change)) {}

MtuWatch::~MtuWatch() {
  loop_.poller().remove(watch_.get(), *this);
}

void MtuWatch::on_events(uint32_t) {
  alignas(nlmsghdr) std::array<uint8_t, 32768> buffer;
  uint32_t mtu = 0;
  while (true) {
    const ssize_t size = ::recv(watch_.get(), buffer.data(), buffer.size(), 0);
    // ENOBUFS: some were lost; what comes next says the newest.
    if (size < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (size <= 0) break;
    auto left = static_cast<uint32_t>(size);
    for (auto *message = reinterpret_cast<nlmsghdr *>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      const auto *info = static_cast<const ifinfomsg *>(NLMSG_DATA(message));
      if (message->nlmsg_type != RTM_NEWLINK || message->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) ||
          info->ifi_index != index_) {
        continue;
      }
      int rest = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof(*info)));
      for (const rtattr *each = IFLA_RTA(info); RTA_OK(each, rest); each = RTA_NEXT(each, rest)) {
        if (each->rta_type == IFLA_MTU && RTA_PAYLOAD(each) == sizeof(mtu)) {
          std::memcpy(&mtu, RTA_DATA(each), sizeof(mtu));
        }
      }
    }
  }
  if (mtu) on_change_(mtu);
}

}  // namespace slipgate
