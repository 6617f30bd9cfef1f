#include "shard/capture.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>
#include <variant>

#include "wire/icmp.h"
#include "wire/tcp.h"

namespace slipgate {
namespace {

constexpr int kLinkRank = 2;
constexpr size_t kRoomForRecord = 512;  // beside the packet and its comment

uint64_t wall_nanoseconds() {
  using namespace std::chrono;
  return static_cast<uint64_t>(duration_cast<nanoseconds>(system_clock::now().time_since_epoch()).count());
}

bool is_icmp_error(const ParsedPacket &parsed, Bytes packet) {
  if (parsed.fragment || packet.size() <= parsed.transport_offset) return false;
  const uint8_t type = packet[parsed.transport_offset];
  if (parsed.key.protocol == Protocol::icmp) return icmp::is_error(type);
  return parsed.key.protocol == Protocol::icmpv6 && icmpv6::is_error(type);
}

}  // namespace

Capture::Capture(Loop &loop, const Counters &counters, ClientName client_name, Sink sink)
    : loop_(loop),
      counters_(counters),
      client_name_(std::move(client_name)),
      sink_(std::move(sink)),
      known_drops_(counters.drops) {}

Capture::~Capture() {
  loop_.forget(*this);
  on_turn_end();
}

void Capture::from_link(const Packet &packet, std::string_view verdict) {
  const std::variant<ParsedPacket, DropReason> parsed = parse_packet(packet.bytes());
  const ParsedPacket *found = std::get_if<ParsedPacket>(&parsed);
  add(packet, pcapng::Direction::inbound,
      fmt::format("client: {}; flow: {}; verdict: {}", client_name_(packet.link, packet.client),
                  found ? found->key.to_string() : "-", verdict));
}

void Capture::to_link(const Packet &packet) {
  const std::variant<ParsedPacket, DropReason> parsed = parse_packet(packet.bytes());
  const ParsedPacket *found = std::get_if<ParsedPacket>(&parsed);
  std::string flow = "-", verdict = "sent";
  if (found) {
    FlowKey key = found->key;
    // Told as the client sees it: the identifier of an echo is the client's.
    std::swap(key.inside.address, key.outside.address);
    if (key.protocol == Protocol::tcp || key.protocol == Protocol::udp) std::swap(key.inside.port, key.outside.port);
    flow = key.to_string();
    if ((found->tcp_flags & TcpHeader::kRst) || is_icmp_error(*found, packet.bytes())) {
      if (std::string why = new_drops(); !why.empty()) verdict = "refused, " + why;
    }
  }
  add(packet, pcapng::Direction::outbound, fmt::format("flow: {}; verdict: {}", flow, verdict));
}

// Those that a client is told of; what arrived broken meanwhile is another matter.
std::string Capture::new_drops() {
  constexpr auto kFirst = static_cast<size_t>(DropReason::ttl_expired);
  constexpr auto kEnd = static_cast<size_t>(DropReason::link_queue_full);
  std::string names;
  for (size_t i = kFirst; i < kEnd; i++) {
    if (counters_.drops[i] == known_drops_[i]) continue;
    names += fmt::format("{}{}", names.empty() ? "" : " or ", name_of(static_cast<DropReason>(i)));
  }
  known_drops_ = counters_.drops;
  return names;
}

void Capture::add(const Packet &packet, pcapng::Direction direction, const std::string &comment) {
  if (records_.size() + packet.size() + comment.size() + kRoomForRecord > kMostBytes) {
    lost_++;
    return;
  }
  told_ += lost_;
  pcapng::append_packet(records_,
                        {.interface = packet.link,
                         .nanoseconds = wall_nanoseconds(),
                         .direction = direction,
                         .comment = comment,
                         .lost = std::exchange(lost_, 0)},
                        packet.bytes());
  gathered_++;
  loop_.at_turn_end(*this, kLinkRank);
}

void Capture::on_turn_end() {
  if (records_.empty()) return;
  const size_t count = std::exchange(gathered_, 0);
  const size_t told = std::exchange(told_, 0);
  if (!sink_(std::exchange(records_, {}))) lost_ += count + told;
}

}  // namespace slipgate
