// Devices and those who mean them harm.
#include "crypto/aead.h"
#include "crypto/random.h"
#include "support/catch.h"
#include "support/wireguard_net.h"
#include "wireguard/constants.h"
#include "wireguard/cookie.h"
#include "wireguard/handshake_limiter.h"
#include "wireguard/keypair.h"
#include "wireguard/noise.h"

using namespace slipgate;
using namespace slipgate::test;
using namespace slipgate::wireguard;

namespace {

const Endpoint kAttacker{IpAddress::v4(203, 0, 113, 66), 6666};

// A peer made of the formulas alone, which can say what no honest one does.
class RawPeer {
 public:
  RawPeer(WireGuardNet &net, size_t us, size_t them) : net_(net), us_(us), them_(them), identity_(net[us].private_key) {
    remote_.public_key = net[them].public_key;
    remote_.set_identity(identity_);
  }

  std::vector<uint8_t> initiation(const Tai64n &timestamp) {
    std::vector<uint8_t> bytes(sizeof(WireGuardInitiation));
    pending_ =
        create_initiation(identity_, remote_, timestamp, 4711, *view_as<WireGuardInitiation>(MutableBytes(bytes)));
    MacMaker(remote_.public_key).add(bytes, net_.now);
    return bytes;
  }
  // Injects, and takes the answer.
  bool handshake(const Tai64n &timestamp = {1}) {
    net_.sent.clear();
    inject(initiation(timestamp));
    if (net_.sent.empty() || net_.sent.back().bytes.size() != sizeof(WireGuardResponse)) return false;
    const auto &response = *view_as<WireGuardResponse>(Bytes(net_.sent.back().bytes));
    keys_ = open_response(*pending_, identity_, remote_, response);
    receiver_ = response.sender;
    return keys_.has_value();
  }
  std::vector<uint8_t> transport(uint64_t counter, Bytes inside) {
    std::vector<uint8_t> bytes(sizeof(WireGuardTransport) + inside.size() + kAeadTag);
    auto &header = *view_as<WireGuardTransport>(MutableBytes(bytes));
    header.type = static_cast<uint32_t>(WireGuardType::transport);
    header.receiver = receiver_;
    header.counter = counter;
    std::copy(inside.begin(), inside.end(), bytes.begin() + sizeof(WireGuardTransport));
    AeadKey(keys_->send).seal(counter, MutableBytes(bytes).subspan(sizeof(WireGuardTransport)));
    return bytes;
  }
  void inject(Bytes bytes) {
    net_.inject(them_, bytes, DatagramPath{net_[us_].endpoint, net_[them_].endpoint.address, 0});
  }

 private:
  WireGuardNet &net_;
  const size_t us_, them_;
  const Identity identity_;
  RemoteIdentity remote_;
  std::optional<PendingInitiation> pending_;
  std::optional<SessionKeys> keys_;
  uint32_t receiver_ = 0;
};

// An initiation with a valid mac1 and nothing behind it: what everybody can make who knows the public key.
std::vector<uint8_t> junk_initiation(const PublicKey &to, Time now) {
  std::vector<uint8_t> bytes(sizeof(WireGuardInitiation));
  fill_random(bytes);
  view_as<WireGuardInitiation>(MutableBytes(bytes))->type = 1;
  MacMaker(to).add(bytes, now);
  return bytes;
}

void flood(WireGuardNet &net, size_t node, const Endpoint &from, int count = 1000) {
  for (int i = 0; i < count; i++)
    net.inject(node, junk_initiation(net[node].public_key, net.now), DatagramPath{from, {}, 0});
}

}  // namespace

TEST_CASE("an initiation counts once: its replay, or an older one, gets no answer [wg-initiation-replay-refused]") {
  WireGuardNet net;
  net.start_pair();
  RawPeer raw(net, 0, 1);
  const std::vector<uint8_t> older = raw.initiation({1});
  const std::vector<uint8_t> first = raw.initiation({2});
  net.sent.clear();
  raw.inject(first);
  REQUIRE(net.sent.size() == 1);
  for (const std::vector<uint8_t> &again : {first, older}) {
    net.run_for(seconds(1));
    raw.inject(again);
    REQUIRE(net.sent.size() == 1);
  }
  REQUIRE(net[1].dropped(DropReason::wireguard_replayed_handshake) == 2);
  raw.inject(raw.initiation({3}));
  REQUIRE(net.sent.size() == 2);
  // Nor does a replay from elsewhere move the peer.
  net.inject(1, first, DatagramPath{kAttacker, {}, 0});
  REQUIRE(net[1].device->peers()[0].path->remote == net[0].endpoint);
}

TEST_CASE("a peer's own initiations in a flood are dropped [wg-initiation-spacing]") {
  WireGuardNet net;
  net.start_pair();
  RawPeer raw(net, 0, 1);
  for (uint8_t i = 1; i <= 10; i++) raw.inject(raw.initiation({i}));
  REQUIRE(net.sent.size() == 1);
  REQUIRE(net[1].dropped(DropReason::wireguard_handshake_flood) == 9);
}

TEST_CASE("who does not know our public key gets no answer [wg-mac1-checked]") {
  WireGuardNet net;
  net.start_pair();
  RawPeer raw(net, 0, 1);
  std::vector<uint8_t> initiation = raw.initiation({1});
  initiation[sizeof(WireGuardInitiation) - 32] ^= 1;
  raw.inject(initiation);
  REQUIRE(net.sent.empty());
  REQUIRE(net[1].dropped(DropReason::wireguard_bad_mac1) == 1);
}

TEST_CASE("a stranger with a right mac1 is not answered") {
  WireGuardNet net(3);
  net.start_pair();
  RawPeer stranger(net, 2, 1);
  REQUIRE_FALSE(stranger.handshake());
  REQUIRE(net.sent.empty());
  REQUIRE(net[1].dropped(DropReason::wireguard_unknown_peer) == 1);
}

TEST_CASE("one attacker does not put everybody into cookie mode [wg-cookie-mode-per-source]") {
  WireGuardNet net;
  net.start_pair();
  flood(net, 1, kAttacker, 3000);
  REQUIRE(net.eavesdropper.cookie_replies == 3000 - HandshakeLimiter::kPerSourceBurst);
  const size_t cookies = net.eavesdropper.cookie_replies;
  net.send(0, 1, "not disturbed");
  net.settle();
  REQUIRE(net[1].received.size() == 1);
  REQUIRE(net.eavesdropper.cookie_replies == cookies);
}

TEST_CASE("under load a handshake needs a valid mac2, and gets through with one [wg-under-load-needs-mac2]") {
  WireGuardNet net;
  net.start_pair();
  // The attacker forges the peer's own address.
  flood(net, 1, {net[0].endpoint.address, 1});
  net.sent.clear();
  net.send(0, 1, "wait for me");
  net.run_for(milliseconds(5));
  REQUIRE(net.sent_of(WireGuardType::cookie_reply).size() == 1);
  REQUIRE(net.sent_of(WireGuardType::response).empty());
  REQUIRE(net[1].received.empty());
  // With the cookie the next attempt passes, though the flood goes on.
  for (int i = 0; i < 60; i++) {
    flood(net, 1, {net[0].endpoint.address, 1}, 100);
    net.run_for(milliseconds(100));
  }
  REQUIRE(net[1].received.size() == 1);
  REQUIRE(net.sent_of(WireGuardType::response).size() == 1);
}

TEST_CASE("a cookie reply does not move the endpoint [wg-endpoint-not-from-cookie]") {
  WireGuardNet net;
  net.start_pair();
  flood(net, 1, {net[0].endpoint.address, 1});
  net.sent.clear();
  net.tamper = [](WireGuardNet::InFlight &flight) {
    return flight.bytes[0] != static_cast<uint8_t>(WireGuardType::cookie_reply);
  };
  net.send(0, 1, "wait for me");
  net.run_for(milliseconds(5));
  const auto replies = net.sent_of(WireGuardType::cookie_reply);
  REQUIRE(replies.size() == 1);
  net.inject(0, replies[0].bytes, DatagramPath{kAttacker, {}, 0});
  REQUIRE(net[0].dropped(DropReason::wireguard_bad_cookie) == 0);
  REQUIRE(net[0].device->peers()[0].path->remote == net[1].endpoint);
}

TEST_CASE("a response without its cookie under load is asked for one too") {
  WireGuardNet net;
  net.start_pair();
  flood(net, 0, {net[1].endpoint.address, 1});
  net.send(0, 1, "wait for me");
  net.run_for(seconds(20));
  REQUIRE(net[1].received.size() == 1);
}

TEST_CASE(
    "an inside packet is as long as its IP header says, whatever was padded to it [wg-inner-length-from-header]") {
  WireGuardNet net;
  net.start_pair();
  RawPeer raw(net, 0, 1);
  REQUIRE(raw.handshake());
  Packet inside = make_packet(net[0].pool, net[0].inside, net[1].inside, "five5");
  inside.grow_back(32);
  raw.inject(raw.transport(0, inside.bytes()));
  REQUIRE(net[1].received.size() == 1);
  REQUIRE(net[1].received[0].size() == 25);
  REQUIRE(payload_of(net[1].received[0]) == "five5");
}

TEST_CASE("an inside packet that claims more than came, or is not IP, is dropped [wg-inner-length-checked]") {
  WireGuardNet net;
  net.start_pair();
  RawPeer raw(net, 0, 1);
  REQUIRE(raw.handshake());
  uint64_t counter = 0;
  Packet v4 = make_packet(net[0].pool, net[0].inside, net[1].inside, "text");
  const std::vector<uint8_t> good(v4.bytes().begin(), v4.bytes().end());
  for (int length : {0, 19, 25, 65535}) {
    std::vector<uint8_t> bad = good;
    view_as<Ipv4Header>(MutableBytes(bad))->total_length = static_cast<uint16_t>(length);
    raw.inject(raw.transport(counter++, bad));
  }
  std::vector<uint8_t> v6(48);
  v6[0] = 0x60;
  view_as<Ipv6Header>(MutableBytes(v6))->payload_length = uint16_t{9};
  raw.inject(raw.transport(counter++, v6));
  for (size_t size = 1; size < good.size(); size++) raw.inject(raw.transport(counter++, Bytes(good).first(size)));
  for (uint8_t version = 0; version < 16; version++) {
    std::vector<uint8_t> bad(60);
    if (version != 4 && version != 6)
      bad[0] = static_cast<uint8_t>(version << 4), raw.inject(raw.transport(counter++, bad));
  }
  REQUIRE(net[1].received.empty());
  REQUIRE(net[1].dropped(DropReason::wireguard_bad_inner) == counter);
}

TEST_CASE("counters may jump and come back within the window, on a device as well") {
  WireGuardNet net;
  net.start_pair();
  RawPeer raw(net, 0, 1);
  REQUIRE(raw.handshake());
  Packet inside = make_packet(net[0].pool, net[0].inside, net[1].inside, "x");
  for (uint64_t counter : {uint64_t{20'000}, uint64_t{20'000 - 8191}, uint64_t{20'000 - 8192}, uint64_t{20'000}}) {
    raw.inject(raw.transport(counter, inside.bytes()));
  }
  REQUIRE(net[1].received.size() == 2);
  REQUIRE(net[1].dropped(DropReason::wireguard_replay) == 2);
  raw.inject(raw.transport(REJECT_AFTER_MESSAGES, inside.bytes()));
  REQUIRE(net[1].dropped(DropReason::wireguard_expired_session) == 1);
}

TEST_CASE("a responder does not send before the initiator used the session") {
  WireGuardNet net;
  net.start_pair();
  RawPeer raw(net, 0, 1);
  REQUIRE(raw.handshake());
  net.sent.clear();
  net.send(1, 0, "too early");
  REQUIRE(net.sent_of(WireGuardType::transport).empty());
  raw.inject(raw.transport(0, {}));
  REQUIRE(net.sent_of(WireGuardType::transport).size() == 1);
}

TEST_CASE("any datagram of any length: counted, nothing else [wg-any-datagram]") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "a session stands");
  net.settle();
  net.sent.clear();
  const uint32_t index = *net.eavesdropper.indices().begin();
  BufferPool large(70'000, 10, 10);
  Node &node = net[1];
  uint64_t fed = 0;
  for (size_t size = 0; size < 66'000; size += size < 400 ? 1 : 977) {
    for (uint8_t type = 0; type < 6; type++) {
      Packet datagram = large.allocate(size, 0);
      fill_random(datagram.mutable_bytes());
      if (size >= 4) {
        datagram.data()[0] = type;
        std::fill_n(datagram.data() + 1, 3, uint8_t{0});
      }
      if (size >= 8) *view_as<le32>(datagram.mutable_bytes().subspan(4)) = index;
      node.device->receive(std::move(datagram), DatagramPath{kAttacker, {}, 0}, net.now, node.output);
      fed++;
    }
  }
  REQUIRE(node.output.datagrams.empty());
  REQUIRE(node.output.packets.empty());
  REQUIRE(large.alive() == 0);
  uint64_t dropped = 0;
  for (uint64_t count : node.counters.drops) dropped += count;
  REQUIRE(dropped == fed);
  net.send(0, 1, "it still stands");
  net.settle();
  REQUIRE(node.received.size() == 2);
}

TEST_CASE("inside packets that are not IP, or too large to be sealed, are dropped with a reason") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "first");
  net.settle();
  net.send(0, net[0].pool.allocate(0));
  net.send(0, net[0].pool.allocate(10));
  net.send(0, Packet());
  REQUIRE(net[0].dropped(DropReason::bad_version) == 3);
  BufferPool large(70'000, 10, 10);
  Packet packet = make_packet(large, net[0].inside, net[1].inside, std::string(60'000, 'x'));
  net.send(0, packet.slice(0, packet.size()));  // no room of its own, and too large for our buffers
  REQUIRE(net[0].dropped(DropReason::message_too_long) == 1);
  net.send(0, std::move(packet));
  net.send(0, make_packet(net[0].pool, net[0].inside, IpAddress::v4(192, 168, 0, 1), "to nobody"));
  REQUIRE(net[0].dropped(DropReason::wireguard_no_peer) == 1);
  PeerConfig nowhere = net.peer(0, false);
  nowhere.public_key[0] ^= 1;
  nowhere.allowed_ips = {*IpPrefix::parse("192.168.0.0/16")};
  net[0].device->set_peer(nowhere, net.now, net[0].output);
  net.send(0, make_packet(net[0].pool, net[0].inside, IpAddress::v4(192, 168, 0, 1), "no endpoint"));
  REQUIRE(net[0].dropped(DropReason::wireguard_no_endpoint) == 1);
}

TEST_CASE("buffers that run out, or are too small, delay and do not crash") {
  for (uint32_t capacity : {0u, 32u, 150u, 300u}) {
    BufferPool pool(capacity, 1, 1);
    BufferPool source(2048, 100, 100);
    Counters counters;
    Output output;
    WireGuardNet net;
    DeviceConfig config = net.config(0);
    config.peers = {net.peer(1)};
    config.peers[0].persistent_keepalive = 1;
    Device device(config, pool, counters, net.now);
    for (int i = 0; i < 50; i++) {
      device.send(make_packet(source, net[0].inside, net[1].inside, "x"), net.now + seconds(i), output);
      device.receive(source.allocate(148), DatagramPath{kAttacker, {}, 0}, net.now + seconds(i), output);
    }
    // One buffer only, and nobody gave it back.
    REQUIRE(output.datagrams.size() == (capacity == 300 ? 1 : 0));
    REQUIRE(counters.dropped(capacity == 300 ? DropReason::buffers_exhausted : DropReason::message_too_long) > 0);
  }
}

TEST_CASE("the hot path gives nothing back to the heap and takes nothing: buffers stay as many as they were") {
  WireGuardNet net;
  net.start_pair();
  net.send(0, 1, "first");
  net.settle();
  net.sent.clear();
  Node &a = net[0], &b = net[1];
  for (int i = 0; i < 1000; i++) {
    Packet packet = make_packet(a.pool, a.inside, b.inside, "data");
    const uint8_t *place = packet.data();
    a.device->send(std::move(packet), net.now, a.output);
    REQUIRE(a.output.datagrams.size() == 1);
    Packet datagram = std::move(a.output.datagrams[0].packet);
    a.output.datagrams.clear();
    REQUIRE(datagram.data() + sizeof(WireGuardTransport) == place);  // sealed where it lay
    b.device->receive(std::move(datagram), DatagramPath{a.endpoint, b.endpoint.address, 0}, net.now, b.output);
    REQUIRE(b.output.packets.size() == 1);
    REQUIRE(b.output.packets[0].data() == place);  // and opened there
    b.output.packets.clear();
  }
}
