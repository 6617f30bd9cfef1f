// What of a gateway lives on one thread: its links, the shard, its stack, flow table and services. A gateway has one
// for each of its threads, and they share nothing: each has its own peers, which only it serves, and knows where the
// others' are. What is for another's goes by its mailbox.
//
// Made, used and destroyed on the thread of its loop, unless a method says otherwise.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dns/resolver.h"
#include "dns/server.h"
#include "flow/flow_table.h"
#include "gateway/context.h"
#include "gateway/dial.h"
#include "gateway/far_link.h"
#include "gateway/heap_trim.h"
#include "gateway/options.h"
#include "gateway/rates.h"
#include "gateway/serve_forward.h"
#include "gateway/serve_icmp.h"
#include "gateway/serve_tcp.h"
#include "gateway/serve_udp.h"
#include "gateway/status.h"
#include "host/host_addresses.h"
#include "io/mailbox.h"
#include "io/wait.h"
#include "link/gue_link.h"
#include "link/link_buffers.h"
#include "link/wireguard_link.h"
#include "shard/shard.h"

namespace slipgate {

// What descriptors allow of what was asked for.
FlowLimits limits_in_force(const GatewayOptions &options);
// The gateway's own inside addresses.
std::vector<IpAddress> own_addresses(const GatewayOptions &options);

// A peer, the number of its link and of the shard that it lives on.
struct PlacedPeer {
  WireGuardPeerOptions peer;
  uint16_t link = 0;
  uint32_t shard = 0;
};

// A peer's name on a link.
struct PeerName {
  uint16_t link = 0;
  wireguard::PublicKey key{};

  bool operator==(const PeerName &) const = default;
};

class GatewayShard final : public StackEvents, Neighbours, PacketLimits {
 public:
  // Told on the shard's thread: with which peer, by name, a handshake was completed.
  using OnHandshake = std::function<void(std::string peer, const DatagramPath &path)>;

  // Opens what packets come by. Shards are opened in the order of their numbers. `peers`: all of the gateway. Nothing
  // is served before the loop's first turn.
  static Result<std::unique_ptr<GatewayShard>> open(Loop &loop, const GatewayOptions &options, ShardPlace place,
                                                    const std::vector<PlacedPeer> &peers, FlowBudget &budget,
                                                    MappedPorts &mapped_ports, OnHandshake on_handshake);
  ~GatewayShard();

  // The target of a datagram forward that listens here may live on another shard from now on. Told on this thread.
  std::function<void()> on_forward_target;

  // All shards of the gateway, by number. Before the first turn.
  void meet(std::vector<GatewayShard *> shards) { shards_ = std::move(shards); }
  // They may go at any moment: nothing is sent to them any more.
  void part() { shards_.clear(); }

  // From now on every inside packet goes to this sink, too.
  void capture_to(Capture::Sink sink) { shard_.capture_to(std::move(sink)); }

  // Peers of any shard: first those that go, then those that are added or changed, in this order.
  void change_peers(const std::vector<PeerName> &gone, const std::vector<PlacedPeer> &changed);
  // As WireGuard's userspace API says it: a peer whose endpoint is a name keeps that if `config` has none.
  void set_peer(uint16_t link, const wireguard::PeerConfig &config, uint32_t shard);
  void remove_peer(const PeerName &peer);
  // The names of all peers of the gateway, for DNS.
  void set_names(const std::vector<dns::NamedHost> &names) { dns_.set_names(names); }
  void set_policy(const PolicyOptions &policy);
  void set_egress(const EgressOptions &egress);
  // Where DNS and echo are answered, and whom DNS asks.
  void set_dns(const GatewayOptions &fresh);
  // Rules about peers of any shard; again when peers have changed.
  void set_rates(const std::vector<RateRule> &rules);
  bool knows(const std::string &peer) const { return !clients_called(peer).empty(); }

  // Forward number `index`, or none any more (null): connections that stand stay.
  void set_forward(size_t index, const ForwardPtr &forward);

  // Where the peer of an address lives.
  std::optional<uint32_t> shard_of(const IpAddress &address) const;
  // Of a link that is WireGuard's.
  WireGuardLink &wireguard(uint16_t link) { return *links_[link].wireguard; }
  // Where a link's socket really listens; unspecified when another shard has it.
  Endpoint listening(uint16_t link) const;
  ForwardService &forwards() { return *forwards_; }

  // No new flows; `drained` is called when the last TCP connection ended, or after `most`.
  void drain(Duration most, std::function<void()> drained);

  // What this shard has to say of the gateway's: sums are for the caller.
  GatewayStatus status() const;
  std::vector<FlowStatus> flows();

 private:
  // Packets and initiations of one batch and link for another shard, in a row.
  struct Parcel {
    struct Item {
      size_t size = 0;
      std::optional<DatagramPath> initiation_from;
    };
    uint16_t link = 0;
    std::vector<Item> items;
    std::vector<uint8_t> bytes;
  };
  // What may wait for a shard: a quarter of a second of a gigabit.
  static constexpr size_t kMailboxBytes = 32 << 20;

  // An endpoint that the configuration gives by name, and what the name stood for last.
  struct NamedPeer {
    PeerName peer;
    std::string name;
    uint16_t port = 0;
    std::optional<Endpoint> endpoint;
  };

  // A link and what is counted of it; one of the pointers is set.
  struct OpenLink {
    const LinkOptions &options;
    Counters counters;
    std::unique_ptr<WireGuardLink> wireguard;
    std::unique_ptr<GueLink> gue;  // the first shard has it
    std::unique_ptr<FarLink> far;  // in its place on the others
  };

  GatewayShard(Loop &loop, const GatewayOptions &options, ShardPlace place, FlowBudget &budget,
               MappedPorts &mapped_ports);
  Result<void> start(const std::vector<PlacedPeer> &peers, OnHandshake on_handshake);
  Result<void> open_link(const LinkOptions &options, OnHandshake on_handshake);
  Result<void> open_wireguard(OpenLink &link, LinkPlace place, OnHandshake on_handshake);
  Result<void> open_gue(OpenLink &link, LinkPlace place);
  StackConfig stack_config() const;

  void on_tcp_request(StreamRequestPtr request) override;
  void on_datagram(const FlowKey &key, uint32_t client, Bytes payload, const DatagramInfo &info,
                   Bytes original) override;
  void on_echo(const FlowKey &key, uint32_t client, uint16_t sequence, Bytes payload, const DatagramInfo &info,
               Bytes original) override;
  void on_icmp_error(const FlowKey &key, uint32_t client, uint8_t type, uint8_t code, uint32_t mtu) override;
  std::optional<Passage> passes_through(const FlowKey &key, uint32_t client) override;
  std::optional<uint16_t> neighbour_link(const FlowKey &key, uint32_t client) const override;
  IpAddress hop_address(bool v4) const override { return router_.hop_address(v4); }
  // Of whose AllowedIPs another client's address is.
  std::optional<ClientPlace> neighbour(const IpAddress &address, uint32_t client) const;
  bool is(const std::optional<ClientPlace> &place, uint32_t client) const {
    return place && place->shard == place_.number && place->id == client;
  }
  // Whose an inside address is: the longest prefix of all links' AllowedIPs. Those shorter than `shortest` do not
  // count.
  std::optional<ClientPlace> place_of(const IpAddress &address, int shortest = 0) const;
  std::vector<uint32_t> clients_called(const std::string &peer) const;
  bool admits(const FlowKey &key, uint32_t client, size_t bytes) override;

  void pass_on(uint16_t link, std::span<wireguard::Output::Elsewhere> packets);
  void pass_on(uint16_t link, std::span<Packet> packets);
  void open_parcel(const Parcel &parcel);
  bool admits_from_elsewhere(Bytes packet);
  void hand_over(uint32_t shard, AcceptedConnection connection);

  void host_moved();
  void forget_name(const PeerName &peer);
  Task<> resolve_names(std::weak_ptr<void> alive);
  // How long what they found may be believed; soon after a failure.
  Task<Duration> resolve_endpoints(std::weak_ptr<void> alive, bool quiet);
  Task<Duration> resolve_gue_peers(std::weak_ptr<void> alive, bool quiet);
  Task<Duration> resolve_rules(std::weak_ptr<void> alive, bool quiet);
  Task<> wait_until_drained(Time deadline, std::function<void()> drained);

  struct StackSecret {
    StackSecret();
    uint64_t words[2];
  };

  // In the order in which they are built: what packets meet last comes first.
  Loop &loop_;
  const GatewayOptions options_;
  const ShardPlace place_;
  const Time started_ = BootClock::now();
  const StackSecret secret_;
  const FlowLimits limits_;
  const HostDatagramPort::Options source_;
  std::vector<GatewayShard *> shards_;
  Mailbox<Parcel> mailbox_;
  ForwardList forward_list_;
  Policy policy_;
  Egress egress_;
  std::vector<std::string> egress_rules_;  // as text
  Router router_;
  FlowTable flows_;
  HeapTrim heap_trim_;
  LinkBuffers link_buffers_;
  Rates rates_;
  Shard shard_;
  dns::Server dns_;
  dns::Resolver resolver_;
  Context context_;
  Dialer dialer_;
  TcpService tcp_;
  UdpService udp_;
  EchoService echo_;
  std::unique_ptr<HostAddresses> host_addresses_;
  // Packets come by these; in the order of their numbers.
  std::deque<OpenLink> links_;
  std::unique_ptr<ForwardService> forwards_;
  std::vector<NamedPeer> named_;
  Event names_changed_;
  bool ping_sockets_ = true;
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

}  // namespace slipgate
