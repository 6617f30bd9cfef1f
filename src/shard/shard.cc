#include "shard/shard.h"

#include <utility>
#include <variant>

namespace slipgate {

namespace {

constexpr int kStackRank = 1;

}  // namespace

Shard::Shard(Loop &loop, const StackConfig &config, StackEvents &events)
    : loop_(loop),
      transmit_pool_(config.mtu + Packet::kHeadroom + Packet::kTailroom, kMostTransmitBuffers, kKeptTransmitBuffers),
      stack_(config, loop.timers(), *this, events, counters_) {
  batch_.reserve(kBatch);
  stack_.on_pending([this] { loop_.at_turn_end(*this, kStackRank); });
}

Shard::~Shard() { loop_.forget(*this); }

uint16_t Shard::attach(Link &link) {
  links_.push_back(&link);
  return static_cast<uint16_t>(links_.size() - 1);
}

void Shard::from_link(std::span<Packet> packets) {
  batch_.clear();
  for (Packet &packet : packets) {
    counters_.packets_from_link++;
    counters_.bytes_from_link += packet.size();
    std::variant<ParsedPacket, DropReason> parsed = parse_packet(packet.bytes());
    if (DropReason *reason = std::get_if<DropReason>(&parsed)) {
      counters_.drop(*reason);
      continue;
    }
    ParsedPacket &found = *std::get_if<ParsedPacket>(&parsed);
    found.key.link = packet.link;
    batch_.push_back({std::move(packet), found});
  }
  if (batch_.empty()) return;
  stack_.input(batch_);
  batch_.clear();
  loop_.at_turn_end(*this, kStackRank);
}

void Shard::on_turn_end() { stack_.flush(); }

Packet Shard::allocate(size_t size) { return transmit_pool_.allocate(size); }

void Shard::output(std::span<Packet> packets) {
  // Runs of one link go on as one batch.
  while (!packets.empty()) {
    uint16_t link = packets[0].link;
    size_t run = 0;
    while (run < packets.size() && packets[run].link == link) {
      counters_.packets_to_link++;
      counters_.bytes_to_link += packets[run].size();
      run++;
    }
    links_[link]->send(packets.first(run));
    packets = packets.subspan(run);
  }
}

}  // namespace slipgate
