#include "wireguard/device.h"

#include <cstring>
#include <map>
#include <unordered_map>

#include "crypto/key_text.h"
#include "wire/ip.h"
#include "wireguard/handshake_limiter.h"
#include "wireguard/peer.h"

namespace slipgate::wireguard {
namespace {

// Public keys are as good as random, and who may add one is trusted.
struct KeyHash {
  size_t operator()(const PublicKey &key) const {
    size_t hash;
    std::memcpy(&hash, key.data(), sizeof(hash));
    return hash;
  }
};

std::optional<IpAddress> destination_of(Bytes packet) {
  if (const auto *v4 = view_as<Ipv4Header>(packet); v4 && v4->version() == 4) return v4->destination();
  if (const auto *v6 = view_as<Ipv6Header>(packet); v6 && v6->version() == 6) return v6->destination();
  return std::nullopt;
}

// What this shard knows of a peer of another.
struct DistantPeer final : PrefixOwner {
  using PrefixOwner::PrefixOwner;
  void lose_allowed_ip(const IpPrefix &prefix) override { std::erase(allowed_ips, prefix); }

  std::vector<IpPrefix> allowed_ips;
};

}  // namespace

class Device::State {
 public:
  State(const DeviceConfig &config, BufferPool &pool, Counters &counters, Time now)
      : common_{config.shard,
                Identity(config.private_key),
                TimerWheel(now),
                IndexTable(config.shard_bits, config.shard),
                {},
                Tai64nClock(config.wall_offset),
                pool,
                counters,
                config.mtu},
        macs_(common_.identity.public_key),
        id_step_(config.id_step),
        next_id_(config.first_id) {
    for (const PeerConfig &peer : config.peers) set_peer(peer, now);
  }

  // Every call that takes the time begins here: what is due happens first.
  Time begin(Time now, Output &output) {
    common_.output = &output;
    common_.completed = nullptr;
    common_.wheel.advance(now);
    // A clock that went backwards stands still for us.
    return common_.wheel.now();  // lesson: wg-clock-backwards
  }

  void receive(Packet datagram, const DatagramPath &path, Time now);
  void receive_passed_on(Bytes datagram, const DatagramPath &path, Time now);
  void send(Packet packet, Time now);
  Time next_deadline() const { return common_.wheel.next_deadline(); }
  const Peer *completed() const { return common_.completed; }

  void set_mtu(size_t mtu) { common_.mtu = mtu; }
  const Identity &identity() const { return common_.identity; }
  void set_private_key(const Key &key);
  uint32_t set_peer(const PeerConfig &config, Time now);
  void set_peer_elsewhere(const PublicKey &key, const std::vector<IpPrefix> &allowed_ips, uint32_t shard);
  void remove_peer(const PublicKey &key);
  const std::map<uint32_t, std::unique_ptr<Peer>> &peers() const { return peers_; }
  const Peer *peer_of(const PublicKey &key) const {
    auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : found->second;
  }
  std::optional<PeerPlace> place_of(const IpAddress &address, int shortest) const {
    const auto [owner, length] = common_.allowed_ips.match(address, shortest);
    if (!owner) return std::nullopt;
    return PeerPlace{owner->shard, lives_here(*owner) ? static_cast<const Peer *>(owner)->id() : 0, length};
  }

 private:
  void receive_initiation(Packet datagram, const DatagramPath &path, Time now);
  void receive_response(Bytes datagram, const DatagramPath &path, Time now);
  void receive_cookie_reply(Bytes datagram, Time now);
  void receive_transport(Packet datagram, const DatagramPath &path, Time now);
  bool worth_work(Bytes message, uint32_t sender, const DatagramPath &path, Time now);
  bool lives_here(const PrefixOwner &owner) const { return owner.shard == common_.shard; }
  std::vector<IpPrefix> take_over(const std::vector<IpPrefix> &prefixes, PrefixOwner &owner);
  void drop(DropReason reason) { common_.counters.drop(reason); }

  Common common_;  // outlives the peers
  MacChecker macs_;
  HandshakeLimiter limiter_;
  std::map<uint32_t, std::unique_ptr<Peer>> peers_;
  std::unordered_map<PublicKey, Peer *, KeyHash> by_key_;
  std::unordered_map<PublicKey, DistantPeer, KeyHash> elsewhere_;
  const uint32_t id_step_;
  uint32_t next_id_;
};

void Device::State::receive(Packet datagram, const DatagramPath &path, Time now) {
  const Bytes bytes = datagram.bytes();
  const le32 *type = view_as<le32>(bytes);
  if (!type) return drop(DropReason::wireguard_bad_length);
  switch (static_cast<WireGuardType>(type->value())) {
    case WireGuardType::transport:
      if (bytes.size() < sizeof(WireGuardTransport) + kAeadTag) return drop(DropReason::wireguard_bad_length);
      return receive_transport(std::move(datagram), path, now);
    case WireGuardType::initiation:
      if (bytes.size() != sizeof(WireGuardInitiation)) return drop(DropReason::wireguard_bad_length);
      return receive_initiation(std::move(datagram), path, now);
    case WireGuardType::response:
      if (bytes.size() != sizeof(WireGuardResponse)) return drop(DropReason::wireguard_bad_length);
      return receive_response(bytes, path, now);
    case WireGuardType::cookie_reply:
      if (bytes.size() != sizeof(WireGuardCookieReply)) return drop(DropReason::wireguard_bad_length);
      return receive_cookie_reply(bytes, now);
  }
  drop(DropReason::wireguard_bad_type);
}

void Device::State::receive_transport(Packet datagram, const DatagramPath &path, Time now) {
  const auto &header = *view_as<WireGuardTransport>(datagram.bytes());
  const IndexTable::Entry *entry = common_.indices.find(header.receiver);
  if (!entry || !entry->keypair) return drop(DropReason::wireguard_unknown_index);
  entry->keypair->prefetch_for(header.counter);
  entry->peer->prefetch_hot();
  entry->peer->receive(*entry->keypair, std::move(datagram), path, now);
}

void Device::State::receive_initiation(Packet datagram, const DatagramPath &path, Time now) {
  const auto &message = *view_as<WireGuardInitiation>(datagram.bytes());
  if (!worth_work(datagram.bytes(), message.sender, path, now)) return;
  std::optional<OpenedInitiation> opened = open_initiation(common_.identity, message);
  if (!opened) return drop(DropReason::wireguard_bad_handshake);
  if (auto found = by_key_.find(opened->static_key); found != by_key_.end()) {
    return found->second->receive(std::move(*opened), message, path, now);
  }
  auto distant = elsewhere_.find(opened->static_key);
  if (distant == elsewhere_.end()) return drop(DropReason::wireguard_unknown_peer);
  common_.output->elsewhere.push_back({std::move(datagram), distant->second.shard, path});
}

void Device::State::receive_passed_on(Bytes datagram, const DatagramPath &path, Time now) {
  const auto *message = view_as<WireGuardInitiation>(datagram);
  if (!message) return drop(DropReason::wireguard_bad_length);
  std::optional<OpenedInitiation> opened = open_initiation(common_.identity, *message);
  if (!opened) return drop(DropReason::wireguard_bad_handshake);
  auto found = by_key_.find(opened->static_key);
  if (found == by_key_.end()) return drop(DropReason::wireguard_unknown_peer);  // removed meanwhile
  found->second->receive(std::move(*opened), *message, path, now);
}

void Device::State::receive_response(Bytes datagram, const DatagramPath &path, Time now) {
  const auto &message = *view_as<WireGuardResponse>(datagram);
  const IndexTable::Entry *entry = common_.indices.find(message.receiver);
  if (!entry || entry->keypair) return drop(DropReason::wireguard_unknown_index);
  if (!worth_work(datagram, message.sender, path, now)) return;
  entry->peer->receive(message, path, now);
}

void Device::State::receive_cookie_reply(Bytes datagram, Time now) {
  const auto &message = *view_as<WireGuardCookieReply>(datagram);
  const IndexTable::Entry *entry = common_.indices.find(message.receiver);
  if (!entry) return drop(DropReason::wireguard_unknown_index);
  entry->peer->receive(message, now);
}

// Section 5.3: whether the X25519 operations that a handshake message costs are spent on this one. If it is only the
// proof of the sender's address that is missing, the sender gets a cookie.
bool Device::State::worth_work(Bytes message, uint32_t sender, const DatagramPath &path, Time now) {
  if (!macs_.mac1_is_valid(message)) {  // lesson: wg-mac1-checked
    drop(DropReason::wireguard_bad_mac1);
    return false;
  }
  const bool proven = macs_.mac2_is_valid(message, path.remote, now);  // lesson: wg-under-load-needs-mac2
  switch (limiter_.judge(path.remote.address, proven, now)) {
    case HandshakeLimiter::Verdict::admit:
      return true;
    case HandshakeLimiter::Verdict::drop:
      drop(DropReason::wireguard_handshake_flood);
      return false;
    case HandshakeLimiter::Verdict::ask_cookie:
      drop(DropReason::wireguard_bad_mac2);
      break;
  }
  if (Packet packet = common_.allocate(sizeof(WireGuardCookieReply))) {
    *view_as<WireGuardCookieReply>(packet.mutable_bytes()) = macs_.make_reply(message, sender, path.remote, now);
    common_.output->datagrams.push_back({std::move(packet), path});
  }
  return false;
}

void Device::State::send(Packet packet, Time now) {
  const std::optional<IpAddress> destination = destination_of(packet.bytes());
  if (!destination) return drop(DropReason::bad_version);
  PrefixOwner *owner = common_.last_destination.find(common_.allowed_ips, *destination);
  if (!owner) return drop(DropReason::wireguard_no_peer);
  if (lives_here(*owner)) return static_cast<Peer *>(owner)->send(std::move(packet), now);
  common_.output->elsewhere.push_back({std::move(packet), owner->shard, std::nullopt});
}

void Device::State::set_private_key(const Key &key) {
  const Identity identity(key);
  if (identity.public_key == common_.identity.public_key && identity.present == common_.identity.present) return;
  remove_peer(identity.public_key);
  common_.identity = identity;
  macs_.set_public_key(identity.public_key);
  for (auto &[id, peer] : peers_) peer->identity_changed();
}

uint32_t Device::State::set_peer(const PeerConfig &config, Time now) {
  if (common_.identity.present && config.public_key == common_.identity.public_key) return 0;
  if (elsewhere_.contains(config.public_key)) remove_peer(config.public_key);
  Peer *&peer = by_key_[config.public_key];
  if (peer) {
    for (const IpPrefix &prefix : peer->config().allowed_ips) common_.allowed_ips.remove(prefix);
    peer->configure(config, now);
  } else {
    auto made = std::make_unique<Peer>(next_id_, config, common_, now);
    peer = made.get();
    peers_.emplace(next_id_, std::move(made));
    next_id_ += id_step_;
  }
  peer->set_allowed_ips(take_over(config.allowed_ips, *peer));
  return peer->id();
}

// Those of `prefixes` that are the owner's, each once.
std::vector<IpPrefix> Device::State::take_over(const std::vector<IpPrefix> &prefixes, PrefixOwner &owner) {
  std::vector<IpPrefix> taken;
  for (const IpPrefix &prefix : prefixes) {
    PrefixOwner *before = common_.allowed_ips.set(prefix, owner);
    if (before == &owner) continue;               // named twice
    if (before) before->lose_allowed_ip(prefix);  // lesson: wg-allowed-ip-moves
    taken.push_back(prefix);
  }
  return taken;
}

void Device::State::set_peer_elsewhere(const PublicKey &key, const std::vector<IpPrefix> &allowed_ips, uint32_t shard) {
  remove_peer(key);
  DistantPeer &peer = elsewhere_.try_emplace(key, shard).first->second;
  peer.allowed_ips = take_over(allowed_ips, peer);
}

void Device::State::remove_peer(const PublicKey &key) {
  if (auto distant = elsewhere_.find(key); distant != elsewhere_.end()) {
    for (const IpPrefix &prefix : distant->second.allowed_ips) common_.allowed_ips.remove(prefix);
    elsewhere_.erase(distant);
    return;
  }
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return;
  const Peer *peer = found->second;
  for (const IpPrefix &prefix : peer->config().allowed_ips) common_.allowed_ips.remove(prefix);
  by_key_.erase(found);
  peers_.erase(peer->id());  // lesson: wg-remove-kills-sessions
}

Device::Device(const DeviceConfig &config, BufferPool &datagram_pool, Counters &counters, Time now)
    : state_(std::make_unique<State>(config, datagram_pool, counters, now)) {}

Device::~Device() = default;

void Device::receive(Packet datagram, const DatagramPath &path, Time now, Output &output) {
  now = state_->begin(now, output);
  state_->receive(std::move(datagram), path, now);
  const Peer *peer = state_->completed();
  // Last: who is told may change or remove peers.
  if (peer && on_handshake) on_handshake(peer->id(), DatagramPath(*peer->path()));
}

void Device::receive_passed_on(Packet initiation, const DatagramPath &path, Time now, Output &output) {
  now = state_->begin(now, output);
  state_->receive_passed_on(initiation.bytes(), path, now);
}

void Device::send(Packet packet, Time now, Output &output) {
  now = state_->begin(now, output);
  state_->send(std::move(packet), now);
}

void Device::advance(Time now, Output &output) {
  state_->begin(now, output);
}

Time Device::next_deadline() const {
  return state_->next_deadline();
}

void Device::set_mtu(size_t mtu) {
  state_->set_mtu(mtu);
}

PublicKey Device::public_key() const {
  return state_->identity().public_key;
}

Key Device::private_key() const {
  return state_->identity().private_key;
}

void Device::set_private_key(const Key &key, Time) {
  state_->set_private_key(key);
}

uint32_t Device::set_peer(const PeerConfig &config, Time now, Output &output) {
  return state_->set_peer(config, state_->begin(now, output));
}

void Device::set_peer_elsewhere(const PublicKey &key, const std::vector<IpPrefix> &allowed_ips, uint32_t shard) {
  state_->set_peer_elsewhere(key, allowed_ips, shard);
}

void Device::remove_peer(const PublicKey &key) {
  state_->remove_peer(key);
}

std::vector<PeerStatus> Device::peers() const {
  std::vector<PeerStatus> statuses;
  for (const auto &[id, peer] : state_->peers()) statuses.push_back(peer->status());
  return statuses;
}

std::optional<PeerConfig> Device::peer(const PublicKey &key) const {
  const Peer *peer = state_->peer_of(key);
  return peer ? std::optional(peer->config()) : std::nullopt;
}

size_t Device::peer_count() const {
  return state_->peers().size();
}

std::optional<PeerPlace> Device::place_of(const IpAddress &destination, int shortest) const {
  return state_->place_of(destination, shortest);
}

std::string Device::peer_name(uint32_t id) const {
  auto found = state_->peers().find(id);
  if (found == state_->peers().end()) return "peer " + std::to_string(id) + " (removed)";
  const PeerConfig &config = found->second->config();
  return config.name.empty() ? to_base64(config.public_key).substr(0, 8) + "…" : config.name;
}

}  // namespace slipgate::wireguard
