#include "stack/stack.h"

#include <utility>

#include "stack/world.h"

namespace slipgate {

Stack::Stack(const StackConfig &config, TimerWheel &timers, StackOutput &output, StackEvents &events,
             Counters &counters)
    : world_(std::make_unique<World>(config, timers, output, events, counters)) {}

Stack::~Stack() = default;

void Stack::input(std::span<LinkPacket> packets) {
  for (LinkPacket &packet : packets) world_->input(std::move(packet));
  world_->finish_run();
  world_->deliver();
}

void Stack::World::input(LinkPacket &&packet) {
  if (packet.parsed.fragment) {
    std::optional<LinkPacket> whole = reassembly_.add(std::move(packet));
    if (!whole) return;
    whole->parsed.dont_fragment = false;  // who sent it in pieces minds no others
    if (std::optional<Passage> passage = events.passes_through(whole->parsed.key, whole->packet.client)) {
      pass_through(*whole, *passage);
      return;
    }
    input(std::move(*whole));
    return;
  }
  switch (packet.parsed.key.protocol) {
    case Protocol::tcp:
      return input_tcp(std::move(packet));
    case Protocol::udp:
      finish_run();
      return input_udp(std::move(packet));
    case Protocol::icmp:
    case Protocol::icmpv6:
      finish_run();
      return input_icmp(std::move(packet));
  }
  counters.drop(DropReason::unknown_protocol);
}

void Stack::World::pass_through(const LinkPacket &packet, const Passage &passage) {
  const ParsedPacket &parsed = packet.parsed;
  const Bytes bytes = packet.packet.bytes().first(parsed.length);
  const bool v4 = parsed.key.is_v4();
  if (parsed.ttl <= 1) {
    counters.drop(DropReason::ttl_expired);
    send_icmp_error(parsed.key, bytes, passage.hop.is_unspecified() ? parsed.key.outside.address : passage.hop,
                    v4 ? icmp::kTimeExceeded : icmpv6::kTimeExceeded,
                    v4 ? icmp::kTtlExceeded : icmpv6::kHopLimitExceeded, 0);
    return;
  }
  IpFields fields{.source = parsed.key.inside.address,
                  .destination = parsed.key.outside.address,
                  .protocol = static_cast<uint8_t>(parsed.key.protocol),
                  .ttl = static_cast<uint8_t>(parsed.ttl - 1),  // lesson: fragments-pass-through
                  .traffic_class = parsed.traffic_class,
                  .dont_fragment = false};
  pending();
  output.send(fields, {}, bytes.subspan(parsed.transport_offset), passage.link);
}

void Stack::flush() {
  world_->flush();
}

void Stack::on_pending(std::function<void()> handler) {
  world_->pending_handler = std::move(handler);
}

std::unique_ptr<Stack::Connecting> Stack::connect(const FlowKey &key, uint32_t client, ConnectDone done) {
  return world_->connect(key, client, std::move(done));
}

std::unique_ptr<Stack::Connecting> Stack::World::connect(const FlowKey &key, uint32_t client_number, ConnectDone done) {
  // Not from within this call, whatever the outcome.
  auto handle = std::make_unique<Connecting>();
  handle->done_ = std::move(done);
  Connection *connection = new Connection(*this, key, client_number);
  connection->connecting_ = handle.get();
  handle->connection_ = connection;
  bool taken = table.find(key) != nullptr;
  bool possible = !taken && has_room() && !key.outside.address.is_unspecified() && key.outside.port != 0;
  if (!possible) {
    connection->fail(taken ? EADDRINUSE : ENOBUFS);
    pending();
    return handle;
  }
  table.insert(*connection);
  connections++;
  if (!connection->open_active()) connection->fail(ENOBUFS);
  pending();
  return handle;
}

Stack::Connecting::~Connecting() {
  if (!connection_) return;
  connection_->connecting_ = nullptr;
  connection_->give_up();
}

bool Stack::send_datagram(const FlowKey &key, Bytes payload, const DatagramInfo &info) {
  return world_->send_datagram(key, payload, info);
}

bool Stack::send_echo_reply(const FlowKey &key, uint16_t sequence, Bytes payload, const DatagramInfo &info) {
  return world_->send_echo_reply(key, sequence, payload, info);
}

void Stack::send_icmp_error(const FlowKey &key, Bytes original, const IpAddress &from, uint8_t type, uint8_t code,
                            uint32_t info32, uint8_t ttl) {
  world_->send_icmp_error(key, original, from, type, code, info32, ttl);
}

void Stack::pass_through(const LinkPacket &packet, const Passage &passage) {
  world_->pass_through(packet, passage);
}

void Stack::learn_path_mtu(uint16_t link, const IpAddress &to, uint32_t mtu) {
  world_->paths.learn(link, to, mtu);
}

uint16_t Stack::link_mtu(uint16_t link) const {
  return world_->paths.link_mtu(link);
}

size_t Stack::connections() const {
  return world_->connections;
}

}  // namespace slipgate
