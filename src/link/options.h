// What a WireGuard link is made from: values only.
#pragma once

#include <string>
#include <vector>

#include "base/address.h"
#include "wireguard/device.h"

namespace slipgate {

struct WireGuardPeerOptions {
  wireguard::PeerConfig config;  // endpoint unset while `endpoint_name` waits to be resolved
  std::string endpoint_name;     // "HOST" of `Endpoint = HOST:PORT` when it is not a literal
  uint16_t endpoint_port = 0;
};

struct WireGuardLinkOptions {
  wireguard::Key private_key;
  // Where the UDP socket binds; both families when the address is :: (the default). Port 0: the kernel's choice.
  Endpoint listen;
  std::vector<WireGuardPeerOptions> peers;
  uint16_t mtu = 1420;                    // of inside packets; padding stays within it
  size_t transmit_queue_capacity = 1024;  // packets
};

}  // namespace slipgate
