#include "link/wireguard_link.h"

#include <utility>

#include "base/log.h"

namespace slipgate {

namespace {

constexpr int kLinkRank = 2;
// Received runs that may be alive at one time: what streams hold unread. 128 MB, of which 2 MB stay for reuse.
constexpr size_t kMostBatchBuffers = 2048;
constexpr size_t kKeptBatchBuffers = 32;
// Lone datagrams, handshake messages and keepalives.
constexpr uint32_t kSingleBuffer = 2048;
constexpr size_t kMostSingleBuffers = 16384;
constexpr size_t kKeptSingleBuffers = 256;

Duration wall_offset() {
  auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Duration>(wall) - BootClock::now().time_since_epoch();
}

wireguard::DeviceConfig device_config(const WireGuardLinkOptions &options) {
  wireguard::DeviceConfig config;
  config.private_key = options.private_key;
  for (const WireGuardPeerOptions &peer : options.peers) config.peers.push_back(peer.config);
  config.mtu = options.mtu;
  config.wall_offset = wall_offset();
  return config;
}

}  // namespace

Result<std::unique_ptr<WireGuardLink>> WireGuardLink::open(Loop &loop, const WireGuardLinkOptions &options,
                                                           uint16_t number, LinkEvents &events, Counters &counters) {
  std::unique_ptr<WireGuardLink> link(new WireGuardLink(loop, options, number, events, counters));
  if (Result<void> listening = link->listen(options.listen); !listening) return listening.error();
  // A peer with an endpoint and a persistent keepalive is called at once.
  link->loop_.at_turn_end(*link, kLinkRank);
  return link;
}

WireGuardLink::WireGuardLink(Loop &loop, const WireGuardLinkOptions &options, uint16_t number, LinkEvents &events,
                             Counters &counters)
    : loop_(loop),
      events_(events),
      number_(number),
      listen_(options.listen),
      queue_capacity_(options.transmit_queue_capacity),
      counters_(counters),
      batches_(UdpSocket::kBatchBuffer, kMostBatchBuffers, kKeptBatchBuffers),
      singles_(kSingleBuffer, kMostSingleBuffers, kKeptSingleBuffers),
      device_(device_config(options), singles_, counters, loop.now()) {
  device_.on_handshake = [this](uint32_t peer, const DatagramPath &path) {
    if (on_handshake) on_handshake(peer, path);
  };
}

WireGuardLink::~WireGuardLink() {
  loop_.forget(*this);
}

Result<void> WireGuardLink::listen(const Endpoint &at) {
  Result<std::unique_ptr<UdpSocket>> socket =
      UdpSocket::open(loop_, *this, batches_, singles_, counters_, {.listen = at, .queue_capacity = queue_capacity_});
  if (!socket) return socket.error();
  if (mark_) {
    if (Result<void> marked = (*socket)->set_mark(mark_); !marked) return marked;
  }
  if (socket_) socket_->flush();
  socket_ = std::move(*socket);
  if (on_congestion) on_congestion(false);
  return {};
}

WireGuardSettings WireGuardLink::settings() const {
  return {device_.private_key(), local().port, mark_};
}

Result<void> WireGuardLink::change(const wireguard::Key *private_key, std::optional<uint16_t> listen_port,
                                   std::optional<uint32_t> mark) {
  if (mark && *mark != mark_) {
    if (Result<void> marked = socket_->set_mark(*mark); !marked) return marked;
    mark_ = *mark;
  }
  // Port 0 asks the kernel to choose, which it did already, unless a port was named.
  if (listen_port && *listen_port != local().port) {
    if (Result<void> bound = listen({listen_.address, *listen_port}); !bound) return bound;
  }
  if (private_key) device_.set_private_key(*private_key, loop_.now());
  return {};
}

void WireGuardLink::on_datagrams(std::span<Datagram> datagrams) {
  for (Datagram &datagram : datagrams) {
    device_.receive(std::move(datagram.packet), datagram.path, loop_.now(), output_);
  }
  queue_datagrams();
  if (output_.packets.empty()) return;
  // The stack may answer by send() before it has seen the last of these: they are not in output_ meanwhile.
  arrived_.swap(output_.packets);
  for (Packet &packet : arrived_) packet.link = number_;
  events_.from_link(arrived_);
  arrived_.clear();
}

void WireGuardLink::send(std::span<Packet> packets) {
  for (Packet &packet : packets) device_.send(std::move(packet), loop_.now(), output_);
  queue_datagrams();
}

void WireGuardLink::on_timer(Timer &, Time now) {
  device_.advance(now, output_);
  queue_datagrams();
}

void WireGuardLink::queue_datagrams() {
  for (wireguard::Output::Datagram &datagram : output_.datagrams) {
    socket_->queue(std::move(datagram.packet), datagram.path);
  }
  output_.datagrams.clear();
  loop_.at_turn_end(*this, kLinkRank);
}

void WireGuardLink::on_turn_end() {
  socket_->flush();
  if (socket_->queued() > 0 && on_congestion) on_congestion(true);
  Time deadline = device_.next_deadline();
  if (deadline == kNever) {
    timer_.cancel();
  } else if (deadline != timer_.deadline()) {
    loop_.timers().arm(timer_, deadline);
  }
}

std::string WireGuardLink::client_name(uint32_t client) const {
  return device_.peer_name(client);
}

void WireGuardLink::set_peer(const wireguard::PeerConfig &config) {
  device_.set_peer(config, loop_.now(), output_);
  queue_datagrams();
}

void WireGuardLink::remove_peer(const wireguard::PublicKey &key) {
  device_.remove_peer(key);
}

}  // namespace slipgate
