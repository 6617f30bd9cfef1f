#include "sim/network.h"

#include <algorithm>
#include <array>

namespace slipgate::sim {

constexpr int kClient = 0, kGateway = 1, kRival = 2;
const IpAddress kRivalAddress = IpAddress::v4(192, 0, 2, 81);

Node::Node(Network &network, const StackConfig &config, int number)
    : stack(config, network.timers, *this, *this, counters), network_(network), number_(number) {}

Packet Node::allocate(size_t size) {
  return network_.pool.allocate(size);
}

void Node::output(std::span<Packet> packets) {
  for (Packet &packet : packets) {
    packets_out++;
    network_.send(number_, std::move(packet));
  }
}

void Node::on_tcp_request(StreamRequestPtr request) {
  if (on_request) on_request(std::move(request));
}

void Node::on_datagram(const FlowKey &key, uint32_t, Bytes payload, const DatagramInfo &info, Bytes) {
  if (on_udp) on_udp(key, payload, info);
}

void Node::on_echo(const FlowKey &key, uint32_t, uint16_t sequence, Bytes payload, const DatagramInfo &, Bytes) {
  if (on_ping) on_ping(key, sequence, payload);
}

namespace {

StackConfig with_secret(StackConfig config, uint64_t secret) {
  config.secret[0] = secret;
  config.secret[1] = ~secret;
  return config;
}

}  // namespace

Network::Network(const WireOptions &up, const WireOptions &down, uint32_t seed, const StackConfig &config)
    : wires_{up, down},
      free_at_{timers.now(), timers.now()},
      random_(seed),
      client(*this, with_secret(config, seed * 2 + 1), kClient),
      gateway(*this, with_secret(config, seed * 2 + 2), kGateway) {}

void Network::add_rival(const StackConfig &config) {
  rival = std::make_unique<Node>(*this, with_secret(config, 77), kRival);
}

void Network::send(int from, Packet packet) {
  const int side = from == kClient ? 0 : 1;
  int to = side == 0 ? kGateway : kClient;
  if (side == 0 && rival) {
    auto parsed = parse_packet(packet.bytes());
    const ParsedPacket *good = std::get_if<ParsedPacket>(&parsed);
    if (good && good->key.outside.address == kRivalAddress) to = kRival;
  }
  const WireOptions &wire = wires_[side];
  auto chance = [&](double probability) {
    return probability > 0 && std::uniform_real_distribution<>(0, 1)(random_) < probability;
  };
  Time start = std::max(free_at_[side], now());
  double waiting = std::chrono::duration<double>(start - now()).count() * wire.bits_per_second / 8;
  if (waiting > static_cast<double>(wire.queue_bytes)) return;
  free_at_[side] =
      start + nanoseconds(static_cast<int64_t>(static_cast<double>(packet.size()) * 8e9 / wire.bits_per_second));
  if (chance(wire.loss)) return;
  int copies = chance(wire.duplication) ? 2 : 1;
  for (int copy = 0; copy < copies; copy++) {
    Duration extra{};
    if (wire.jitter > Duration{}) {
      extra = Duration(std::uniform_int_distribution<int64_t>(0, wire.jitter.count())(random_));
    }
    if (chance(wire.reorder)) extra += wire.reorder_by;
    Packet flying = pool.allocate(packet.size());
    std::copy(packet.data(), packet.data() + packet.size(), flying.data());
    flying.client = 1;
    flying_.emplace(free_at_[side] + wire.delay + extra, Flying{to, std::move(flying)});
  }
}

bool Network::run_until(const std::function<bool()> &done, Duration limit) {
  Time end = now() + limit;
  std::vector<Node *> nodes{&client, &gateway};
  if (rival) nodes.push_back(rival.get());
  auto flush = [&] {
    for (Node *node : nodes) node->stack.flush();
  };
  flush();
  while (!done()) {
    Time next = timers.next_deadline();
    if (!flying_.empty()) next = std::min(next, flying_.begin()->first);
    if (next > end) {
      timers.advance(end);
      return done();
    }
    timers.advance(std::max(next, now()));
    for (Node *node : nodes) {
      batch_.clear();
      for (auto it = flying_.begin(); it != flying_.end() && it->first <= now();) {
        if (it->second.to != node->number()) {
          ++it;
          continue;
        }
        auto parsed = parse_packet(it->second.packet.bytes());
        if (ParsedPacket *good = std::get_if<ParsedPacket>(&parsed)) {
          batch_.push_back({std::move(it->second.packet), *good});
        }
        it = flying_.erase(it);
      }
      if (!batch_.empty()) node->stack.input(batch_);
    }
    flush();
  }
  return true;
}

Peer::Peer(StreamPtr taken, uint64_t size, bool hold_fin) : stream(std::move(taken)), size_(size), hold_fin_(hold_fin) {
  stream->watch(this);
  write();
  on_readable();
}

Peer::~Peer() {
  if (stream) stream->watch(nullptr);
}

void Peer::write() {
  std::array<uint8_t, 16384> block;
  while (sent < size_) {
    size_t count = std::min<uint64_t>(block.size(), size_ - sent);
    count = std::min(count, stream->writable());
    if (count == 0) return;
    for (size_t i = 0; i < count; i++) block[i] = pattern(sent + i);
    iovec piece{block.data(), count};
    Result<size_t> written = stream->write_some({&piece, 1});
    if (!written) {
      error = written.error().code;
      return;
    }
    sent += *written;
  }
  if (!hold_fin_) finish();
}

void Peer::finish() {
  hold_fin_ = false;
  if (sent < size_ || finished_) return;
  finished_ = true;
  stream->shutdown_write();
}

void Peer::on_writable() {
  write();
}

void Peer::on_readable() {
  while (!paused_) {
    Peeked peeked = stream->peek(65536);
    if (peeked.size == 0) {
      end = peeked.end;
      if (peeked.error) error = peeked.error;
      return;
    }
    for (const iovec &piece : peeked.pieces) {
      const uint8_t *bytes = static_cast<const uint8_t *>(piece.iov_base);
      for (size_t i = 0; i < piece.iov_len; i++) corrupt += bytes[i] != pattern(received + i);
      received += piece.iov_len;
    }
    stream->consume(peeked.size);
  }
}

void Peer::resume_reading() {
  paused_ = false;
  on_readable();
}

FlowKey session_key(uint16_t port, bool v4) {
  FlowKey key;
  key.outside = {v4 ? IpAddress::v4(10, 0, 0, 2) : *IpAddress::parse("fd00::2"), port};
  key.inside = {v4 ? IpAddress::v4(192, 0, 2, 80) : *IpAddress::parse("2001:db8::80"), 80};
  return key;
}

namespace {

std::unique_ptr<Session> open(Network &network, Node &server, const FlowKey &key, uint64_t up, uint64_t down,
                              bool hold_fin) {
  auto session = std::make_unique<Session>();
  Session *opened = session.get();
  server.on_request = [opened, down, hold_fin](StreamRequestPtr request) {
    if (StreamPtr stream = request->accept())
      opened->gateway = std::make_unique<Peer>(std::move(stream), down, hold_fin);
  };
  session->connecting = network.client.stack.connect(key, 1, [opened, up, hold_fin](StreamPtr stream, int error) {
    opened->error = error;
    if (stream) opened->client = std::make_unique<Peer>(std::move(stream), up, hold_fin);
  });
  return session;
}

}  // namespace

std::unique_ptr<Session> open_session(Network &network, uint16_t port, uint64_t up, uint64_t down, bool v4,
                                      bool hold_fin) {
  return open(network, network.gateway, session_key(port, v4), up, down, hold_fin);
}

std::unique_ptr<Session> open_rival_session(Network &network, uint16_t port, uint64_t up, uint64_t down) {
  FlowKey key = session_key(port, true);
  key.inside.address = kRivalAddress;
  return open(network, *network.rival, key, up, down, false);
}

}  // namespace slipgate::sim
