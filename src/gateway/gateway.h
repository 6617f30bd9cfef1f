// A gateway: links, shard, policy and services, put together. Everything it needs comes in by its constructor; several
// may live in one process.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "gateway/options.h"
#include "io/loop.h"
#include "link/wireguard_control.h"
#include "wireguard/device.h"

namespace slipgate {

struct FlowStatus {
  FlowKey key;         // the inside
  std::string host;    // the other side: what was dialled, "203.0.113.2:80", or who serves it, "dns"
  std::string client;  // name of the peer
  std::string state;
  uint64_t bytes_up = 0, bytes_down = 0;
  Time opened, last_active;
};

struct GatewayStatus {
  std::string name;
  Endpoint listen;  // of the WireGuard socket, with the port it really has
  wireguard::PublicKey public_key{};
  Time started;
  size_t flows = 0, flows_limit = 0, connections = 0;
  bool ping_sockets = true;
  std::vector<wireguard::PeerStatus> peers;
  Counters counters;
};

class Gateway {
 public:
  // Opens the link's socket and the forwards' listeners; serving starts with the loop's next turn. The error says which
  // of them failed and why.
  static Result<std::unique_ptr<Gateway>> open(Loop &loop, const GatewayOptions &options);
  ~Gateway();

  // Takes over what differs from the options in force: peers, policy, forwards. Standing flows and sessions stay. What
  // can only change with a restart (the port, addresses, MTU) is named in `unchanged`.
  Result<void> reload(const GatewayOptions &options, std::vector<std::string> &unchanged);

  // No new flows from now on; `drained` is called when the last one ended, or after `most`.
  void drain(Duration most, std::function<void()> drained);

  GatewayStatus status() const;
  std::vector<FlowStatus> flows() const;
  // For WireGuard's userspace API. What it changes lasts until the next reload.
  WireGuardControl &wireguard();
  // A handshake was completed: with which peer, by name.
  std::function<void(std::string peer, const DatagramPath &path)> on_handshake;

  class Impl;

 private:
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipgate
