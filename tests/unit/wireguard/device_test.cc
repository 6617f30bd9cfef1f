// Devices against each other in virtual time: what a user of the tunnel sees.
#include "wireguard/device.h"

#include "crypto/random.h"
#include "support/catch.h"
#include "support/wireguard_net.h"
#include "wireguard/constants.h"

using namespace slipgate;
using namespace slipgate::test;
using namespace slipgate::wireguard;

namespace {

std::vector<std::string> payloads(const Node &node) {
  std::vector<std::string> all;
  for (const Packet &packet : node.received) all.push_back(payload_of(packet));
  return all;
}

}  // namespace

TEST_CASE("a packet begins a handshake, waits for it, and arrives whole from its peer") {
  WireGuardNet net;
  const std::string text = "a text that nobody on the way may read";
  net.eavesdropper.watch_for(bytes_of(std::string_view(text)));
  net.start_pair();
  net.send(0, 1, text);
  REQUIRE(net[1].received.empty());
  net.settle();
  REQUIRE(payloads(net[1]) == std::vector<std::string>{text});
  REQUIRE(net[1].received[0].client == 1);
  REQUIRE(net[1].received[0].size() == 20 + text.size());
  REQUIRE(net[0].handshakes == std::vector<uint32_t>{1});
  REQUIRE(net[1].handshakes == std::vector<uint32_t>{1});

  net.send(1, 0, "and back " + text);
  net.settle();
  REQUIRE(payloads(net[0]) == std::vector<std::string>{"and back " + text});
  REQUIRE(net.eavesdropper.violations().empty());
  REQUIRE(net.eavesdropper.initiations == 1);
  REQUIRE(net.eavesdropper.responses == 1);

  const std::vector<PeerStatus> status = net[1].device->peers();
  REQUIRE(status.size() == 1);
  REQUIRE(status[0].path->remote == net[0].endpoint);
  REQUIRE(status[0].last_handshake);
  REQUIRE(status[0].received_bytes == net[0].device->peers()[0].sent_bytes);
}

TEST_CASE("IPv6 inside") {
  WireGuardNet net;
  net[0].inside = *IpAddress::parse("fd00::1");
  net[1].inside = *IpAddress::parse("fd00::2");
  DeviceConfig first = net.config(0), second = net.config(1);
  first.peers = {net.peer(1)};
  second.peers = {net.peer(0)};
  first.peers[0].allowed_ips = {*IpPrefix::parse("::/0")};
  second.peers[0].allowed_ips = {*IpPrefix::parse("fd00::/64")};
  net.start(0, first);
  net.start(1, second);
  net.send(0, 1, "over IPv6");
  net.settle();
  REQUIRE(payloads(net[1]) == std::vector<std::string>{"over IPv6"});
}

TEST_CASE("a session is renewed while traffic flows, and no packet is lost to it") {
  WireGuardNet net;
  net.start_pair();
  size_t sent = 0;
  for (int i = 0; i < 1200; i++) {
    net.send(i % 2, 1 - i % 2, "packet");
    sent++;
    net.run_for(seconds(1));
  }
  REQUIRE(net[0].received.size() + net[1].received.size() >=
          sent - 1);  // the second has nowhere to send the first moment
  REQUIRE(net.eavesdropper.initiations >= 1200 / 121);
  REQUIRE(net.eavesdropper.initiations <= 1200 / 120 + 1);
  REQUIRE(net.eavesdropper.violations().empty());
}

TEST_CASE("packets are padded to 16 bytes, but not beyond the MTU [wg-padded-to-16]") {
  WireGuardNet net;
  net.eavesdropper.set_mtu(1420);
  net.start_pair();
  for (size_t size = 0; size <= 1400; size += 7) net.send(0, 1, std::string(size, 'x'));
  net.send(0, 1, std::string(1400, 'y'));  // as large as the MTU with its header
  net.settle();
  // Some overflowed while there was no session; those that follow have one.
  for (size_t size = 0; size <= 1400; size += 7) net.send(0, 1, std::string(size, 'x'));
  net.settle();
  REQUIRE(net.eavesdropper.data > 200);
  REQUIRE(net.eavesdropper.violations().empty());
  size_t largest = 0;
  for (const WireGuardNet::InFlight &datagram : net.sent) largest = std::max(largest, datagram.bytes.size());
  REQUIRE(largest == 1420 + 32);
  for (const Packet &packet : net[1].received) REQUIRE(packet.size() <= 1420);
}

TEST_CASE("packets without room round them, or slices of others, are sent all the same") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "first");
  net.settle();
  Packet whole = make_packet(net[0].pool, net[0].inside, net[1].inside, "a slice");
  Packet slice = whole.slice(0, whole.size());
  REQUIRE(slice.headroom() == 0);
  const std::vector<uint8_t> before(whole.bytes().begin(), whole.bytes().end());
  net.send(0, std::move(slice));
  net.settle();
  REQUIRE(payloads(net[1]) == std::vector<std::string>{"first", "a slice"});
  REQUIRE(std::equal(before.begin(), before.end(), whole.data()));
}

TEST_CASE("every datagram in every order: lost, repeated and reordered ones do no harm") {
  WireGuardNet net;
  uint32_t state = 12345;
  auto chance = [&state](uint32_t of) {
    return (state = state * 1664525 + 1013904223) >> 16 & 0xffff ? (state >> 8) % of == 0 : false;
  };
  bool again = false;
  net.tamper = [&](WireGuardNet::InFlight &flight) {
    if (chance(10)) return false;
    if (chance(3)) flight.due += milliseconds(state % 50);
    if (!again && chance(5)) {
      again = true;
      net.put(flight);
      again = false;
    }
    return true;
  };
  net.start_pair();
  for (int i = 0; i < 3000; i++) {
    net.send(0, 1, "up " + std::to_string(i));
    net.send(1, 0, "down " + std::to_string(i));
    net.run_for(milliseconds(100));
  }
  net.run_for(seconds(1));
  for (size_t node : {0, 1}) {
    std::vector<std::string> all = payloads(net[node]);
    REQUIRE(all.size() > 2400);
    std::sort(all.begin(), all.end());
    REQUIRE(std::adjacent_find(all.begin(), all.end()) == all.end());
    REQUIRE(net[node].dropped(DropReason::wireguard_replay) > 100);
  }
  REQUIRE(net.eavesdropper.violations().empty());
}

TEST_CASE("both begin at the same moment: both packets arrive at once, without a retry") {
  WireGuardNet net;
  DeviceConfig first = net.config(0), second = net.config(1);
  first.peers = {net.peer(1)};
  second.peers = {net.peer(0)};
  net.start(0, first);
  net.start(1, second);
  net.send(0, 1, "from the first");
  net.send(1, 0, "from the second");
  net.run_for(seconds(1));
  REQUIRE(payloads(net[0]) == std::vector<std::string>{"from the second"});
  REQUIRE(payloads(net[1]) == std::vector<std::string>{"from the first"});
  for (int i = 0; i < 10; i++) {
    net.send(0, 1, "more");
    net.send(1, 0, "more");
    net.run_for(seconds(1));
  }
  REQUIRE(net[0].received.size() == 11);
  REQUIRE(net[1].received.size() == 11);
}

TEST_CASE("the endpoint follows every authenticated packet [wg-endpoint-follows-data]") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "here");
  net.settle();
  net[0].endpoint = {IpAddress::v4(198, 51, 100, 9), 9999};
  net.send(0, 1, "now there");
  net.settle();
  net.send(1, 0, "found you");
  net.settle();
  REQUIRE(payloads(net[0]) == std::vector<std::string>{"found you"});
  REQUIRE(net[1].device->peers()[0].path->remote == net[0].endpoint);
  // A forged packet moves nothing, a keepalive does.
  WireGuardNet::InFlight forged = net.sent_of(WireGuardType::transport).back();
  forged.bytes.back() ^= 1;
  net.inject(1, forged.bytes, DatagramPath{{IpAddress::v4(203, 0, 113, 66), 1}, {}, 0});
  REQUIRE(net[1].device->peers()[0].path->remote == net[0].endpoint);
  net.sent.clear();
  net.send(1, 0, "asks for a keepalive");
  net.settle();
  net[0].endpoint.port = 7777;
  net.run_for(KEEPALIVE_TIMEOUT + seconds(1));
  REQUIRE(net[1].device->peers()[0].path->remote == net[0].endpoint);
}

TEST_CASE("an answer leaves from the address that was written to [wg-reply-from-address-written-to]") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "to your other address");
  WireGuardNet::InFlight initiation = net.sent.back();
  const DatagramPath path{net[0].endpoint, IpAddress::v4(192, 0, 2, 222), 3};
  net.sent.clear();
  net.inject(1, initiation.bytes, path);
  REQUIRE(net.sent.size() == 1);
  REQUIRE(net.sent[0].bytes[0] == static_cast<uint8_t>(WireGuardType::response));
  REQUIRE(net.sent[0].path == path);
}

TEST_CASE("a peer whose path broke is written to from whatever address the kernel chooses") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "hello");
  net.settle();
  net.send(1, 0, "hello");
  net.settle();
  net.tamper = [](WireGuardNet::InFlight &) { return false; };
  net.send(0, 1, "into the dark");
  REQUIRE(net.sent.back().path.local == IpAddress::v4(192, 0, 2, 1));
  net.run_for(seconds(25));
  REQUIRE(net.sent.back().bytes[0] == static_cast<uint8_t>(WireGuardType::initiation));
  REQUIRE(net.sent.back().path.local == IpAddress());
}

TEST_CASE(
    "another pre-shared key: the standing session stays, the next handshake uses it [wg-psk-change-keeps-session]") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "before");
  net.settle();
  const Key key = generate_private_key();
  PeerConfig changed = net.peer(1);
  changed.preshared_key = key;
  net[0].device->set_peer(changed, net.now, net[0].output);
  net.send(0, 1, "after");
  net.send(1, 0, "after");
  net.settle();
  REQUIRE(net[1].received.size() == 2);
  REQUIRE(net[0].received.size() == 1);
  REQUIRE(net.eavesdropper.initiations == 1);

  // Only one side has it: no new session comes about.
  net.run_for(REJECT_AFTER_TIME);
  net.send(0, 1, "lost");
  net.run_for(seconds(30));
  REQUIRE(net[1].received.size() == 2);
  REQUIRE(net[0].dropped(DropReason::wireguard_bad_handshake) > 0);
  changed = net.peer(0, false);
  changed.preshared_key = key;
  net[1].device->set_peer(changed, net.now, net[1].output);
  net.run_for(seconds(10));
  net.send(0, 1, "both have it");
  net.run_for(seconds(10));
  REQUIRE(payloads(net[1]).back() == "both have it");
}

TEST_CASE("a removed peer's sessions end at once [wg-remove-kills-sessions] [wg-last-owner-forgotten]") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "one");
  net.settle();
  net[1].device->remove_peer(net[0].public_key);
  REQUIRE(net[1].device->peers().empty());
  net.send(0, 1, "two");
  net.settle();
  REQUIRE(net[1].received.size() == 1);
  REQUIRE(net[1].dropped(DropReason::wireguard_unknown_index) == 1);
  net.send(1, 0, "three");
  REQUIRE(net[1].dropped(DropReason::wireguard_no_peer) == 1);
  // Added again it is somebody new.
  REQUIRE(net[1].device->set_peer(net.peer(0), net.now, net[1].output) == 2);
  net.run_for(seconds(20));
  net.send(0, 1, "four");
  net.run_for(seconds(20));
  REQUIRE(payloads(net[1]).back() == "four");
  REQUIRE(net[1].received.back().client == 2);
}

TEST_CASE("a packet counts only with a source that is its peer's [wg-allowed-ips-on-receive]") {
  WireGuardNet net(3);
  DeviceConfig hub = net.config(1);
  hub.peers = {net.peer(0, false), net.peer(2, false)};
  hub.peers[0].allowed_ips = {*IpPrefix::parse("10.0.0.0/24")};
  hub.peers[1].allowed_ips = {*IpPrefix::parse("10.0.0.3/32")};
  net.start(1, hub);
  DeviceConfig leaf = net.config(0);
  leaf.peers = {net.peer(1)};
  net.start(0, leaf);
  net.send(0, 1, "mine");
  net.settle();
  REQUIRE(net[1].received.size() == 1);
  // 10.0.0.3 lies in the peer's /24, but a longer prefix gives it to another.
  net.send(0, make_packet(net[0].pool, net[2].inside, net[1].inside, "stolen"));
  net.send(0, make_packet(net[0].pool, IpAddress::v4(172, 16, 0, 1), net[1].inside, "nobody's"));
  net.settle();
  REQUIRE(net[1].received.size() == 1);
  REQUIRE(net[1].dropped(DropReason::wireguard_bad_source) == 2);
}

TEST_CASE("an allowed IP named again moves to the last peer named [wg-allowed-ip-moves]") {
  WireGuardNet net(3);
  DeviceConfig hub = net.config(1);
  hub.peers = {net.peer(0), net.peer(2)};
  net.start(1, hub);
  const IpAddress first = net[0].inside;
  REQUIRE(net[1].device->place_of(first) == PeerPlace{0, 1});
  PeerConfig taker = net.peer(2);
  taker.allowed_ips.push_back(IpPrefix(first, 32));
  REQUIRE(net[1].device->set_peer(taker, net.now, net[1].output) == 2);
  REQUIRE(net[1].device->place_of(first) == PeerPlace{0, 2});
  const std::vector<PeerStatus> status = net[1].device->peers();
  REQUIRE(status[0].config.allowed_ips.empty());
  REQUIRE(status[1].config.allowed_ips.size() == 2);
  // The first is removed: what it lost stays where it is.
  net[1].device->remove_peer(net[0].public_key);
  REQUIRE(net[1].device->place_of(first) == PeerPlace{0, 2});
  // Replaced: what is not named any more is nobody's.
  net[1].device->set_peer(net.peer(2), net.now, net[1].output);
  REQUIRE_FALSE(net[1].device->place_of(first));
  REQUIRE(net[1].device->place_of(net[2].inside) == PeerPlace{0, 2});
}

TEST_CASE("the same peer set again changes nothing that stands") {
  WireGuardNet net;
  net.start_pair(25);
  net.run_for(seconds(1));
  net.send(0, 1, "one");
  net.settle();
  PeerConfig same = net.peer(1);
  same.persistent_keepalive = 25;
  REQUIRE(net[0].device->set_peer(same, net.now, net[0].output) == 1);
  net.send(0, 1, "two");
  net.settle();
  REQUIRE(net[1].received.size() == 2);
  REQUIRE(net.eavesdropper.initiations == 1);
  REQUIRE(net[0].device->peers()[0].path->local != IpAddress());
}

TEST_CASE("our own public key is no peer; a new private key ends sessions and answers for itself") {
  WireGuardNet net;
  net.start_pair();
  PeerConfig self = net.peer(0);
  REQUIRE(net[0].device->set_peer(self, net.now, net[0].output) == 0);
  net.send(0, 1, "old key");
  net.settle();
  const Key fresh = generate_private_key();
  net[0].device->set_private_key(fresh, net.now);
  REQUIRE(net[0].device->public_key() == public_key_of(fresh));
  PeerConfig again = net.peer(0, false);
  again.public_key = public_key_of(fresh);
  net[1].device->set_peer(again, net.now, net[1].output);
  net.send(0, 1, "new key");
  net.settle();
  REQUIRE(payloads(net[1]) == std::vector<std::string>{"old key", "new key"});
  REQUIRE(net[1].received.back().client == 2);
}

TEST_CASE("a device without a private key is silent") {
  WireGuardNet net;
  net.start_pair();
  net[1].device->set_private_key(Key(), net.now);
  net.send(0, 1, "anybody?");
  net.settle();
  REQUIRE(net.sent_of(WireGuardType::response).empty());
  net[1].device->set_private_key(net[1].private_key, net.now);
  net.run_for(seconds(6));
  REQUIRE(net[1].received.size() == 1);
}

TEST_CASE("names of peers, for people") {
  WireGuardNet net;
  DeviceConfig config = net.config(0);
  config.peers = {net.peer(1)};
  config.peers[0].name = "phone";
  net.start(0, config);
  REQUIRE(net[0].device->peer_name(1) == "phone");
  REQUIRE(net[0].device->peer_name(9) == "peer 9 (removed)");
}

TEST_CASE("thousands of peers, each with its own packets") {
  constexpr size_t kPeers = 2000;
  BufferPool pool(2048, 100'000, 1000);
  Counters counters;
  Output output;
  DeviceConfig config;
  config.private_key = generate_private_key();
  for (uint32_t i = 0; i < kPeers; i++) {
    PeerConfig peer;
    fill_random(peer.public_key);
    const be32 address(0x0a000000 + i);
    peer.allowed_ips = {IpPrefix(IpAddress::from_v4(bytes_of(address)), 32)};
    peer.endpoint = Endpoint{IpAddress::v4(192, 0, 2, 1), static_cast<uint16_t>(1000 + i)};
    config.peers.push_back(peer);
  }
  Device device(config, pool, counters, Time(hours(1)));
  for (uint32_t i = 0; i < kPeers; i += 10) {
    const be32 address(0x0a000000 + i);
    device.send(make_packet(pool, IpAddress::v4(10, 255, 0, 1), IpAddress::from_v4(bytes_of(address)), "x"),
                Time(hours(1)), output);
    REQUIRE(output.datagrams.back().path.remote.port == 1000 + i);
  }
  REQUIRE(output.datagrams.size() == kPeers / 10);
}
