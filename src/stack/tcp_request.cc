#include "stack/tcp_request.h"

#include <access.h>

#include <algorithm>

#include "stack/world.h"
#include "wire/tcp.h"

namespace slipgate {
namespace {

// The TCP header that a segment begins with, for lwIP.
pbuf *header_copy(Bytes segment) {
  Bytes header = segment.first(view_as<TcpHeader>(segment)->header_length());
  // lwIP reads a cut-off last option one byte too far before it rejects it.
  pbuf *copy = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(header.size() + 1), PBUF_RAM);
  if (!copy) return nullptr;
  std::memcpy(copy->payload, header.data(), header.size());
  static_cast<uint8_t *>(copy->payload)[header.size()] = 0;
  copy->len = copy->tot_len = static_cast<u16_t>(header.size());
  return copy;
}

}  // namespace

HeldSyn::HeldSyn(Stack::World &world, const LinkPacket &packet)
    : TcpEntry(Kind::request, packet.parsed.key, packet.packet.client), world_(world) {
  replace(packet);
}

void HeldSyn::replace(const LinkPacket &packet) {
  transport_offset_ = packet.parsed.transport_offset;
  ttl_ = packet.parsed.ttl;
  service_class_ = packet.parsed.traffic_class & kDscpMask;
  const TcpHeader &header = *view_as<TcpHeader>(packet.packet.bytes().subspan(transport_offset_));
  // Data that came with the SYN is left out; it is not acknowledged, so the client sends it again.
  Bytes kept = packet.packet.bytes().first(transport_offset_ + header.header_length());
  packet_.assign(kept.begin(), kept.end());
  world_.timers.arm(timer_, world_.timers.now() + patience_);
  patience_ = std::min<Duration>(2 * patience_, kMostPatience);
}

bool HeldSyn::reset_is_acceptable(uint32_t sequence) const {
  const TcpHeader &header = *view_as<TcpHeader>(original().subspan(transport_offset_));
  return sequence - header.sequence.value() <= 1;
}

pbuf *HeldSyn::segment() const {
  return header_copy(original().subspan(transport_offset_));
}

void HeldSyn::on_timer(Timer &, Time) {
  world_.cancel(*this);
}

TcpRequest::TcpRequest(Stack::World &world, HeldSyn &syn)
    : world_(world),
      syn_(&syn),
      key_(syn.key),
      client_(syn.client),
      hops_(syn.ttl()),
      service_class_(syn.service_class()) {
  syn.request = this;
}

TcpRequest::~TcpRequest() {
  refuse(Refusal::silence());
}

StreamPtr TcpRequest::accept() {
  if (!syn_) return nullptr;
  HeldSyn &syn = *syn_;
  detach();
  return world_.accept(syn);
}

void TcpRequest::refuse(Refusal refusal) {
  if (!syn_) return;
  HeldSyn &syn = *syn_;
  detach();
  world_.refuse(syn, refusal);
}

std::function<void()> TcpRequest::detach() {
  syn_->request = nullptr;
  syn_ = nullptr;
  return std::exchange(on_cancel_, nullptr);
}

void Stack::World::hold_syn(const LinkPacket &packet) {
  const uint32_t number = packet.packet.client;
  if (!has_room()) {  // lesson: tcp-connections-bounded
    counters.drop(DropReason::too_many_flows);
    size_t offset = packet.parsed.transport_offset;
    if (pbuf *segment = header_copy(packet.packet.bytes().subspan(offset))) reset_segment(packet.parsed.key, segment);
    return;
  }
  Client &owner = client(number);
  if (owner.held_syns >= config.max_requests_per_client) {  // lesson: tcp-held-syns-bounded
    counters.drop(DropReason::too_many_connecting);
    return;
  }
  owner.held_syns++;
  HeldSyn *syn = new HeldSyn(*this, packet);
  table.insert(*syn);
  events.on_tcp_request(std::make_unique<TcpRequest>(*this, *syn));
}

void Stack::World::forget(HeldSyn &syn) {
  table.remove(syn);
  client(syn.client).held_syns--;
  forget_client(syn.client);
  if (syn.request) syn.request->detach();
  delete &syn;
}

void Stack::World::cancel(HeldSyn &syn) {
  counters.drop(DropReason::request_cancelled);
  // The handler may destroy the request.
  std::function<void()> tell = syn.request ? syn.request->detach() : nullptr;
  forget(syn);
  if (tell) tell();
}

StreamPtr Stack::World::accept(HeldSyn &syn) {
  pbuf *segment = syn.segment();
  Connection *connection = new Connection(*this, syn.key, syn.client);
  const uint8_t service_class = syn.service_class();
  forget(syn);
  if (!segment) {
    delete connection;
    return nullptr;
  }
  table.insert(*connection);
  connections++;
  if (!connection->open_passive(segment, service_class)) {
    closed(*connection);
    return nullptr;
  }
  return connection->make_stream();
}

void Stack::World::refuse(HeldSyn &syn, Refusal refusal) {
  switch (refusal.kind) {
    case Refusal::Kind::reset:
      if (pbuf *segment = syn.segment()) reset_segment(syn.key, segment);
      break;
    case Refusal::Kind::unreachable:
      send_icmp_error(syn.key, syn.original(), refusal.from.is_unspecified() ? syn.key.outside.address : refusal.from,
                      refusal.icmp_type, refusal.icmp_code, 0);
      break;
    case Refusal::Kind::silence:
      break;
  }
  forget(syn);
}

}  // namespace slipgate
