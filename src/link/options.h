// What a WireGuard link is made from: values only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "wireguard/device.h"

namespace slipgate {

// Which of a gateway's shards a link is of.
struct ShardPlace {
  uint32_t number = 0;
  uint32_t count = 1;
};

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
  ShardPlace place;
};

// GUE and FOU: IP packets in UDP datagrams, of one peer.
struct GueLinkOptions {
  enum class Encapsulation : uint8_t {
    as_peer,  // as the peer's own packets of the same family came; without a header until the first
    gue,      // GUE's header before each packet
    fou,      // IP packets and nothing else, both ways
  };
  enum class Accept : uint8_t {
    endpoint,  // the peer's address and port
    address,   // its address: senders that choose source ports by flow
    anyone,
  };

  Endpoint listen;
  // Where the peer is. None, and no name either: whoever sent last, to whom `accept` means nothing.
  std::optional<Endpoint> peer;
  std::string peer_name;  // while the name waits to be resolved `peer` is unset
  uint16_t peer_port = 0;
  Accept accept = Accept::endpoint;
  Encapsulation encapsulation = Encapsulation::as_peer;
  // Inside addresses that are the peer's; packets from others are dropped. None: any, and no other client's packets are
  // meant for it.
  std::vector<IpPrefix> allowed_ips;
  uint16_t keepalive = 0;                 // seconds between empty datagrams; 0: none
  size_t transmit_queue_capacity = 1024;  // packets

  bool has_fixed_peer() const { return peer || !peer_name.empty(); }
  bool operator==(const GueLinkOptions &) const = default;
};

// An interface's own address, with the length of the network that it is in.
struct TunAddress {
  IpAddress address;
  uint8_t length = 0;
};

// A WireGuard interface over a TUN device.
struct TunOptions {
  enum class Table { automatic, off, numbered };  // wg-quick's `Table`: which routing table gets the AllowedIPs

  std::string interface;
  WireGuardLinkOptions wireguard;
  std::vector<TunAddress> addresses;
  Table table = Table::automatic;
  uint32_t table_number = 0;
  std::optional<uint32_t> mark;  // SO_MARK of the UDP socket
};

}  // namespace slipgate
