// WireGuard devices joined by a simulated wire, in virtual time: what a test does to the wire is lose, repeat, delay or
// change datagrams; what passes is 180 s in microseconds.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/packet.h"
#include "crypto/x25519.h"
#include "support/eavesdropper.h"
#include "wire/ip.h"
#include "wireguard/device.h"

namespace slipgate::test {

using wireguard::Device;
using wireguard::DeviceConfig;
using wireguard::Output;
using wireguard::PeerConfig;
using wireguard::PublicKey;

// An inside packet in a buffer with room for framing: IPv4 or IPv6 header, then `payload`.
inline Packet make_packet(BufferPool &pool, const IpAddress &source, const IpAddress &destination,
                          std::string_view payload) {
  IpFields fields;
  fields.source = source;
  fields.destination = destination;
  fields.protocol = 17;
  Packet packet = pool.allocate(fields.header_size() + payload.size());
  write_ip_header(packet.data(), fields, payload.size());
  std::copy(payload.begin(), payload.end(), packet.data() + fields.header_size());
  return packet;
}

inline std::string payload_of(const Packet &packet) {
  const size_t header = packet.data()[0] >> 4 == 4 ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
  return std::string(text_of(packet.bytes().subspan(header)));
}

struct Node {
  Secret<32> private_key = generate_private_key();
  PublicKey public_key = public_key_of(private_key);
  Endpoint endpoint;  // where datagrams for it go
  IpAddress inside;
  Counters counters;
  BufferPool pool{2048, 100'000, 1000};
  std::unique_ptr<Device> device;
  Output output;
  std::vector<Packet> received;
  std::vector<uint32_t> handshakes;  // peer ids

  uint64_t dropped(DropReason reason) const { return counters.dropped(reason); }
};

class WireGuardNet {
 public:
  struct InFlight {
    Time due;
    uint64_t order;
    DatagramPath path;  // as the sender gave it
    Endpoint from;
    std::vector<uint8_t> bytes;
  };

  explicit WireGuardNet(size_t count = 2) {
    for (size_t i = 0; i < count; i++) {
      nodes_.push_back(std::make_unique<Node>());
      const auto number = static_cast<uint8_t>(i + 1);
      nodes_[i]->endpoint = {IpAddress::v4(192, 0, 2, number), static_cast<uint16_t>(50000 + i)};
      nodes_[i]->inside = IpAddress::v4(10, 0, 0, number);
      eavesdropper.watch_for(nodes_[i]->public_key);
    }
  }

  Node &operator[](size_t i) { return *nodes_[i]; }
  size_t size() const { return nodes_.size(); }

  DeviceConfig config(size_t i) const {
    DeviceConfig config;
    config.private_key = nodes_[i]->private_key;
    config.wall_offset = seconds(1'700'000'000);
    return config;
  }
  PeerConfig peer(size_t i, bool with_endpoint = true) const {
    PeerConfig peer;
    peer.public_key = nodes_[i]->public_key;
    peer.allowed_ips = {IpPrefix(nodes_[i]->inside, 32)};
    if (with_endpoint) peer.endpoint = nodes_[i]->endpoint;
    return peer;
  }
  void start(size_t i, const DeviceConfig &device) {
    Node &node = *nodes_[i];
    node.device = std::make_unique<Device>(device, node.pool, node.counters, now);
    node.device->on_handshake = [&node](uint32_t id, const DatagramPath &) { node.handshakes.push_back(id); };
  }
  // Two nodes that know each other; only the first knows where the second is.
  void start_pair(uint16_t persistent_keepalive = 0) {
    DeviceConfig first = config(0), second = config(1);
    first.peers = {peer(1)};
    first.peers[0].persistent_keepalive = persistent_keepalive;
    second.peers = {peer(0, false)};
    start(0, first);
    start(1, second);
  }

  // An inside packet from one node to another's inside address, into the tunnel.
  void send(size_t from, size_t to, std::string_view payload) {
    Node &node = *nodes_[from];
    send(from, make_packet(node.pool, node.inside, nodes_[to]->inside, payload));
  }
  void send(size_t from, Packet packet) {
    nodes_[from]->device->send(std::move(packet), now, nodes_[from]->output);
    collect(*nodes_[from]);
  }
  // A datagram from outside, straight into a node's socket.
  void inject(size_t to, Bytes bytes, const DatagramPath &path) {
    Node &node = *nodes_[to];
    Packet packet = node.pool.allocate(bytes.size());
    std::copy(bytes.begin(), bytes.end(), packet.data());
    node.device->receive(std::move(packet), path, now, node.output);
    collect(node);
  }
  void inject(size_t to, const InFlight &datagram) {
    inject(to, datagram.bytes, DatagramPath{datagram.from, datagram.path.remote.address, 7});
  }

  // Delivers and fires what is due, then goes on to the next, for so long.
  void run_for(Duration duration) { run_until(now + duration); }
  void run_until(Time end) {
    while (true) {
      for (auto &node : nodes_) {
        if (!node->device) continue;
        node->device->advance(now, node->output);
        collect(*node);
      }
      while (!wire_.empty() && wire_.front().due <= now) deliver();
      Time next = wire_.empty() ? kNever : wire_.front().due;
      for (auto &node : nodes_) {
        if (node->device) next = std::min(next, node->device->next_deadline());
      }
      if (next > end) break;
      now = std::max(now, next);
    }
    now = end;
  }
  // Delivers what is under way, without time passing but for the wire's own delay.
  void settle() { run_for(latency * 8); }

  // Takes what a node wants sent onto the wire.
  void collect(Node &node) {
    for (Output::Datagram &datagram : node.output.datagrams) {
      InFlight flight{now + latency, order_++, datagram.path, node.endpoint, {}};
      flight.bytes.assign(datagram.packet.bytes().begin(), datagram.packet.bytes().end());
      eavesdropper.see(flight.bytes, flight.from, flight.path.remote);
      sent.push_back(flight);
      if (!tamper || tamper(flight)) put(std::move(flight));
    }
    node.output.datagrams.clear();
    for (Packet &packet : node.output.packets) node.received.push_back(std::move(packet));
    node.output.packets.clear();
  }
  void put(InFlight flight) {
    auto later =
        std::find_if(wire_.begin(), wire_.end(), [&](const InFlight &other) { return other.due > flight.due; });
    wire_.insert(later, std::move(flight));
  }
  // Datagrams of a type among those sent since `sent` was last cleared.
  std::vector<InFlight> sent_of(WireGuardType type) const {
    std::vector<InFlight> found;
    for (const InFlight &flight : sent) {
      if (flight.bytes[0] == static_cast<uint8_t>(type)) found.push_back(flight);
    }
    return found;
  }

  Time now = Time(hours(1));
  Duration latency = milliseconds(1);
  // Called for each datagram; false: it is lost. May change it.
  std::function<bool(InFlight &)> tamper;
  Eavesdropper eavesdropper;
  std::vector<InFlight> sent;

 private:
  void deliver() {
    InFlight flight = std::move(wire_.front());
    wire_.pop_front();
    for (size_t i = 0; i < nodes_.size(); i++) {
      if (nodes_[i]->device && nodes_[i]->endpoint == flight.path.remote) inject(i, flight);
    }
  }

  std::vector<std::unique_ptr<Node>> nodes_;
  std::deque<InFlight> wire_;
  uint64_t order_ = 0;
};

}  // namespace slipgate::test
