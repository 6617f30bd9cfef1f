#include "link/gue_link.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "wire/ip.h"

namespace slipgate {

namespace {

constexpr int kLinkRank = 2;

}  // namespace

Result<std::unique_ptr<GueLink>> GueLink::open(Loop &loop, const GueLinkOptions &options, LinkPlace place,
                                               LinkBuffers &buffers, LinkEvents &events, Counters &counters) {
  std::unique_ptr<GueLink> link(new GueLink(loop, options, place, buffers, events, counters));
  const UdpSocketOptions socket{.listen = options.listen, .queue_capacity = options.transmit_queue_capacity};
  Result<std::unique_ptr<UdpSocket>> opened =
      UdpSocket::open(loop, *link, buffers.batches, buffers.singles, counters, socket);
  if (!opened) return opened.error();
  link->socket_ = std::move(*opened);
  if (options.peer) link->set_peer(*options.peer);
  return link;
}

GueLink::GueLink(Loop &loop, const GueLinkOptions &options, LinkPlace link, LinkBuffers &buffers, LinkEvents &events,
                 Counters &counters)
    : loop_(loop), events_(events), link_(link), options_(options), counters_(counters), buffers_(buffers) {}

GueLink::~GueLink() {
  loop_.forget(*this);
}

void GueLink::set_peer(const Endpoint &endpoint) {
  peer_ = endpoint;
  if (!ways_) ways_ = std::array<Way, 2>();
  for (Way &way : *ways_) way.path = {.remote = endpoint};
  if (options_.keepalive) loop_.timers().arm(keepalive_, loop_.now());
}

// --- in --------------------------------------------------------------------------------------------------------------

void GueLink::on_datagrams(std::span<Datagram> datagrams) {
  for (Datagram &datagram : datagrams) receive(datagram);
  if (arrived_.empty()) return;
  events_.from_link(arrived_);
  arrived_.clear();
}

void GueLink::receive(Datagram &datagram) {
  Packet &packet = datagram.packet;
  const Endpoint &remote = datagram.path.remote;
  if (options_.has_fixed_peer() && !is_peer(remote)) {  // lesson: gue-strict-peer
    counters_.drop(DropReason::gue_stranger);
    return warn_of_stranger(remote);
  }
  received_bytes_ += packet.size();
  if (packet.size() == 0) {
    // A keepalive. It makes nobody the peer in another's place: port scanners send such datagrams, too.
    last_heard_ = loop_.now();
    if (!ways_) heard(datagram.path, true, false);  // lesson: gue-empty-datagram
    return;
  }
  const bool bare = options_.encapsulation == GueLinkOptions::Encapsulation::fou;
  const std::variant<GuePayload, DropReason> parsed = bare ? parse_fou(packet.bytes()) : parse_gue(packet.bytes());
  if (const auto *reason = std::get_if<DropReason>(&parsed)) {
    counters_.drop(*reason);
    return;
  }
  const GuePayload &payload = *std::get_if<GuePayload>(&parsed);
  packet.shrink_front(payload.offset);
  if (payload.unfinished && !finish_checksum(packet.mutable_bytes(), *payload.unfinished)) {
    counters_.drop(DropReason::gue_bad_header);
    return;
  }
  if (!is_allowed(packet.bytes(), payload.v4)) {  // lesson: gue-allowed-ips
    counters_.drop(DropReason::gue_bad_source);
    return;
  }
  last_heard_ = loop_.now();
  heard(datagram.path, payload.v4, payload.has_header);
  packet.client = client();
  packet.link = link_.number;
  arrived_.push_back(std::move(packet));
}

// What is too short to say where it comes from is for the shard to drop.
bool GueLink::is_allowed(Bytes packet, bool v4) const {
  const std::vector<IpPrefix> &allowed = options_.allowed_ips;
  if (allowed.empty() || packet.size() < (v4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header))) return true;
  const IpAddress source = v4 ? view_as<Ipv4Header>(packet)->source() : view_as<Ipv6Header>(packet)->source();
  return std::ranges::any_of(allowed, [&](const IpPrefix &prefix) { return prefix.contains(source); });
}

bool GueLink::is_peer(const Endpoint &remote) const {
  switch (options_.accept) {
    case GueLinkOptions::Accept::endpoint:
      return peer_ == remote;
    case GueLinkOptions::Accept::address:
      return peer_ && peer_->address == remote.address;
    case GueLinkOptions::Accept::anyone:
      break;
  }
  return true;
}

// The peer spoke, or somebody that is it from now on.
void GueLink::heard(const DatagramPath &path, bool v4, bool header) {
  if (options_.has_fixed_peer() && !peer_) return;  // its name does not resolve yet
  Way way{.path = path, .header = header};
  // Our address for the answers is the one that the peer wrote to, not that of somebody else's datagram.
  if (peer_ && peer_->address != path.remote.address) way.path = {};
  if (peer_) way.path.remote = *peer_;
  if (!ways_) {
    ways_ = {way, way};
    log::info("GUE peer at {}", path.remote.to_string());
    if (options_.keepalive) loop_.timers().arm(keepalive_, loop_.now());
  }
  Way &other = (*ways_)[!v4];
  (*ways_)[v4] = way;
  // The other family's packets may come from another port; what came from another address is out of date.
  if (other.path.remote.address != way.path.remote.address) other = way;
}

void GueLink::warn_of_stranger(const Endpoint &remote) {
  if (std::exchange(warned_, true)) return;  // once: they are counted
  log::warn("a datagram of {} was dropped: only {} is the peer (see --accept)", remote.to_string(),
            peer_ ? peer_->to_string() : options_.peer_name);
}

// --- out -------------------------------------------------------------------------------------------------------------

void GueLink::send(std::span<Packet> packets) {
  for (Packet &packet : packets) {
    if (!ways_) {
      counters_.drop(DropReason::gue_no_peer);
      continue;
    }
    const bool v4 = packet.size() > 0 && packet.data()[0] >> 4 == 4;
    const Way &way = (*ways_)[v4];
    if (with_header(way) && !put_header(packet, v4)) {
      counters_.drop(DropReason::buffers_exhausted);
      continue;
    }
    sent_bytes_ += packet.size();
    socket_->queue(std::move(packet), way.path);
  }
  loop_.at_turn_end(*this, kLinkRank);
}

void GueLink::send_passed_on(Bytes bytes) {
  Packet packet = buffers_.allocate(bytes.size());
  if (!packet) {
    counters_.drop(DropReason::buffers_exhausted);
    return;
  }
  std::memcpy(packet.data(), bytes.data(), bytes.size());
  send({&packet, 1});
}

bool GueLink::with_header(const Way &way) const {
  return options_.encapsulation == GueLinkOptions::Encapsulation::gue || way.header;
}

// False: there is no buffer for it.
bool GueLink::put_header(Packet &packet, bool v4) {
  const GueHeader header = gue_header(v4);
  if (packet.headroom() < sizeof(header)) {  // of another link, where it was received in a run
    Packet copy = buffers_.allocate(packet.size());
    if (!copy) return false;
    std::memcpy(copy.data(), packet.data(), packet.size());
    packet = std::move(copy);
  }
  packet.grow_front(sizeof(header));
  std::memcpy(packet.data(), &header, sizeof(header));
  return true;
}

// An empty datagram, each way: a NAT between us and the peer keeps its mappings.
void GueLink::on_timer(Timer &, Time now) {
  const auto &[v6, v4] = *ways_;
  for (const Way *way : {&v4, &v6}) {
    if (way == &v6 && v6.path.remote == v4.path.remote) continue;
    if (Packet empty = buffers_.singles.allocate(0)) socket_->queue(std::move(empty), way->path);
  }
  loop_.timers().arm(keepalive_, now + seconds(options_.keepalive));
  loop_.at_turn_end(*this, kLinkRank);
}

void GueLink::on_turn_end() {
  socket_->flush();
}

// --- what is asked ---------------------------------------------------------------------------------------------------

std::string GueLink::client_name(uint32_t) const {
  return ways_ ? "peer " + (*ways_)[true].path.remote.to_string() : "peer";
}

GuePeerStatus GueLink::peer() const {
  GuePeerStatus status;
  if (ways_) {
    const Way &way = (*ways_)[true];
    status.endpoint = way.path.remote;
    status.header = with_header(way);
  }
  status.fixed = options_.has_fixed_peer();
  status.received_bytes = received_bytes_;
  status.sent_bytes = sent_bytes_;
  status.last_heard = last_heard_;
  return status;
}

}  // namespace slipgate
