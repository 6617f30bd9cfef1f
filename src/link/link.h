// A link turns something outside into IP packets, and back: WireGuard datagrams, GUE, a namespace's TUN, Ethernet
// frames.
//
// Lives on one shard. Packets move in batches; whoever is given a batch takes the packets out of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/packet.h"

namespace slipgate {

class LinkEvents {
 public:
  // Inside packets that came from outside, `client` and `link` set.
  virtual void from_link(std::span<Packet> packets) = 0;

 protected:
  ~LinkEvents() = default;
};

// Which of a shard's links one is. Clients are numbered over all of them: the n-th of a link, counted from 0, is
// number + 1 + n * count.
struct LinkPlace {
  uint16_t number = 0;
  uint16_t count = 1;

  uint32_t first_client() const { return number + 1u; }
};

class Link {
 public:
  virtual ~Link() = default;

  // Packets for clients of this link, from the IP header on, with Packet::kHeadroom and kTailroom round them. They
  // leave at the end of the turn.
  virtual void send(std::span<Packet> packets) = 0;
  // A client's name for logs and status ("alice", "peer bm9u…").
  virtual std::string client_name(uint32_t client) const = 0;
};

}  // namespace slipgate
