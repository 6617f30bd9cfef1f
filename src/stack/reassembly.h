// Makes whole packets of fragments, both families (RFC 791 section 3.2, RFC 8200 section 4.5).
//
// Reassembly is where such programs die, so it does little: a datagram's bytes are copied to their place in one large
// buffer, and a map with one bit per eight bytes says what is there. Overlapping fragments spoil their datagram (RFC
// 5722, RFC 8900). What waits is bounded, per client and in all, and goes after a time; a client that floods displaces
// its own.
//
// Lives on one shard. Packets that it returns hold a buffer of the pool it was given, which outlives them.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/counters.h"
#include "base/packet.h"
#include "base/timer_wheel.h"
#include "wire/flow_key.h"

namespace slipgate {

struct ReassemblyLimits {
  size_t most_datagrams = 256;  // waiting to become whole, all clients: 64 KiB each
  size_t most_datagrams_per_client =
      32;  // one 60,000-byte datagram waits for microseconds; 32 is a lossy burst of them
};

class Reassembly {
 public:
  static constexpr Duration kTimeoutV4 = seconds(30);
  static constexpr Duration kTimeoutV6 = seconds(60);  // RFC 8200 section 4.5
  static constexpr Duration kCrowded = seconds(5);     // of a client with several waiting: it floods, or loses much
  // IP header and what may stand between it and the fragments' data.
  static constexpr size_t kMostHeaderBytes = 256;
  static constexpr size_t kMostPayloadBytes = 65535;
  // What the pool's buffers must hold. It should have room for limits.most_datagrams and as many as the caller keeps.
  static constexpr uint32_t kBufferBytes =
      Packet::kHeadroom + kMostHeaderBytes + kMostPayloadBytes + 8 + Packet::kTailroom;

  // `secret` keys the table.
  Reassembly(const ReassemblyLimits &limits, BufferPool &pool, TimerWheel &timers, Counters &counters,
             const uint64_t secret[2]);
  ~Reassembly();
  Reassembly(const Reassembly &) = delete;
  Reassembly &operator=(const Reassembly &) = delete;

  // Takes a fragment (parsed.fragment). The whole packet, parsed as if it had come in one piece, when this was the last
  // that it lacked; else nothing: it waits, or it was dropped and counted.
  std::optional<LinkPacket> add(LinkPacket &&fragment);

  // Told when a datagram whose first fragment came has waited too long, so that its sender may be told (RFC 792, RFC
  // 4443 section 3.3: time exceeded, code 1). `first` is that fragment from its IP header on, valid during the call.
  void on_timeout(std::function<void(const FlowKey &key, uint32_t client, Bytes first)> handler) {
    on_timeout_ = std::move(handler);
  }

  size_t waiting() const { return waiting_; }

 private:
  class Datagram;
  struct Key;

  Datagram *find(const Key &key, uint64_t hash) const;
  Datagram *open(const Key &key, uint64_t hash);  // null: no buffer
  void close(Datagram &datagram);
  void expire(Datagram &datagram);
  std::optional<DropReason> place(Datagram &datagram, const LinkPacket &fragment);
  std::optional<LinkPacket> finish(Datagram &datagram);
  void spoil(Datagram &datagram);

  const ReassemblyLimits limits_;
  BufferPool &pool_;
  TimerWheel &timers_;
  Counters &counters_;
  const uint64_t secret_[2];
  std::function<void(const FlowKey &, uint32_t, Bytes)> on_timeout_;

  static constexpr size_t kBuckets = 256;
  std::array<Datagram *, kBuckets> by_key_{};  // chains
  Datagram *oldest_ = nullptr;                 // in order of their opening
  Datagram *newest_ = nullptr;
  std::vector<std::unique_ptr<Datagram>> made_;  // as many as ever waited at one time
  Datagram *free_ = nullptr;
  size_t waiting_ = 0;
};

}  // namespace slipgate
