#include "shard/shard.h"

#include <utility>
#include <variant>

#include "wire/icmp.h"
#include "wire/ip.h"

namespace slipgate {

namespace {

constexpr int kStackRank = 1;

}  // namespace

Shard::Shard(Loop &loop, const StackConfig &config, StackEvents &events, const Neighbours *neighbours)
    : loop_(loop),
      neighbours_(neighbours),
      transmit_pool_(config.mtu + Packet::kHeadroom + Packet::kTailroom, kMostTransmitBuffers, kKeptTransmitBuffers),
      stack_(config, loop.timers(), *this, events, counters_) {
  batch_.reserve(kBatch);
  stack_.on_pending([this] { loop_.at_turn_end(*this, kStackRank); });
}

Shard::~Shard() {
  loop_.forget(*this);
}

uint16_t Shard::attach(Link &link, Counters *counters) {
  links_.push_back({&link, counters ? counters : &counters_});
  return static_cast<uint16_t>(links_.size() - 1);
}

void Shard::capture_to(Capture::Sink sink) {
  auto client_name = [this](uint16_t number, uint32_t client) { return links_[number].link->client_name(client); };
  capture_ = std::make_unique<Capture>(loop_, counters_, std::move(client_name), std::move(sink));
}

void Shard::from_link(std::span<Packet> packets) {
  batch_.clear();
  FlowKey asked_for;  // whose neighbour we know: packets of one flow come in runs
  uint32_t asked_by = 0;
  std::optional<uint16_t> neighbour;
  for (Packet &packet : packets) {
    Counters &of_link = *links_[packet.link].counters;
    of_link.packets_from_link++;
    of_link.bytes_from_link += packet.size();
    if (packet.client != last_client_) {
      if (last_client_) crowded_until_ = loop_.now() + kCrowd;
      last_client_ = packet.client;
    }
    std::variant<ParsedPacket, DropReason> parsed = parse_packet(packet.bytes());
    if (DropReason *reason = std::get_if<DropReason>(&parsed)) {
      counters_.drop(*reason);
      if (capture_) capture_->from_link(packet, name_of(*reason));
      continue;
    }
    ParsedPacket &found = *std::get_if<ParsedPacket>(&parsed);
    found.key.link = packet.link;
    // Fragments do not say which ports they are for: the stack makes them whole first.
    bool to_neighbour = neighbours_ && !found.fragment;
    if (to_neighbour) {
      if (packet.client != asked_by || found.key != asked_for) {
        neighbour = neighbours_->neighbour_link(found.key, packet.client);
        asked_for = found.key;
        asked_by = packet.client;
      }
      to_neighbour = neighbour.has_value();
    }
    if (limits_) {
      const bool held_back = found.key.protocol == Protocol::tcp && !found.fragment && !to_neighbour;
      if (!held_back && !limits_->admits(found.key, packet.client, found.length)) {
        counters_.drop(DropReason::rate_of_client);
        if (capture_) capture_->from_link(packet, name_of(DropReason::rate_of_client));
        continue;
      }
    }
    if (to_neighbour) {
      forward({std::move(packet), found}, *neighbour);
      continue;
    }
    if (capture_) capture_->from_link(packet, "stack");  // now: the stack rewrites headers in place
    batch_.push_back({std::move(packet), found});
  }
  if (batch_.empty()) return;
  stack_.input(batch_);
  batch_.clear();
  loop_.at_turn_end(*this, kStackRank);
}

void Shard::forward(LinkPacket &&packet, uint16_t link) {
  const bool v4 = packet.parsed.key.is_v4();
  packet.packet.resize(packet.parsed.length);
  if (packet.parsed.ttl <= 1) {
    return refuse(packet, DropReason::ttl_expired, v4 ? icmp::kTimeExceeded : icmpv6::kTimeExceeded,
                  v4 ? icmp::kTtlExceeded : icmpv6::kHopLimitExceeded, 0);
  }
  const uint16_t mtu = stack_.link_mtu(link);
  if (packet.parsed.length > mtu && packet.parsed.dont_fragment) {
    return refuse(packet, DropReason::message_too_long, v4 ? icmp::kDestinationUnreachable : icmpv6::kPacketTooBig,
                  v4 ? icmp::kFragmentationNeeded : 0, mtu);
  }
  if (capture_) capture_->from_link(packet.packet, "forwarded");
  if (packet.parsed.length > mtu) {
    stack_.pass_through(packet, {link, neighbours_->hop_address(v4)});
    return;
  }
  if (v4) {
    Ipv4Header &header = *view_as<Ipv4Header>(packet.packet.mutable_bytes());
    header.ttl--;
    set_ipv4_checksum(header);
  } else {
    view_as<Ipv6Header>(packet.packet.mutable_bytes())->hop_limit--;
  }
  packet.packet.link = link;
  output({&packet.packet, 1});
}

void Shard::refuse(const LinkPacket &packet, DropReason reason, uint8_t type, uint8_t code, uint32_t mtu) {
  const FlowKey &key = packet.parsed.key;
  counters_.drop(reason);
  if (capture_) capture_->from_link(packet.packet, name_of(reason));
  const IpAddress hop = neighbours_->hop_address(key.is_v4());
  stack_.send_icmp_error(key, packet.packet.bytes(), hop.is_unspecified() ? key.outside.address : hop, type, code, mtu);
}

void Shard::on_turn_end() {
  stack_.flush();
}

Packet Shard::allocate(size_t size) {
  return transmit_pool_.allocate(size);
}

void Shard::output(std::span<Packet> packets) {
  // Runs of one link go on as one batch.
  while (!packets.empty()) {
    uint16_t link = packets[0].link;
    const Attached &attached = links_[link];
    Counters &of_link = *attached.counters;
    size_t run = 0;
    while (run < packets.size() && packets[run].link == link) {
      of_link.packets_to_link++;
      of_link.bytes_to_link += packets[run].size();
      if (capture_) capture_->to_link(packets[run]);
      run++;
    }
    attached.link->send(packets.first(run));
    packets = packets.subspan(run);
  }
}

}  // namespace slipgate
