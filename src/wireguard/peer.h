// One peer: its handshake, its sessions, the packets that wait for one, and where it is.
//
// Lives on one shard, owned by its Device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/counters.h"
#include "base/packet.h"
#include "base/prefetch.h"
#include "base/timer_wheel.h"
#include "wire/wireguard_messages.h"
#include "wireguard/allowed_ips.h"
#include "wireguard/cookie.h"
#include "wireguard/device.h"
#include "wireguard/index_table.h"
#include "wireguard/keypair.h"
#include "wireguard/noise.h"
#include "wireguard/tai64n.h"
#include "wireguard/timers.h"

namespace slipgate::wireguard {

// What all peers of one device have in common.
struct Common {
  const uint32_t shard;
  Identity identity;
  TimerWheel wheel;
  IndexTable indices;
  AllowedIps allowed_ips;
  Tai64nClock clock;
  BufferPool &pool;
  Counters &counters;
  size_t mtu;
  LastOwner last_destination;  // whose the last inside packet to send was
  size_t staged_bytes = 0;     // held by staged packets of all peers
  Output *output = nullptr;    // of the call under way
  Peer *completed = nullptr;   // with whom that call completed a handshake

  // A packet of `size` bytes from the pool with room to be sealed; empty, and counted, when there is none.
  Packet allocate(size_t size);
};

class Peer final : public PrefixOwner, private TimerActions {
 public:
  Peer(uint32_t id, const PeerConfig &config, Common &common, Time now);
  ~Peer();

  uint32_t id() const { return id_; }
  const PeerConfig &config() const { return config_; }
  PeerStatus status() const;
  const std::optional<DatagramPath> &path() const { return path_; }

  // Takes over all but the public key and the allowed IPs. Sessions stay.
  void configure(const PeerConfig &config, Time now);
  // The allowed IPs that the peer has by what others took from it.
  void set_allowed_ips(std::vector<IpPrefix> prefixes) { config_.allowed_ips = std::move(prefixes); }
  void lose_allowed_ip(const IpPrefix &prefix) override;
  // Our private key is another one: sessions made with the old one end.
  void identity_changed();

  // An inside packet for the peer.
  void send(Packet packet, Time now);

  // A packet of this session is about to be opened: what it touches here is fetched while the AEAD works.
  void prefetch_hot() const { prefetch(this, &config_); }

  // Messages that the device found to be of this peer. What does not authenticate is counted and changes nothing.
  void receive(Keypair &keypair, Packet datagram, const DatagramPath &path, Time now);
  void receive(OpenedInitiation opened, const WireGuardInitiation &message, const DatagramPath &path, Time now);
  void receive(const WireGuardResponse &message, const DatagramPath &path, Time now);
  void receive(const WireGuardCookieReply &message, Time now);

 private:
  // Our own initiation that is not answered yet.
  struct Pending {
    PendingInitiation state;
    uint32_t index = 0;
  };

  void send_keepalive(Time now) override;
  void on_silence(bool retry, Time now) override;
  void give_up_handshake(Time now) override;
  void forget_sessions() override;

  void begin_handshake(Time now);
  void send_initiation(Time now);
  void authenticated(size_t datagram_size, const DatagramPath &path, Time now);

  void stage(Packet packet);
  void send_staged(Time now);
  void drop_staged(DropReason reason);
  bool seal_and_send(Packet packet, Time now);
  void emit(Packet datagram, Time now);

  void begin_session(std::unique_ptr<Keypair> keypair, Time now);
  void confirm_next(Time now);
  void complete_handshake(Time now);
  void end(std::unique_ptr<Keypair> &keypair);
  void end_pending();

  // What every packet touches, close together: with 10,000 peers it is memory that a packet waits for.
  const uint32_t id_;
  bool late_rekey_sent_ = false;  // this session's receiving already asked for a new one
  Common &common_;
  // Section 6.1 and Linux's names: `current` sends; `previous` still receives what was under way when it was replaced;
  // `next` is a session that we answered with and that the initiator has not used yet.
  std::unique_ptr<Keypair> current_, next_, previous_;
  std::vector<Packet> staged_;
  uint64_t received_bytes_ = 0, sent_bytes_ = 0;
  LastOwner last_source_;
  std::optional<DatagramPath> path_;
  Timers timers_;

  PeerConfig config_;
  RemoteIdentity remote_;
  MacMaker macs_;
  std::optional<Pending> pending_;
  Tai64n greatest_timestamp_{};
  std::optional<Time> initiation_received_;
  std::optional<Time> handshake_sent_;  // an initiation or a response
  std::optional<Time> last_handshake_;
};

}  // namespace slipgate::wireguard
