// WireGuard as a machine without I/O (whitepaper: "WireGuard: Next Generation Kernel Network Tunnel", sections 5 and
// 6).
//
// Datagrams, inside packets and the time go in; datagrams to send and decrypted packets come out. Nothing here asks for
// the time, opens a socket or waits. Lives on one shard.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/counters.h"
#include "base/packet.h"
#include "base/secret.h"
#include "base/time.h"

namespace slipgate::wireguard {

using Key = Secret<32>;  // private or pre-shared
using PublicKey = std::array<uint8_t, 32>;

struct PeerConfig {
  PublicKey public_key{};
  Key preshared_key;  // zeros: none
  std::vector<IpPrefix> allowed_ips;
  std::optional<Endpoint> endpoint;
  uint16_t persistent_keepalive = 0;  // seconds, 0: off
  std::string name;                   // for logs; may be empty
};

struct DeviceConfig {
  Key private_key;
  std::vector<PeerConfig> peers;
  // Receiver indices that we hand out have their low `shard_bits` bits equal to `shard`.
  int shard_bits = 0;
  uint32_t shard = 0;
  // Peers are numbered first_id, first_id + id_step and so on: those of several devices differ.
  uint32_t first_id = 1;
  uint32_t id_step = 1;
  // Wall clock minus BootClock at start, for TAI64N: kept, so that jumps of the wall clock do not matter.
  Duration wall_offset{};
  // Padding never makes an inside packet longer than this (a longer packet is padded all the same).
  size_t mtu = 1420;
};

// What a call brought about. Reused from call to call: the caller empties it, its capacity stays.
struct Output {
  struct Datagram {
    Packet packet;
    DatagramPath path;
  };
  std::vector<Datagram> datagrams;  // to send, in order
  std::vector<Packet> packets;      // inside packets that arrived; client = the peer's id

  // What is for a peer of another shard: an inside packet, or a handshake initiation as it came.
  struct Elsewhere {
    Packet packet;
    uint32_t shard = 0;
    std::optional<DatagramPath> initiation_from;  // none: an inside packet
  };
  std::vector<Elsewhere> elsewhere;
};

// Where the peer of an address lives.
struct PeerPlace {
  uint32_t shard = 0;
  uint32_t id = 0;  // among that shard's peers; 0: another shard's, whose business it is
  int length = 0;   // of the prefix that the address is in

  bool operator==(const PeerPlace &other) const { return shard == other.shard && id == other.id; }
};

// What a person or the UAPI may ask about a peer.
struct PeerStatus {
  uint32_t id = 0;
  PeerConfig config;
  std::optional<DatagramPath> path;  // where it was last heard of
  std::optional<Time> last_handshake;
  uint64_t received_bytes = 0, sent_bytes = 0;
};

class Device {
 public:
  // `datagram_pool` gives the buffers of handshake messages and keepalives.
  Device(const DeviceConfig &config, BufferPool &datagram_pool, Counters &counters, Time now);
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;

  // Datagrams from the socket, opened in place.
  void receive(Packet datagram, const DatagramPath &path, Time now, Output &output);
  // An initiation that another shard found to be worth its work (MACs, load) and for a peer of this one.
  void receive_passed_on(Packet initiation, const DatagramPath &path, Time now, Output &output);
  // An inside packet for whichever peer has its destination, sealed in place (needs headroom 16, tailroom 16 +
  // padding). Without a session it is staged and a handshake begins.
  void send(Packet packet, Time now, Output &output);

  // Fires what is due.
  void advance(Time now, Output &output);
  // When advance() must be called next; kNever: nothing to do. May be too early, never too late.
  Time next_deadline() const;

  void set_mtu(size_t mtu);  // as DeviceConfig::mtu
  PublicKey public_key() const;
  Key private_key() const;  // clamped (RFC 7748 section 5); zeros: none
  // Changes take effect at once; standing sessions of other peers are not touched (lessons: PSK change, removal).
  void set_private_key(const Key &key, Time now);
  // Adds, or changes the peer of that public key, and gives its id; 0 for our own public key, which is no peer. No
  // endpoint: the one known stays. Allowed IPs replace those the peer had, and move here from whoever had them.
  uint32_t set_peer(const PeerConfig &config, Time now, Output &output);
  // The same for a peer that lives on `shard`: what is for it comes out as Output::elsewhere.
  void set_peer_elsewhere(const PublicKey &key, const std::vector<IpPrefix> &allowed_ips, uint32_t shard);
  void remove_peer(const PublicKey &key);  // wherever it lives
  // Of the peers that live here.
  std::vector<PeerStatus> peers() const;
  std::optional<PeerConfig> peer(const PublicKey &key) const;
  size_t peer_count() const;
  // Who has the address in its AllowedIPs, in a prefix of at least `shortest` bits.
  std::optional<PeerPlace> place_of(const IpAddress &destination, int shortest = 0) const;
  std::string peer_name(uint32_t id) const;  // name, else a short form of the public key

  // A handshake was completed with this peer (either role): for hints and logs.
  std::function<void(uint32_t peer, const DatagramPath &path)> on_handshake;

  class State;  // wireguard/*.cc only

 private:
  std::unique_ptr<State> state_;
};

}  // namespace slipgate::wireguard
