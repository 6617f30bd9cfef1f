// A device in the hands of the input: datagrams as they are, datagrams made valid so that what lies behind the macs and
// the AEAD is reached, packets from inside, time that passes, peers that come and go.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/counters.h"
#include "base/packet.h"
#include "crypto/aead.h"
#include "wire/ip.h"
#include "wire/wireguard_messages.h"
#include "wireguard/cookie.h"
#include "wireguard/device.h"
#include "wireguard/noise.h"

using namespace slipgate;
using namespace slipgate::wireguard;

namespace {

Secret<32> fixed_key(uint8_t fill) {
  Secret<32> key;
  std::fill_n(key.data(), 32, fill);
  clamp(key);
  return key;
}

struct World {
  BufferPool pool{2048, 4096, 256};
  BufferPool datagrams{66'000, 64, 8};
  Counters counters;
  Output output;
  Time now = Time(hours(1));
  Identity us{fixed_key(1)}, them{fixed_key(2)};
  RemoteIdentity we_as_seen;
  std::optional<PendingInitiation> pending;
  std::optional<SessionKeys> keys;
  uint32_t receiver = 0;
  uint32_t last_sender = 0;  // of what the device sent last: an index of ours that stands
  uint64_t stamp = 0;
  std::optional<Device> device;

  World() {
    we_as_seen.public_key = us.public_key;
    we_as_seen.set_identity(them);
    DeviceConfig config;
    config.private_key = us.private_key;
    config.peers = {peer()};
    device.emplace(config, pool, counters, now);
  }

  PeerConfig peer() const {
    PeerConfig config;
    config.public_key = them.public_key;
    config.allowed_ips = {*IpPrefix::parse("10.0.0.0/8"), *IpPrefix::parse("fd00::/8")};
    config.endpoint = Endpoint{IpAddress::v4(192, 0, 2, 1), 1};
    return config;
  }

  void receive(Bytes bytes, uint8_t source) {
    Packet datagram = datagrams.allocate(bytes.size(), 0);
    if (!datagram) return;
    std::copy(bytes.begin(), bytes.end(), datagram.data());
    device->receive(std::move(datagram), DatagramPath{{IpAddress::v4(192, 0, 2, source), source}, {}, 0}, now, output);
    look();
  }

  // What came out must be whole, and is read as the next one reads it.
  void look() {
    for (const Output::Datagram &datagram : output.datagrams) {
      const Bytes bytes = datagram.packet.bytes();
      if (bytes.size() < 32) std::abort();
      const le32 *words = view_as<le32>(bytes);
      last_sender = words[1];
      if (bytes.size() == sizeof(WireGuardResponse) && words[0] == 2 && pending) {
        const auto &response = *view_as<WireGuardResponse>(bytes);
        if (auto opened = open_response(*pending, them, we_as_seen, response))
          keys = *opened, receiver = response.sender;
      }
    }
    for (const Packet &packet : output.packets) {
      if (packet.client == 0) std::abort();
      const auto *v4 = view_as<Ipv4Header>(packet.bytes());
      const auto *v6 = view_as<Ipv6Header>(packet.bytes());
      const bool whole = (v4 && v4->version() == 4 && v4->total_length == packet.size()) ||
                         (v6 && v6->version() == 6 && v6->payload_length + size_t{40} == packet.size());
      if (!whole) std::abort();
    }
    output.datagrams.clear();
    output.packets.clear();
  }

  void initiate(Bytes over, uint8_t source) {
    std::array<uint8_t, sizeof(WireGuardInitiation)> bytes{};
    Tai64n timestamp{};
    const be64 count(++stamp);
    std::copy_n(reinterpret_cast<const uint8_t *>(&count), 8, timestamp.begin());
    pending = create_initiation(them, we_as_seen, timestamp, 77, *view_as<WireGuardInitiation>(MutableBytes(bytes)));
    std::copy_n(over.begin(), std::min<size_t>(over.size(), 4), bytes.begin() + 4);
    MacMaker(us.public_key).add(bytes, now);
    receive(bytes, source);
  }

  void transport(Bytes inside, uint64_t counter, uint8_t source) {
    if (!keys) return;
    std::vector<uint8_t> bytes(sizeof(WireGuardTransport) + inside.size() + kAeadTag);
    auto &header = *view_as<WireGuardTransport>(MutableBytes(bytes));
    header.type = static_cast<uint32_t>(WireGuardType::transport);
    header.receiver = receiver;
    header.counter = counter;
    std::copy(inside.begin(), inside.end(), bytes.begin() + sizeof(WireGuardTransport));
    AeadKey(keys->send).seal(counter, MutableBytes(bytes).subspan(sizeof(WireGuardTransport)));
    receive(bytes, source);
  }

  // Any bytes, with a mac1 that is right: of the kind and to the index that make them be looked at.
  void with_mac(Bytes bytes, bool response, uint8_t source) {
    std::vector<uint8_t> message(response ? sizeof(WireGuardResponse) : sizeof(WireGuardInitiation));
    std::copy_n(bytes.begin(), std::min(bytes.size(), message.size()), message.begin());
    le32 *words = view_as<le32>(MutableBytes(message));
    words[0] = response ? 2 : 1;
    if (response) words[2] = last_sender;
    MacMaker(us.public_key).add(message, now);
    receive(message, source);
  }

  void inside(Bytes bytes) {
    Packet packet = pool.allocate(std::min<size_t>(bytes.size(), 1500));
    if (!packet) return;
    std::copy_n(bytes.begin(), packet.size(), packet.data());
    device->send(std::move(packet), now, output);
    look();
  }
};

}  // namespace

// The input is a row of actions: one byte what, one byte how much of what follows it takes, one byte an argument.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  World world;
  ByteReader input({data, size});
  for (int step = 0; step < 64 && input.remaining() >= 3; step++) {
    const uint8_t action = input.u8();
    const size_t length = std::min<size_t>(input.u8(), input.remaining() - 1);
    const uint8_t argument = input.u8();
    const Bytes bytes = input.take(length);
    switch (action % 9) {
      case 0:
        world.receive(bytes, argument);
        break;
      case 1:
        world.initiate(bytes, argument);
        break;
      case 2:
        world.transport(bytes, argument, argument);
        break;
      case 3:
        world.with_mac(bytes, argument & 1, argument);
        break;
      case 4:
        world.inside(bytes);
        break;
      case 5:
        world.now += milliseconds(uint64_t{argument} * argument * 10);
        world.device->advance(world.now, world.output);
        world.look();
        break;
      case 6: {
        PeerConfig peer = world.peer();
        if (argument & 1) peer.public_key[0] ^= argument;
        peer.persistent_keepalive = argument;
        if (argument & 2) peer.preshared_key = fixed_key(argument);
        world.device->set_peer(peer, world.now, world.output);
        world.look();
        break;
      }
      case 7:
        world.device->remove_peer(world.them.public_key);
        break;
      case 8:
        world.transport(bytes, ~uint64_t{0} - (uint64_t{argument} << 8), argument);
        break;
    }
    (void)world.device->next_deadline();
    (void)world.device->peers();
  }
  return 0;
}
