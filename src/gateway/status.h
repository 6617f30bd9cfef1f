// What a running gateway tells about itself: values only.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/time.h"
#include "flow/options.h"
#include "link/gue_link.h"
#include "wire/flow_key.h"
#include "wireguard/device.h"

namespace slipgate {

struct FlowStatus {
  FlowKey key;         // the inside
  std::string host;    // the other side: what was dialled, "203.0.113.2:80", or who serves it, "dns"
  std::string client;  // name of the peer
  std::string link;    // that it came by
  std::string state;
  uint64_t bytes_up = 0, bytes_down = 0;
  Time opened, last_active;
};

struct ForwardStatus {
  size_t number = 0;
  Forward forward;
  Endpoint local;       // where it listens, with the port that it really has
  std::string problem;  // why it does not at the moment; empty: it does
};

// How fast a peer may send and receive, bytes a second; 0: no limit.
struct PeerRate {
  uint64_t up = 0, down = 0;
};

struct LinkStatus {
  std::string name;
  Endpoint listen;  // with the port that its socket really has
  wireguard::PublicKey public_key{};
  std::optional<GuePeerStatus> gue;  // of a link of GUE, which has no key and no peers
  std::vector<wireguard::PeerStatus> peers;
  Counters counters;                               // what its packets and datagrams were
  std::map<wireguard::PublicKey, PeerRate> rates;  // of those that have a limit; GUE's peer has a key of zeros
};

enum class SandboxState { off, partial, on };

constexpr std::string_view name_of(SandboxState state) {
  constexpr std::string_view kNames[] = {"off", "partial", "on"};
  return kNames[static_cast<size_t>(state)];
}

// Of the process, whoever may have put it there.
struct SandboxStatus {
  SandboxState state = SandboxState::off;
  std::string reason;          // why it is not wholly on
  uint64_t refused_calls = 0;  // system calls
};

struct GatewayStatus {
  std::string name;
  std::vector<LinkStatus> links;
  Time started;
  size_t threads = 1;
  size_t flows = 0, flows_limit = 0, connections = 0;
  bool ping_sockets = true;
  std::vector<std::string> egress;  // its rules, as they were written, without users and passwords
  SandboxStatus sandbox;
  Counters counters;  // of links and all that is behind them

  size_t peers() const {
    size_t sum = 0;
    for (const LinkStatus &link : links) sum += link.peers.size();
    return sum;
  }
};

}  // namespace slipgate
