// Everything a gateway is made from: what the command line, the wg-quick file and (later) the TOML file fill in.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/log.h"
#include "dns/options.h"
#include "flow/options.h"
#include "link/options.h"
#include "stack/options.h"

namespace slipgate {

// Where something listens on the host: an address, or a Unix socket's path.
struct ListenAddress {
  std::optional<Endpoint> endpoint;
  std::string path;
};

// A receiver index's lowest byte says which thread has the peer.
inline constexpr uint32_t kMostThreads = 256;

// One way in.
struct LinkOptions {
  std::string name = "wireguard";  // in logs, status, metrics and captures
  std::variant<WireGuardLinkOptions, GueLinkOptions> outside;
  std::vector<IpPrefix> addresses;  // own inside addresses of the gateway ([Interface] Address)
  uint16_t mtu = 1420;
  size_t transmit_queue_capacity = 1024;  // packets
  std::string interface;                  // WireGuard's userspace API is served under this name; empty: it is not

  WireGuardLinkOptions *wireguard() { return std::get_if<WireGuardLinkOptions>(&outside); }
  const WireGuardLinkOptions *wireguard() const { return std::get_if<WireGuardLinkOptions>(&outside); }
  GueLinkOptions *gue() { return std::get_if<GueLinkOptions>(&outside); }  // one thread serves it
  const GueLinkOptions *gue() const { return std::get_if<GueLinkOptions>(&outside); }
};

// Every thread has its own view of each of them.
inline constexpr size_t kMostLinks = 256;

struct GatewayOptions {
  std::string name = "wireguard";      // control socket, logs, metrics label
  std::vector<LinkOptions> links{{}};  // at least one
  std::vector<Endpoint> dns;        // the built-in DNS answers here; empty: first own address of each family, port 53
  dns::Options resolving;           // whom it asks, and the domain of peers' names (empty: NAME.internal)
  std::vector<IpAddress> pingable;  // we answer echo here; empty: the own inside addresses
  PolicyOptions policy;
  EgressOptions egress;
  std::vector<Forward> forwards;
  FlowLimits limits;
  std::vector<RateRule> rates;  // a later one wins over an earlier one
  std::optional<IpAddress> source_ipv4, source_ipv6;
  size_t tcp_buffer_size = 4 << 20;
  Congestion congestion = Congestion::bbr;
  uint32_t threads = 0;  // 0: as many as there are processors; at most kMostThreads

  std::string config_file;               // reread on reload; empty: none
  std::string control_path;              // empty: $XDG_RUNTIME_DIR/slipgate/NAME.sock when that folder exists
  std::string pcap;                      // every inside packet is written to this file; empty: none is
  std::optional<ListenAddress> metrics;  // HTTP: metrics, health, the status page
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
  std::optional<int> ready_fd;
  bool sandbox = true;  // after the start, only what is needed for serving
};

}  // namespace slipgate
