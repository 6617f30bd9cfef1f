#include "gateway/peer_names.h"

namespace slipgate {

namespace {

const dns::Name kInternal = *dns::Name::parse("internal");

}  // namespace

std::string domain_of(const GatewayOptions &options) {
  if (!options.resolving.domain.empty()) return options.resolving.domain;
  std::optional<dns::Name> domain = dns::name_below(options.name, kInternal);
  return domain ? domain->to_string() : "";
}

std::vector<dns::NamedHost> named_hosts(const std::vector<IpAddress> &own,
                                        const std::vector<wireguard::PeerStatus> &peers) {
  std::vector<dns::NamedHost> hosts{{"", own}};
  for (const wireguard::PeerStatus &peer : peers) {
    if (peer.config.name.empty()) continue;
    dns::NamedHost &host = hosts.emplace_back();
    host.name = peer.config.name;
    for (const IpPrefix &prefix : peer.config.allowed_ips) {
      if (prefix.length == prefix.address.family_bits()) host.addresses.push_back(prefix.address);
    }
  }
  return hosts;
}

}  // namespace slipgate
