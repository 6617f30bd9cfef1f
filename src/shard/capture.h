// Every inside packet of one shard as pcapng records, with its link, flow and verdict as a comment: what `--pcap` asks
// for. The one place that captures.
//
// Lives on one shard. Records gather during a turn and go to the sink at its end; what the sink does not take is lost
// and counted, packets never wait for a disk.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/counters.h"
#include "base/packet.h"
#include "io/loop.h"
#include "wire/flow_key.h"
#include "wire/pcapng.h"

namespace slipgate {

class Capture final : public TurnEnd {
 public:
  // Takes whole records, from any thread's shard; false: there is no room for them.
  using Sink = std::function<bool(std::vector<uint8_t> records)>;
  // A client's name on a link.
  using ClientName = std::function<std::string(uint16_t link, uint32_t client)>;

  // More in one turn is lost: a turn's worth of packets is less.
  static constexpr size_t kMostBytes = 8 << 20;

  Capture(Loop &loop, const Counters &counters, ClientName client_name, Sink sink);
  ~Capture();

  // A packet from a link, and what becomes of it now: "stack", "forwarded", or the name of a DropReason.
  void from_link(const Packet &packet, std::string_view verdict);
  // A packet to a link. A reply that refuses says why: what was counted as dropped since the last one.
  void to_link(const Packet &packet);

  void on_turn_end() override;

 private:
  void add(const Packet &packet, pcapng::Direction direction, const std::string &comment);
  std::string new_drops();

  Loop &loop_;
  const Counters &counters_;
  const ClientName client_name_;
  const Sink sink_;
  std::vector<uint8_t> records_;
  size_t gathered_ = 0;  // packets in records_
  uint64_t lost_ = 0;    // that the next record tells of
  uint64_t told_ = 0;    // that records gathered now tell of
  std::array<uint64_t, kDropReasons> known_drops_;
};

}  // namespace slipgate
