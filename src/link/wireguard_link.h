// WireGuard peers on a UDP socket: datagrams in batches through the protocol machine, and back.
//
// Lives on one shard.
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
#include "link/options.h"
#include "wireguard/device.h"

namespace slipgate {

class WireGuardLink final : public Link, public TurnEnd, private TimerTarget, private UdpSocketOwner {
 public:
  // Binds the socket. `number` is what the shard calls this link.
  static Result<std::unique_ptr<WireGuardLink>> open(Loop &loop, const WireGuardLinkOptions &options, uint16_t number,
                                                     LinkEvents &events, Counters &counters);
  ~WireGuardLink() override;

  void send(std::span<Packet> packets) override;
  std::string client_name(uint32_t client) const override;
  void on_turn_end() override;

  // Where the socket really listens.
  Endpoint local() const { return socket_->local(); }

  // SO_MARK of what the socket sends; needs CAP_NET_ADMIN.
  Result<void> set_mark(uint32_t mark) { return socket_->set_mark(mark); }

  // Adds a peer, or changes the one with this public key.
  void set_peer(const wireguard::PeerConfig &config);
  void remove_peer(const wireguard::PublicKey &key);
  wireguard::PublicKey public_key() const { return device_.public_key(); }
  std::vector<wireguard::PeerStatus> peers() const { return device_.peers(); }
  std::optional<uint32_t> peer_for(const IpAddress &destination, int shortest = 0) const {
    return device_.peer_for(destination, shortest);
  }

  // A handshake was completed with this peer, in either role.
  std::function<void(uint32_t peer, const DatagramPath &path)> on_handshake;
  // The kernel takes no more datagrams (true), or does again: who can hold back, does meanwhile.
  std::function<void(bool congested)> on_congestion;

 private:
  WireGuardLink(Loop &loop, const WireGuardLinkOptions &options, uint16_t number, LinkEvents &events,
                Counters &counters);

  void on_datagrams(std::span<Datagram> datagrams) override;
  void on_queue_empty() override {
    if (on_congestion) on_congestion(false);
  }
  void on_timer(Timer &timer, Time now) override;
  // What the device wants to send leaves at the end of the turn.
  void queue_datagrams();

  Loop &loop_;
  LinkEvents &events_;
  const uint16_t number_;
  BufferPool batches_;  // what the socket receives into
  BufferPool singles_;  // lone datagrams, handshakes, keepalives
  wireguard::Device device_;
  wireguard::Output output_;
  std::vector<Packet> arrived_;  // inside packets while the shard has them
  std::unique_ptr<UdpSocket> socket_;
  Timer timer_{*this};
};

}  // namespace slipgate
