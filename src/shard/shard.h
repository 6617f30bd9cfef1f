// The one place that packets pass, in and out: count, look once (parse), hand on. One thread's links on one side, its
// stack on the other.
//
// Lives on one shard. Links are attached before the first packet and outlive it.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/counters.h"
#include "base/packet.h"
#include "io/loop.h"
#include "link/link.h"
#include "shard/capture.h"
#include "stack/stack.h"

namespace slipgate {

// Who knows which packets go straight from one client to another.
class Neighbours {
 public:
  // The link of the other client whose address key.outside is, when `client` may talk to it; none: the stack's
  // business.
  virtual std::optional<uint16_t> neighbour_link(const FlowKey &key, uint32_t client) const = 0;
  // Who says that a packet between clients has passed too many hops.
  virtual IpAddress hop_address(bool v4) const = 0;

 protected:
  ~Neighbours() = default;
};

// Who limits how fast clients may send.
class PacketLimits {
 public:
  // Whether the packet may pass, which the client sends and nothing can hold back: to a stream that can, it is not
  // asked.
  virtual bool admits(const FlowKey &key, uint32_t client, size_t bytes) = 0;

 protected:
  ~PacketLimits() = default;
};

class Shard final : public LinkEvents, public StackOutput, public TurnEnd {
 public:
  // Inside packets that one turn hands to the stack at once: a full UDP_GRO receive of eight buffers.
  static constexpr size_t kBatch = 512;
  // Packets that the stack may have waiting to leave: 25 MB at 1,500 bytes. Links empty their queues every turn.
  static constexpr size_t kMostTransmitBuffers = 16384;
  static constexpr size_t kKeptTransmitBuffers = 1024;

  Shard(Loop &loop, const StackConfig &config, StackEvents &events, const Neighbours *neighbours = nullptr);
  ~Shard();

  // The number by which packets name this link from now on (Packet::link). Its inside packets are counted in
  // `counters`, or with all that the shard counts.
  uint16_t attach(Link &link, Counters *counters = nullptr);

  // From now on every packet is captured. Links are attached.
  void capture_to(Capture::Sink sink);

  // From now on packets need leave; null: they do not.
  void limit_by(PacketLimits *limits) { limits_ = limits; }

  // 5 -> 6 of the packet's way: packets that a link brought, on to the stack.
  void from_link(std::span<Packet> packets) override;
  // 13 -> 14: packets that the stack made, on to their links.
  void output(std::span<Packet> packets) override;
  Packet allocate(size_t size) override;

  // The stack acknowledges and sends at the end of the turn, before the links transmit.
  void on_turn_end() override;

  // Whether more than one client was heard in the last moments: then nobody should make a turn long.
  bool crowded() const { return loop_.now() < crowded_until_; }

  Stack &stack() { return stack_; }
  Counters &counters() { return counters_; }
  Link &link(uint16_t number) { return *links_[number].link; }

 private:
  struct Attached {
    Link *link;
    Counters *counters;
  };

  // One hop further: to the other client's link, or its TTL has run out, or it is too large for that link.
  void forward(LinkPacket &&packet, uint16_t link);
  void refuse(const LinkPacket &packet, DropReason reason, uint8_t type, uint8_t code, uint32_t mtu);

  static constexpr Duration kCrowd = milliseconds(50);

  Loop &loop_;
  uint32_t last_client_ = 0;  // who was heard
  Time crowded_until_ = Time::min();
  const Neighbours *neighbours_;
  PacketLimits *limits_ = nullptr;
  Counters counters_;
  BufferPool transmit_pool_;
  std::vector<Attached> links_;  // by number
  std::vector<LinkPacket> batch_;
  std::unique_ptr<Capture> capture_;  // null: off
  Stack stack_;
};

}  // namespace slipgate
