// The peers of one WireGuard link of a gateway: on which shard each lives, and what WireGuard's userspace API asks and
// changes about them on all shards.
//
// Lives on the thread that controls the gateway.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "gateway/gateway_shard.h"
#include "gateway/options.h"
#include "gateway/shard_threads.h"
#include "link/wireguard_control.h"

namespace slipgate {

class LinkPeers final : public WireGuardControl {
 public:
  // `population`: how many peers each shard has, of all links. `changed`: names or addresses of peers are others now.
  LinkPeers(uint16_t link, const WireGuardLinkOptions &options, std::vector<size_t> &population,
            std::function<void()> changed);

  // Where each of these lives: where it did, or a new one where the fewest do. The gateway's own key is no peer.
  std::vector<PlacedPeer> place(const std::vector<WireGuardPeerOptions> &peers);
  // Those that are not among these live nowhere any more.
  std::vector<PeerName> forget_others(const std::vector<WireGuardPeerOptions> &peers);
  // The shards serve; they outlive this.
  void started(ShardThreads &threads);

  WireGuardSettings settings() const override;
  Result<void> change(const wireguard::Key *private_key, std::optional<uint16_t> listen_port,
                      std::optional<uint32_t> mark) override;
  std::vector<wireguard::PeerStatus> peers() const override;
  std::optional<wireguard::PeerConfig> peer(const wireguard::PublicKey &key) const override;
  size_t peer_count() const override { return shard_of_.size(); }
  void set_peer(const wireguard::PeerConfig &config) override;
  void remove_peer(const wireguard::PublicKey &key) override;
  void settle() override;

 private:
  uint32_t place(const wireguard::PublicKey &key);
  void forget(const wireguard::PublicKey &key);

  const uint16_t link_;
  std::vector<size_t> &population_;
  const std::function<void()> changed_;
  ShardThreads *threads_ = nullptr;
  std::map<wireguard::PublicKey, uint32_t> shard_of_;
  bool chosen_by_kernel_;  // the port
  wireguard::PublicKey public_key_;
};

}  // namespace slipgate
