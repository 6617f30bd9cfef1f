// One identity on two devices: what belongs to the other one's peers is passed on, not answered and not lost.
#include "support/catch.h"
#include "support/wireguard_net.h"

using namespace slipgate;
using namespace slipgate::test;
using namespace slipgate::wireguard;

namespace {

// Node 0 is a client; nodes 1 and 2 are shards 0 and 1 of the gateway that it knows, with node 1's key and socket. The
// client's peer lives on shard 1.
struct TwoShards {
  WireGuardNet net{3};

  TwoShards() {
    DeviceConfig client = net.config(0);
    client.peers = {net.peer(1)};
    net.start(0, client);
    for (uint32_t shard : {0u, 1u}) {
      DeviceConfig gateway = net.config(1);
      gateway.shard_bits = 1;
      gateway.shard = shard;
      net.start(1 + shard, gateway);
    }
    const PeerConfig peer = net.peer(0, false);
    net[1].device->set_peer_elsewhere(peer.public_key, peer.allowed_ips, 1);
    net[2].device->set_peer(peer, net.now, net[2].output);
  }

  std::vector<Output::Elsewhere> passed_on() { return std::exchange(net[1].output.elsewhere, {}); }
};

}  // namespace

TEST_CASE("an initiation goes to the shard of its peer, whose index answers") {
  TwoShards shards;
  WireGuardNet &net = shards.net;
  net.send(0, 1, "hello");
  net.run_for(net.latency);
  std::vector<Output::Elsewhere> passed = shards.passed_on();
  REQUIRE(passed.size() == 1);
  REQUIRE(passed[0].shard == 1);
  REQUIRE(passed[0].initiation_from);
  REQUIRE(net.sent_of(WireGuardType::response).empty());

  net[2].device->receive_passed_on(std::move(passed[0].packet), *passed[0].initiation_from, net.now, net[2].output);
  net.collect(net[2]);
  const auto responses = net.sent_of(WireGuardType::response);
  REQUIRE(responses.size() == 1);
  REQUIRE((view_as<WireGuardResponse>(responses[0].bytes)->sender.value() & 1) == 1);
  net.settle();
  // The session stands: the client follows the answer, and what it had waiting arrives where its peer lives.
  REQUIRE(net[2].received.size() == 1);
  REQUIRE(payload_of(net[2].received[0]) == "hello");
  REQUIRE(net[1].received.empty());
}

TEST_CASE("an initiation whose MACs are wrong is passed to nobody") {
  TwoShards shards;
  WireGuardNet &net = shards.net;
  net.tamper = [](WireGuardNet::InFlight &flight) {
    flight.bytes[offsetof(WireGuardInitiation, macs)] ^= 1;
    return true;
  };
  net.send(0, 1, "hello");
  net.run_for(net.latency);
  REQUIRE(shards.passed_on().empty());
  REQUIRE(net[1].dropped(DropReason::wireguard_bad_mac1) == 1);
}

TEST_CASE("a packet for a peer of another shard is passed on as it is") {
  TwoShards shards;
  WireGuardNet &net = shards.net;
  REQUIRE(net[1].device->place_of(net[0].inside) == PeerPlace{1, 0});
  REQUIRE(net[2].device->place_of(net[0].inside) == PeerPlace{1, 1});
  net.send(1, make_packet(net[1].pool, net[1].inside, net[0].inside, "over there"));
  std::vector<Output::Elsewhere> passed = shards.passed_on();
  REQUIRE(passed.size() == 1);
  REQUIRE(passed[0].shard == 1);
  REQUIRE_FALSE(passed[0].initiation_from);
  REQUIRE(payload_of(passed[0].packet) == "over there");
}

TEST_CASE("allowed IPs move between peers of different shards [wg-allowed-ip-moves]") {
  TwoShards shards;
  WireGuardNet &net = shards.net;
  Device &device = *net[1].device;
  const IpAddress inside = net[0].inside;
  PeerConfig here;
  here.public_key = {1, 2, 3};
  here.allowed_ips = {IpPrefix(inside, 32)};
  device.set_peer(here, net.now, net[1].output);
  REQUIRE(device.place_of(inside) == PeerPlace{0, 1});
  // The distant peer has lost it: its removal takes nothing away.
  device.remove_peer(net[0].public_key);
  REQUIRE(device.place_of(inside) == PeerPlace{0, 1});
  device.set_peer_elsewhere(net[0].public_key, here.allowed_ips, 1);
  REQUIRE(device.place_of(inside) == PeerPlace{1, 0});
  REQUIRE(device.peers()[0].config.allowed_ips.empty());
  // What is not named any more is nobody's.
  device.set_peer_elsewhere(net[0].public_key, {}, 1);
  REQUIRE_FALSE(device.place_of(inside));
}
