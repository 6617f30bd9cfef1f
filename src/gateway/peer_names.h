// What the DNS of a gateway calls its peers.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "dns/local_names.h"
#include "gateway/options.h"
#include "wireguard/device.h"

namespace slipgate {

// The domain of peers' names: --domain, else NAME.internal (a domain that the world keeps free for such use). Empty
// when the gateway's name cannot be a name there.
std::string domain_of(const GatewayOptions &options);

// The gateway itself, and every peer that has a name: by those AllowedIPs that are single addresses.
std::vector<dns::NamedHost> named_hosts(const std::vector<IpAddress> &own,
                                        const std::vector<wireguard::PeerStatus> &peers);

}  // namespace slipgate
