// What one shard counts. Written by that shard alone; readers of other threads get a copy by mailbox.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "base/drop_reason.h"

namespace slipgate {

struct Counters {
  std::array<uint64_t, kDropReasons> drops{};

  uint64_t packets_from_link = 0, bytes_from_link = 0;  // inside packets, after decryption
  uint64_t packets_to_link = 0, bytes_to_link = 0;
  uint64_t datagrams_received = 0, receive_calls = 0;  // on the link's socket
  uint64_t datagrams_sent = 0, send_calls = 0;
  uint64_t handshakes = 0;
  uint64_t messages = 0;                               // packets and handshakes passed to other shards
  uint64_t tcp_segments = 0, tcp_segments_merged = 0;  // from inside; merged: handled with the one before
  uint64_t tcp_bytes_resent = 0;                       // towards inside, by recovery or time-out
  uint64_t tcp_flows_opened = 0, udp_flows_opened = 0, echo_flows_opened = 0;
  uint64_t dns_queries = 0;

  // Counts, and returns the reason: `return counters.drop(DropReason::bad_checksum);`
  DropReason drop(DropReason reason) {
    drops[static_cast<size_t>(reason)]++;
    return reason;
  }
  uint64_t dropped(DropReason reason) const { return drops[static_cast<size_t>(reason)]; }

  // For a sum over shards.
  Counters &operator+=(const Counters &other);
};

inline Counters &Counters::operator+=(const Counters &other) {
  using Words = std::array<uint64_t, sizeof(Counters) / sizeof(uint64_t)>;
  Words sum = std::bit_cast<Words>(*this);
  const Words more = std::bit_cast<Words>(other);
  for (size_t i = 0; i < sum.size(); i++) sum[i] += more[i];
  return *this = std::bit_cast<Counters>(sum);
}

}  // namespace slipgate
