// WireGuard peers on a UDP socket: datagrams in batches through the protocol machine, and back.
//
// Lives on one shard. The links of a gateway's shards listen on one port: the kernel gives each what its own sessions
// get, by the shard's number in the receiver index; what is for a peer of another shard leaves by `on_elsewhere`.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.h"
#include "io/loop.h"
#include "io/udp_socket.h"
#include "link/link.h"
#include "link/link_buffers.h"
#include "link/options.h"
#include "link/turn_share.h"
#include "link/wireguard_control.h"
#include "wireguard/device.h"

namespace slipgate {

class WireGuardLink final : public Link,
                            public WireGuardControl,
                            public TurnEnd,
                            private TimerTarget,
                            private UdpSocketOwner {
 public:
  // Binds the socket.
  static Result<std::unique_ptr<WireGuardLink>> open(Loop &loop, const WireGuardLinkOptions &options, LinkPlace link,
                                                     LinkBuffers &buffers, LinkEvents &events, Counters &counters);
  ~WireGuardLink() override;

  void send(std::span<Packet> packets) override;
  std::string client_name(uint32_t client) const override;
  void on_turn_end() override;

  // What another shard's `on_elsewhere` told of: an initiation with where it came from, or an inside packet.
  void receive_passed_on(Bytes bytes, const std::optional<DatagramPath> &initiation_from);

  // Where the socket really listens.
  Endpoint local() const { return socket_->local(); }

  // A new port is bound before the old one is given up. A mark needs CAP_NET_ADMIN.
  WireGuardSettings settings() const override;
  Result<void> change(const wireguard::Key *private_key, std::optional<uint16_t> listen_port,
                      std::optional<uint32_t> mark) override;
  // The same in steps, for several shards, of which all change or none. bind() opens the socket of another port (0: the
  // kernel's choice), one link after another in the order of their numbers; use_bound() gives up the old one for it,
  // drop_bound() lets it go.
  Result<uint16_t> bind(uint16_t port);
  void use_bound();
  void drop_bound() { bound_.reset(); }
  Result<void> set_mark(uint32_t mark);
  void set_private_key(const wireguard::Key &key) { device_.set_private_key(key, loop_.now()); }
  void set_mtu(size_t mtu) { device_.set_mtu(mtu); }
  wireguard::PublicKey public_key() const { return device_.public_key(); }

  std::vector<wireguard::PeerStatus> peers() const override { return device_.peers(); }
  std::optional<wireguard::PeerConfig> peer(const wireguard::PublicKey &key) const override {
    return device_.peer(key);
  }
  size_t peer_count() const override { return device_.peer_count(); }
  void set_peer(const wireguard::PeerConfig &config) override;
  void remove_peer(const wireguard::PublicKey &key) override;
  void set_peer_elsewhere(const wireguard::PublicKey &key, const std::vector<IpPrefix> &allowed_ips, uint32_t shard) {
    device_.set_peer_elsewhere(key, allowed_ips, shard);
  }
  std::optional<wireguard::PeerPlace> place_of(const IpAddress &destination, int shortest = 0) const {
    return device_.place_of(destination, shortest);
  }

  // A handshake was completed with this peer, in either role.
  std::function<void(uint32_t peer, const DatagramPath &path)> on_handshake;
  // The kernel takes no more datagrams (true), or does again: who can hold back, does meanwhile.
  std::function<void(bool congested)> on_congestion;
  // Packets and initiations for peers of other shards.
  std::function<void(std::span<wireguard::Output::Elsewhere>)> on_elsewhere;

 private:
  WireGuardLink(Loop &loop, const WireGuardLinkOptions &options, LinkPlace link, LinkBuffers &buffers,
                LinkEvents &events, Counters &counters);

  // Serves those that wait for their share of this turn.
  struct Waiting final : TurnEnd {
    explicit Waiting(WireGuardLink &of) : link(of) {}
    void on_turn_end() override { link.serve(link.share_.waiting()); }
    WireGuardLink &link;
  };

  Result<std::unique_ptr<UdpSocket>> open_socket(const Endpoint &at);
  void on_datagrams(std::span<Datagram> datagrams) override;
  void serve(std::span<Datagram> datagrams);
  void on_queue_empty() override {
    if (on_congestion) on_congestion(false);
  }
  void on_timer(Timer &timer, Time now) override;
  // What the device wants to send leaves at the end of the turn.
  void queue_datagrams();

  Loop &loop_;
  LinkEvents &events_;
  const uint16_t number_;
  const ShardPlace place_;
  const Endpoint listen_;  // as asked for at first: its address stays
  const size_t queue_capacity_;
  Counters &counters_;
  uint32_t mark_ = 0;
  LinkBuffers &buffers_;
  wireguard::Device device_;
  wireguard::Output output_;
  TurnShare share_;
  Waiting waiting_{*this};
  std::vector<Packet> arrived_;  // inside packets while the shard has them
  std::unique_ptr<UdpSocket> socket_;
  std::unique_ptr<UdpSocket> bound_;  // to the port that is to be the next
  Timer timer_{*this};
};

}  // namespace slipgate
