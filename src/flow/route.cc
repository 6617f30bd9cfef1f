#include "flow/route.h"

#include <algorithm>
#include <utility>

namespace slipgate {
namespace {

template <typename T>
bool contains(const std::vector<T> &values, const T &value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

Router::Router(RouteOptions options, const Policy &policy, const Egress &egress, IsPeer is_peer)
    : options_(std::move(options)), policy_(policy), egress_(egress), is_peer_(std::move(is_peer)) {}

void Router::set_forward(size_t index, const ForwardPtr &forward) {
  if (index >= options_.forwards.size()) options_.forwards.resize(index + 1);
  options_.forwards[index] = forward ? *forward : Forward{};  // one of direction local: nothing listens inside
}

void Router::set_services(std::vector<Endpoint> dns, std::vector<IpAddress> pingable) {
  options_.dns = std::move(dns);
  options_.pingable = std::move(pingable);
}

IpAddress Router::hop_address(bool v4) const {
  for (const IpAddress &own : options_.own) {
    if (own.is_v4() == v4) return own;
  }
  return {};
}

bool Router::is_own(const IpAddress &address) const {
  return contains(options_.own, address);
}

bool Router::listens(const Forward &forward, const FlowKey &key) const {
  const Protocol protocol = forward.is_tcp() ? Protocol::tcp : Protocol::udp;
  if (forward.direction != Forward::Direction::remote || protocol != key.protocol) return false;
  if (forward.listen.port != key.outside.port) return false;
  if (forward.listen.address == key.outside.address) return true;
  bool same_family = forward.listen.address.is_v4() == key.outside.address.is_v4();
  return forward.listen.address.is_unspecified() && same_family && is_own(key.outside.address);
}

Target Router::route(const FlowKey &key, uint32_t client) const {
  const IpAddress &address = key.outside.address;
  bool echo = key.protocol == Protocol::icmp || key.protocol == Protocol::icmpv6;
  if (echo) {
    if (contains(options_.pingable, address)) return target::Echo{};
  } else {
    for (size_t i = 0; i < options_.forwards.size(); i++) {
      if (listens(options_.forwards[i], key)) return target::RemoteForward{i};
    }
    if (contains(options_.dns, key.outside)) return target::Dns{};
  }
  if (is_own(address)) return target::Refused{DropReason::no_service};  // lesson: own-address-never-dialled
  if (!policy_.check(key).allowed) return target::Refused{DropReason::denied_by_policy};
  if (is_peer_ && is_peer_(address, client)) return target::Peer{key.outside};
  return outwards(key);
}

Target Router::outwards(const FlowKey &key) const {
  Egress::Way way = egress_.choose(key);
  const bool tcp = key.protocol == Protocol::tcp, udp = key.protocol == Protocol::udp;
  if (!way.proxy) {
    if (tcp) return target::HostTcp{key.outside};
    if (udp) return target::HostUdp{key.outside};
    return target::HostEcho{key.outside.address};
  }
  const bool http = way.proxy->kind == Proxy::Kind::http;
  if (tcp && http) return target::HttpTcp{key.outside, std::move(way.proxy)};
  if (tcp) return target::Socks5Tcp{key.outside, std::move(way.proxy)};
  if (!udp) return target::Refused{DropReason::egress_no_echo};
  if (http) return target::Refused{DropReason::egress_no_udp};
  return target::Socks5Udp{key.outside, std::move(way.proxy), way.number};
}

}  // namespace slipgate
