#include "gateway/gateway.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "crypto/random.h"
#include "dns/resolver.h"
#include "dns/server.h"
#include "flow/policy.h"
#include "flow/route.h"
#include "gateway/context.h"
#include "gateway/dial.h"
#include "gateway/heap_trim.h"
#include "gateway/peer_names.h"
#include "gateway/serve_forward.h"
#include "gateway/serve_icmp.h"
#include "gateway/serve_tcp.h"
#include "gateway/serve_udp.h"
#include "host/host_addresses.h"
#include "host/limits.h"
#include "host/ping.h"
#include "io/wait.h"
#include "link/wireguard_link.h"
#include "shard/shard.h"
#include "wire/icmp.h"

namespace slipgate {

namespace {

// Names of peers' endpoints and of rules: asked again this often while they do not resolve, and later in case they
// changed.
constexpr Duration kResolveRetry = seconds(10);
constexpr Duration kResolveAgain = minutes(5);

struct StackSecret {
  uint64_t words[2];
  StackSecret() { fill_random({reinterpret_cast<uint8_t *>(words), sizeof(words)}); }
};

std::vector<IpAddress> own_addresses(const GatewayOptions &options) {
  std::vector<IpAddress> own;
  for (const IpPrefix &prefix : options.addresses) own.push_back(prefix.address);
  return own;
}

RouteOptions route_options(const GatewayOptions &options) {
  RouteOptions route;
  route.own = own_addresses(options);
  route.dns = options.dns;
  // Contract: the first own inside address of each family, when none is named.
  for (bool v4 : {true, false}) {
    auto first =
        std::find_if(route.own.begin(), route.own.end(), [&](const IpAddress &own) { return own.is_v4() == v4; });
    if (options.dns.empty() && first != route.own.end()) route.dns.push_back({*first, 53});
  }
  route.pingable = options.pingable.empty() ? route.own : options.pingable;
  route.forwards = options.forwards;
  return route;
}

GatewayOptions with_link_mtu(GatewayOptions options) {
  options.wireguard.mtu = options.mtu;
  return options;
}

dns::Options resolving(const GatewayOptions &options) {
  dns::Options resolving = options.resolving;
  resolving.domain = domain_of(options);
  return resolving;
}

FlowLimits limits_in_force(FlowLimits limits) {
  limits.max_flows = std::min(limits.max_flows, admissible_flows(raise_descriptor_limit()));
  limits.max_flows_per_client = std::min(limits.max_flows_per_client, limits.max_flows);
  return limits;
}

}  // namespace

// The parts in the order in which they are built: what packets meet last comes first.
class Gateway::Impl final : public StackEvents, public WireGuardControl, Neighbours {
 public:
  Impl(Loop &loop, const GatewayOptions &options)
      : loop_(loop),
        options_(with_link_mtu(options)),
        limits_(limits_in_force(options.limits)),
        source_{options.source_ipv4, options.source_ipv6},
        policy_(options.policy),
        router_(route_options(options), policy_,
                [this](const IpAddress &address, uint32_t client) { return is_neighbour(address, client); }),
        flows_(limits_, loop.timers(), secret_.words),
        shard_(loop, stack_config(), *this, this),
        dns_(loop, shard_.counters(), resolving(options)),
        resolver_(loop, dns_),
        context_{loop, shard_, flows_, router_, dns_, resolver_, limits_, source_},
        dialer_(context_, options_.forwards),
        tcp_(context_, dialer_),
        udp_(context_, options_.forwards),
        echo_(context_) {}

  ~Impl() {
    alive_.reset();
    // Coroutines hold flows and streams: they go while tables and stack still stand, then what carries datagrams.
    loop_.abandon();
    forwards_.reset();
    flows_.for_each([](Flow &flow) {
      if (flow.key.protocol != Protocol::tcp) delete static_cast<CarriedFlow *>(&flow.owner);
    });
  }

  // Opens what packets come by. From then on: link -> shard -> stack -> the services below -> host.
  Result<void> open() {
    Result<std::unique_ptr<HostAddresses>> addresses = HostAddresses::open(loop_, [this] { host_moved(); });
    if (!addresses) return addresses.error();
    host_addresses_ = std::move(*addresses);
    host_moved();

    PingSupport ping = probe_ping_sockets();
    ping_sockets_ = ping.v4 || ping.v6;
    if (!ping.advice.empty()) log::warn("{}", ping.advice);

    Result<std::unique_ptr<WireGuardLink>> link =
        WireGuardLink::open(loop_, options_.wireguard, 0, shard_, shard_.counters());
    if (!link) return link.error();
    link_ = std::move(*link);
    shard_.attach(*link_);
    link_->on_handshake = [this](uint32_t peer, const DatagramPath &path) {
      if (on_handshake_) on_handshake_(link_->client_name(peer), path);
    };

    forwards_ = std::make_unique<ForwardService>(context_, tcp_, *link_, options_.forwards, own_addresses(options_));
    if (Result<void> listening = forwards_->listen(); !listening) return listening;

    peers_changed();
    spawn(loop_, resolve_names(alive_));
    if (limits_.max_flows < options_.limits.max_flows) {
      log::info("at most {} flows: so many the descriptor limit allows", limits_.max_flows);
    }
    return {};
  }

  Result<void> reload(const GatewayOptions &fresh, std::vector<std::string> &unchanged) {
    if (fresh.wireguard.listen != options_.wireguard.listen) unchanged.push_back("the listening port");
    if (fresh.wireguard.private_key != options_.wireguard.private_key) unchanged.push_back("the private key");
    if (fresh.addresses != options_.addresses) unchanged.push_back("the inside addresses");
    if (fresh.mtu != options_.mtu) unchanged.push_back("the MTU");
    set_peers(fresh.wireguard.peers);
    options_.wireguard.peers = fresh.wireguard.peers;
    peers_changed();
    policy_ = Policy(fresh.policy);
    host_moved();
    names_changed_.notify();
    return {};
  }

  void drain(Duration most, std::function<void()> drained) {
    context_.draining = true;
    forwards_->stop();
    spawn(loop_, wait_until_drained(loop_.now() + most, std::move(drained)));
  }

  GatewayStatus status() const {
    GatewayStatus status;
    status.name = options_.name;
    status.listen = link_->local();
    status.public_key = link_->public_key();
    status.started = started_;
    status.flows = flows_.size();
    status.flows_limit = limits_.max_flows;
    status.connections = const_cast<Shard &>(shard_).stack().connections();
    status.ping_sockets = ping_sockets_;
    status.peers = link_->peers();
    status.counters = const_cast<Shard &>(shard_).counters();
    return status;
  }

  std::vector<FlowStatus> flows() {
    std::vector<FlowStatus> all;
    flows_.for_each([&](Flow &flow) {
      static constexpr const char *kStates[] = {"connecting", "established", "closing"};
      all.push_back({flow.key, {}, link_->client_name(flow.client), kStates[static_cast<int>(flow.state())],
                     flow.bytes_up, flow.bytes_down, flow.opened, flow.last_active});
    });
    return all;
  }

  // WireGuard's userspace API. Peers whose endpoints are names are known here, too: what is said of them now counts.
  WireGuardSettings settings() const override { return link_->settings(); }
  Result<void> change(const wireguard::Key *private_key, std::optional<uint16_t> listen_port,
                      std::optional<uint32_t> mark) override {
    return link_->change(private_key, listen_port, mark);
  }
  std::vector<wireguard::PeerStatus> peers() const override { return link_->peers(); }
  std::optional<wireguard::PeerConfig> peer(const wireguard::PublicKey &key) const override { return link_->peer(key); }
  size_t peer_count() const override { return link_->peer_count(); }
  void set_peer(const wireguard::PeerConfig &config) override {
    link_->set_peer(config);
    peers_changed();
    for (WireGuardPeerOptions &named : options_.wireguard.peers) {
      if (named.config.public_key != config.public_key) continue;
      if (config.endpoint) named.endpoint_name.clear();
      std::optional<Endpoint> endpoint = config.endpoint ? config.endpoint : named.config.endpoint;
      named.config = config;
      named.config.endpoint = endpoint;
    }
  }
  void remove_peer(const wireguard::PublicKey &key) override {
    link_->remove_peer(key);
    peers_changed();
    std::erase_if(options_.wireguard.peers,
                  [&](const WireGuardPeerOptions &peer) { return peer.config.public_key == key; });
  }

  std::function<void(std::string, const DatagramPath &)> on_handshake_;

 private:
  StackConfig stack_config() const {
    StackConfig config;
    config.mtu = options_.mtu;
    config.tcp_buffer_size = options_.tcp_buffer_size;
    config.congestion = options_.congestion;
    config.max_connections = limits_.max_flows;
    config.max_requests_per_client = limits_.max_connecting_per_client;
    config.secret[0] = secret_.words[0];
    config.secret[1] = secret_.words[1];
    return config;
  }

  void on_tcp_request(StreamRequestPtr request) override { tcp_.serve(std::move(request)); }
  void on_datagram(const FlowKey &key, uint32_t client, Bytes payload, const DatagramInfo &info,
                   Bytes original) override {
    udp_.serve(key, client, payload, info, original);
  }
  void on_echo(const FlowKey &key, uint32_t client, uint16_t sequence, Bytes payload, const DatagramInfo &info,
               Bytes original) override {
    echo_.serve(key, client, sequence, payload, info, original);
  }
  void on_icmp_error(const FlowKey &key, uint32_t client, uint8_t type, uint8_t code, uint32_t mtu) override {
    bool too_big = key.is_v4() ? type == icmp::kDestinationUnreachable && code == icmp::kFragmentationNeeded
                               : type == icmpv6::kPacketTooBig;
    if (too_big && link_->peer_for(key.inside.address) == client) {
      shard_.stack().learn_path_mtu(key.inside.address, mtu);
      return;
    }
    // The host's sockets have no way to be told.
    shard_.counters().drop(DropReason::icmp_ignored);
  }

  // A peer that may send from anywhere (AllowedIPs of length 0) is not everybody's neighbour.
  bool is_neighbour(const IpAddress &address, uint32_t client) const {
    std::optional<uint32_t> peer = link_->peer_for(address, 1);
    return peer && *peer != client;
  }

  std::optional<uint16_t> neighbour_link(const FlowKey &key, uint32_t client) const override {
    if (!is_neighbour(key.outside.address, client)) return std::nullopt;
    if (!std::holds_alternative<target::Peer>(router_.route(key, client))) return std::nullopt;
    return uint16_t{0};
  }

  IpAddress hop_address(bool v4) const override { return router_.hop_address(v4); }

  void host_moved() {
    std::vector<HostAddress> addresses;
    for (const IpAddress &address : host_addresses_->all()) addresses.push_back({address, address.family_bits()});
    policy_.set_host_addresses(addresses);
  }

  void set_peers(const std::vector<WireGuardPeerOptions> &peers) {
    for (const wireguard::PeerStatus &standing : link_->peers()) {
      bool kept = std::any_of(peers.begin(), peers.end(), [&](const WireGuardPeerOptions &peer) {
        return peer.config.public_key == standing.config.public_key;
      });
      if (!kept) link_->remove_peer(standing.config.public_key);
    }
    for (const WireGuardPeerOptions &peer : peers) link_->set_peer(peer.config);
  }

  // The names of peers are made anew once, however many change in this turn.
  void peers_changed() {
    if (std::exchange(names_stale_, true)) return;
    loop_.post([this, alive = std::weak_ptr<void>(alive_)] {
      if (alive.expired()) return;
      names_stale_ = false;
      dns_.set_names(named_hosts(own_addresses(options_), link_->peers()));
    });
  }

  // Endpoints of peers and names in rules, now and again.
  Task<> resolve_names(std::weak_ptr<void> alive) {
    bool said = false;
    while (true) {
      bool missing = false;
      std::vector<WireGuardPeerOptions> peers = options_.wireguard.peers;
      for (WireGuardPeerOptions &peer : peers) {
        if (peer.endpoint_name.empty()) continue;
        Result<std::vector<IpAddress>> found = co_await resolver_.resolve(peer.endpoint_name);
        if (alive.expired()) co_return;
        if (!found) {
          missing = true;
          if (!said) log::warn("peer endpoint {}: {}; trying again", peer.endpoint_name, found.error().text);
          continue;
        }
        Endpoint endpoint{found->front(), peer.endpoint_port};
        if (peer.config.endpoint == endpoint) continue;
        for (WireGuardPeerOptions &configured : options_.wireguard.peers) {
          // Not what the userspace API gave an endpoint to, and the peer as it is now.
          if (configured.config.public_key != peer.config.public_key || configured.endpoint_name.empty()) continue;
          configured.config.endpoint = endpoint;
          std::optional<wireguard::PeerConfig> standing = link_->peer(peer.config.public_key);
          if (!standing) continue;
          standing->endpoint = endpoint;
          link_->set_peer(*standing);
        }
      }
      for (const std::string &name : policy_.names()) {
        Result<std::vector<IpAddress>> found = co_await resolver_.resolve(name);
        if (alive.expired()) co_return;
        if (found) {
          policy_.set_resolved(name, *found);
        } else {
          missing = true;
          if (!said) log::warn("rule for {}: {}; it matches nothing, trying again", name, found.error().text);
        }
      }
      said = true;
      co_await names_changed_.wait(loop_.now() + (missing ? kResolveRetry : kResolveAgain));
      if (alive.expired()) co_return;
    }
  }

  // Datagram flows have no end of their own: what is waited for is TCP.
  Task<> wait_until_drained(Time deadline, std::function<void()> drained) {
    constexpr Duration kLook = milliseconds(20);
    Event never(loop_);
    while (loop_.now() < deadline && shard_.stack().connections() > 0) co_await never.wait(loop_.now() + kLook);
    drained();
  }

  Loop &loop_;
  GatewayOptions options_;
  const Time started_ = BootClock::now();
  const StackSecret secret_;
  const FlowLimits limits_;
  const HostDatagramPort::Options source_;
  Policy policy_;
  Router router_;
  FlowTable flows_;
  HeapTrim heap_trim_{loop_.timers(), flows_};
  Shard shard_;
  dns::Server dns_;
  dns::Resolver resolver_;
  Context context_;
  Dialer dialer_;
  TcpService tcp_;
  UdpService udp_;
  EchoService echo_;
  std::unique_ptr<HostAddresses> host_addresses_;
  std::unique_ptr<WireGuardLink> link_;
  std::unique_ptr<ForwardService> forwards_;
  Event names_changed_{loop_};
  bool names_stale_ = false;
  bool ping_sockets_ = true;
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->on_handshake_ = [this](std::string peer, const DatagramPath &path) {
    if (on_handshake) on_handshake(std::move(peer), path);
  };
}

Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::open(Loop &loop, const GatewayOptions &options) {
  auto impl = std::make_unique<Impl>(loop, options);
  if (Result<void> opened = impl->open(); !opened) return opened.error();
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Result<void> Gateway::reload(const GatewayOptions &options, std::vector<std::string> &unchanged) {
  return impl_->reload(options, unchanged);
}

void Gateway::drain(Duration most, std::function<void()> drained) {
  impl_->drain(most, std::move(drained));
}

GatewayStatus Gateway::status() const {
  return impl_->status();
}

WireGuardControl &Gateway::wireguard() {
  return *impl_;
}

std::vector<FlowStatus> Gateway::flows() const {
  return impl_->flows();
}

}  // namespace slipgate
