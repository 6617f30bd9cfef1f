#include "gateway/link_peers.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "crypto/x25519.h"

namespace slipgate {

LinkPeers::LinkPeers(uint16_t link, const WireGuardLinkOptions &options, std::vector<size_t> &population,
                     std::function<void()> changed)
    : link_(link),
      population_(population),
      changed_(std::move(changed)),
      chosen_by_kernel_(options.listen.port == 0),
      public_key_(public_key_of(options.private_key)) {}

std::vector<PlacedPeer> LinkPeers::place(const std::vector<WireGuardPeerOptions> &peers) {
  std::vector<PlacedPeer> placed;
  for (const WireGuardPeerOptions &peer : peers) {
    const wireguard::PublicKey &key = peer.config.public_key;
    if (key != public_key_) placed.push_back({peer, link_, place(key)});
  }
  return placed;
}

std::vector<PeerName> LinkPeers::forget_others(const std::vector<WireGuardPeerOptions> &peers) {
  std::vector<PeerName> gone;
  for (const auto &[key, shard] : shard_of_) {
    const bool kept = std::any_of(peers.begin(), peers.end(), [&key = key](const WireGuardPeerOptions &peer) {
      return peer.config.public_key == key;
    });
    if (!kept) gone.push_back({link_, key});
  }
  for (const PeerName &peer : gone) forget(peer.key);
  return gone;
}

void LinkPeers::started(ShardThreads &threads) {
  threads_ = &threads;
  public_key_ = threads_->ask(0, [this](GatewayShard &shard) { return shard.wireguard(link_).public_key(); });
}

WireGuardSettings LinkPeers::settings() const {
  return threads_->ask(0, [this](GatewayShard &shard) { return shard.wireguard(link_).settings(); });
}

// One shard after another: their sockets make one group, in the order of their numbers.
// All shards or none: what may fail comes first, and is undone where it was done.
Result<void> LinkPeers::change(const wireguard::Key *private_key, std::optional<uint16_t> listen_port,
                               std::optional<uint32_t> mark) {
  // 0 lets the kernel choose, which it did already unless a port was named.
  const bool chosen_by_kernel = listen_port == uint16_t{0};
  if (chosen_by_kernel && chosen_by_kernel_) listen_port.reset();
  const WireGuardSettings before = settings();
  const bool moves = listen_port && *listen_port != before.listen_port;
  Result<void> done;
  // One after another: their sockets make one group, in the order of their numbers, and the others join the first.
  for (uint32_t number = 0; number < threads_->count() && done; number++) {
    done = threads_->ask(number, [&](GatewayShard &shard) -> Result<void> {
      WireGuardLink &link = shard.wireguard(link_);
      if (mark) {
        if (Result<void> marked = link.set_mark(*mark); !marked) return marked;
      }
      if (!moves) return {};
      Result<uint16_t> port = link.bind(*listen_port);
      if (!port) return port.error();
      listen_port = *port;
      return {};
    });
  }
  threads_->ask_all([&](GatewayShard &shard) {
    WireGuardLink &link = shard.wireguard(link_);
    if (done) {
      link.use_bound();
      if (private_key) link.set_private_key(*private_key);
    } else {
      link.drop_bound();
      (void)link.set_mark(before.mark);
    }
  });
  if (!done) return done;
  if (listen_port) chosen_by_kernel_ = chosen_by_kernel;
  if (private_key) {  // the peer of our own public key is none any more
    public_key_ = threads_->ask(0, [this](GatewayShard &shard) { return shard.wireguard(link_).public_key(); });
    forget(public_key_);
  }
  return {};
}

std::vector<wireguard::PeerStatus> LinkPeers::peers() const {
  std::vector<wireguard::PeerStatus> sum;
  for (auto &one : threads_->ask_all([this](GatewayShard &shard) { return shard.wireguard(link_).peers(); })) {
    std::move(one.begin(), one.end(), std::back_inserter(sum));
  }
  return sum;
}

std::optional<wireguard::PeerConfig> LinkPeers::peer(const wireguard::PublicKey &key) const {
  auto found = shard_of_.find(key);
  if (found == shard_of_.end()) return std::nullopt;
  return threads_->ask(found->second, [&](GatewayShard &shard) { return shard.wireguard(link_).peer(key); });
}

void LinkPeers::set_peer(const wireguard::PeerConfig &config) {
  if (config.public_key == public_key_) return;
  const uint32_t home = place(config.public_key);
  threads_->tell_all([link = link_, config, home](GatewayShard &shard) { shard.set_peer(link, config, home); });
  changed_();
}

void LinkPeers::remove_peer(const wireguard::PublicKey &key) {
  forget(key);
  threads_->tell_all([peer = PeerName{link_, key}](GatewayShard &shard) { shard.remove_peer(peer); });
  changed_();
}

void LinkPeers::settle() {
  threads_->ask_all([](GatewayShard &) {});
}

uint32_t LinkPeers::place(const wireguard::PublicKey &key) {
  auto [found, added] = shard_of_.try_emplace(key, 0);
  if (added) {
    auto fewest = std::min_element(population_.begin(), population_.end());
    ++*fewest;
    found->second = static_cast<uint32_t>(fewest - population_.begin());
  }
  return found->second;
}

void LinkPeers::forget(const wireguard::PublicKey &key) {
  auto found = shard_of_.find(key);
  if (found == shard_of_.end()) return;
  population_[found->second]--;
  shard_of_.erase(found);
}

}  // namespace slipgate
