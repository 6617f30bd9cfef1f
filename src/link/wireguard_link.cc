#include "link/wireguard_link.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "wire/wireguard_messages.h"

namespace slipgate {

namespace {

constexpr int kWaitingRank = 0;
constexpr int kLinkRank = 2;

Duration wall_offset() {
  auto wall = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Duration>(wall) - BootClock::now().time_since_epoch();
}

int shard_bits(const ShardPlace &place) {
  return std::bit_width(place.count - 1);
}

wireguard::DeviceConfig device_config(const WireGuardLinkOptions &options, LinkPlace link) {
  wireguard::DeviceConfig config;
  config.private_key = options.private_key;
  for (const WireGuardPeerOptions &peer : options.peers) config.peers.push_back(peer.config);
  config.mtu = options.mtu;
  config.wall_offset = wall_offset();
  config.shard_bits = shard_bits(options.place);
  config.shard = options.place.number;
  config.first_id = link.first_client();
  config.id_step = link.count;
  return config;
}

// The low bits of the receiver index are the shard's number, and little endian: its first byte has them. An initiation
// names no receiver: its sender's address decides, so that a cookie comes back to who gave it.
std::array<sock_filter, 10> steering_program(const ShardPlace &place) {
  constexpr uint16_t kByte = BPF_LD | BPF_B | BPF_ABS, kIf = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr auto kNumber = [](WireGuardType type) { return static_cast<uint32_t>(type); };
  static_assert(offsetof(WireGuardTransport, receiver) == offsetof(WireGuardCookieReply, receiver));
  // {operation, how many to leave out if so, if not, operand}
  return {{{kByte, 0, 0, offsetof(WireGuardTransport, type)},
           {kIf, 3, 0, kNumber(WireGuardType::transport)},
           {kIf, 2, 0, kNumber(WireGuardType::cookie_reply)},
           {kIf, 3, 0, kNumber(WireGuardType::response)},
           {BPF_RET | BPF_K, 0, 0, ~uint32_t{0}},
           {kByte, 0, 0, offsetof(WireGuardTransport, receiver)},
           {BPF_JMP | BPF_JA, 0, 0, 1},
           {kByte, 0, 0, offsetof(WireGuardResponse, receiver)},
           {BPF_ALU | BPF_AND | BPF_K, 0, 0, (1u << shard_bits(place)) - 1},
           {BPF_RET | BPF_A, 0, 0, 0}}};
}

}  // namespace

Result<std::unique_ptr<WireGuardLink>> WireGuardLink::open(Loop &loop, const WireGuardLinkOptions &options,
                                                           LinkPlace link, LinkBuffers &buffers, LinkEvents &events,
                                                           Counters &counters) {
  std::unique_ptr<WireGuardLink> made(new WireGuardLink(loop, options, link, buffers, events, counters));
  if (Result<uint16_t> bound = made->bind(options.listen.port); !bound) return bound.error();
  made->use_bound();
  // A peer with an endpoint and a persistent keepalive is called at once.
  made->loop_.at_turn_end(*made, kLinkRank);
  return made;
}

WireGuardLink::WireGuardLink(Loop &loop, const WireGuardLinkOptions &options, LinkPlace link, LinkBuffers &buffers,
                             LinkEvents &events, Counters &counters)
    : loop_(loop),
      events_(events),
      number_(link.number),
      place_(options.place),
      listen_(options.listen),
      queue_capacity_(options.transmit_queue_capacity),
      counters_(counters),
      buffers_(buffers),
      device_(device_config(options, link), buffers.singles, counters, loop.now()),
      share_(counters) {
  device_.on_handshake = [this](uint32_t peer, const DatagramPath &path) {
    if (on_handshake) on_handshake(peer, path);
  };
}

WireGuardLink::~WireGuardLink() {
  loop_.forget(*this);
  loop_.forget(waiting_);
}

// The first of several shards finds the port free, and what the others join is its group.
Result<std::unique_ptr<UdpSocket>> WireGuardLink::open_socket(const Endpoint &at) {
  UdpSocketOptions options{.listen = at, .queue_capacity = queue_capacity_};
  auto open = [&] { return UdpSocket::open(loop_, *this, buffers_.batches, buffers_.singles, counters_, options); };
  Result<std::unique_ptr<UdpSocket>> socket = Error{};
  if (place_.count > 1) {
    if (place_.number == 0) {
      // SO_REUSEPORT alone would join another program of the same user.
      socket = open();
      if (!socket) return socket.error();
      options.listen.port = (*socket)->local().port;
      socket->reset();
    }
    options.reuse_port = true;
  }
  socket = open();
  if (!socket) return socket.error();
  if (place_.number + 1 == place_.count && place_.count > 1) {
    if (Result<void> steered = (*socket)->steer(steering_program(place_)); !steered) return steered.error();
  }
  if (mark_) {
    if (Result<void> marked = (*socket)->set_mark(mark_); !marked) return marked.error();
  }
  return socket;
}

Result<uint16_t> WireGuardLink::bind(uint16_t port) {
  Result<std::unique_ptr<UdpSocket>> socket = open_socket({listen_.address, port});
  if (!socket) return socket.error();
  bound_ = std::move(*socket);
  return bound_->local().port;
}

void WireGuardLink::use_bound() {
  if (!bound_) return;
  if (socket_) socket_->flush();
  socket_ = std::move(bound_);
  if (on_congestion) on_congestion(false);
}

Result<void> WireGuardLink::set_mark(uint32_t mark) {
  if (mark == mark_) return {};
  if (Result<void> marked = socket_->set_mark(mark); !marked) return marked;
  mark_ = mark;
  return {};
}

WireGuardSettings WireGuardLink::settings() const {
  return {device_.private_key(), local().port, mark_};
}

Result<void> WireGuardLink::change(const wireguard::Key *private_key, std::optional<uint16_t> listen_port,
                                   std::optional<uint32_t> mark) {
  if (mark) {
    if (Result<void> marked = set_mark(*mark); !marked) return marked;
  }
  // Port 0 asks the kernel to choose, which it did already, unless a port was named.
  if (listen_port && *listen_port != local().port) {
    if (Result<uint16_t> bound = bind(*listen_port); !bound) return bound.error();
    use_bound();
  }
  if (private_key) set_private_key(*private_key);
  return {};
}

void WireGuardLink::on_datagrams(std::span<Datagram> datagrams) {
  serve(share_.arrived(datagrams, loop_.now()));
}

void WireGuardLink::serve(std::span<Datagram> datagrams) {
  if (share_.any_waiting()) loop_.at_turn_end(waiting_, kWaitingRank);
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

void WireGuardLink::receive_passed_on(Bytes bytes, const std::optional<DatagramPath> &initiation_from) {
  Packet packet = buffers_.allocate(bytes.size());
  if (!packet) {
    counters_.drop(DropReason::buffers_exhausted);
    return;
  }
  std::memcpy(packet.data(), bytes.data(), bytes.size());
  if (initiation_from) {
    device_.receive_passed_on(std::move(packet), *initiation_from, loop_.now(), output_);
  } else {
    device_.send(std::move(packet), loop_.now(), output_);
  }
  queue_datagrams();
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
  if (!output_.elsewhere.empty()) {
    if (on_elsewhere) on_elsewhere(output_.elsewhere);
    output_.elsewhere.clear();
  }
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
