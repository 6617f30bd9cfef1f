#include "gateway/gateway_shard.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "crypto/random.h"
#include "gateway/peer_names.h"
#include "host/limits.h"
#include "host/ping.h"
#include "wire/icmp.h"

namespace slipgate {

namespace {

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
  return route;
}

dns::Options resolving(const GatewayOptions &options) {
  dns::Options resolving = options.resolving;
  resolving.domain = domain_of(options);
  return resolving;
}

std::vector<std::string> texts_of(const EgressOptions &egress) {
  std::vector<std::string> texts;
  for (const EgressRule &rule : egress) texts.push_back(rule.text);
  return texts;
}

}  // namespace

FlowLimits limits_in_force(const GatewayOptions &options) {
  FlowLimits limits = options.limits;
  // A datagram flow through a proxy has two: its own and the association's.
  const bool associations = std::any_of(options.egress.begin(), options.egress.end(), [](const EgressRule &rule) {
    return rule.proxy && rule.proxy->kind == Proxy::Kind::socks5;
  });
  const size_t admissible = admissible_flows(raise_descriptor_limit());
  limits.max_flows = std::min(limits.max_flows, associations ? admissible / 2 + 1 : admissible);
  limits.max_flows_per_client = std::min(limits.max_flows_per_client, limits.max_flows);
  return limits;
}

std::vector<IpAddress> own_addresses(const GatewayOptions &options) {
  std::vector<IpAddress> own;
  for (const IpPrefix &prefix : options.addresses) own.push_back(prefix.address);
  return own;
}

GatewayShard::StackSecret::StackSecret() {
  fill_random({reinterpret_cast<uint8_t *>(words), sizeof(words)});
}

Result<std::unique_ptr<GatewayShard>> GatewayShard::open(Loop &loop, const GatewayOptions &options,
                                                         const std::vector<PlacedPeer> &peers, FlowBudget &budget,
                                                         MappedPorts &mapped_ports, OnHandshake on_handshake) {
  std::unique_ptr<GatewayShard> made(new GatewayShard(loop, options, budget, mapped_ports));
  if (Result<void> started = made->start(peers, std::move(on_handshake)); !started) return started.error();
  return made;
}

GatewayShard::GatewayShard(Loop &loop, const GatewayOptions &options, FlowBudget &budget, MappedPorts &mapped_ports)
    : loop_(loop),
      options_(options),
      limits_(limits_in_force(options)),
      source_{options.source_ipv4, options.source_ipv6},
      mailbox_(loop, kMailboxBytes, [this](const Parcel &parcel) { open_parcel(parcel); }),
      policy_(options.policy),
      egress_(options.egress),
      egress_rules_(texts_of(options.egress)),
      router_(route_options(options), policy_, egress_,
              [this](const IpAddress &address, uint32_t client) { return is_neighbour(address, client); }),
      flows_(limits_, loop.timers(), secret_.words, &budget),
      heap_trim_(loop.timers(), flows_),
      shard_(loop, stack_config(), *this, this),
      dns_(loop, shard_.counters(), resolving(options), dial_name_server(loop)),
      resolver_(loop, dns_),
      context_{loop, shard_, flows_, router_, dns_, resolver_, limits_, source_, mapped_ports},
      dialer_(context_, forward_list_),
      tcp_(context_, dialer_),
      udp_(context_, forward_list_),
      echo_(context_),
      names_changed_(loop) {}

GatewayShard::~GatewayShard() {
  alive_.reset();
  // Coroutines hold flows and streams: they go while tables and stack still stand, then what carries datagrams.
  loop_.abandon();
  forwards_.reset();
  flows_.for_each([](Flow &flow) {
    if (flow.key.protocol != Protocol::tcp) delete static_cast<CarriedFlow *>(&flow.owner);
  });
}

// From here on: link -> shard -> stack -> the services below -> host.
Result<void> GatewayShard::start(const std::vector<PlacedPeer> &peers, OnHandshake on_handshake) {
  Result<std::unique_ptr<HostAddresses>> addresses = HostAddresses::open(loop_, [this] { host_moved(); });
  if (!addresses) return addresses.error();
  host_addresses_ = std::move(*addresses);
  host_moved();

  const PingSupport ping = probe_ping_sockets();
  ping_sockets_ = ping.v4 || ping.v6;

  Result<void> opened = options_.gue ? open_gue() : open_wireguard(peers, std::move(on_handshake));
  if (!opened) return opened;

  forwards_ = std::make_unique<ForwardService>(
      context_, tcp_, [this](const IpAddress &address) { return place_of(address); }, forward_list_,
      own_addresses(options_),
      [this](uint32_t shard, AcceptedConnection connection) { hand_over(shard, std::move(connection)); },
      [this] {
        if (on_forward_target) on_forward_target();
      });
  spawn(loop_, resolve_names(alive_));

  if (number() == 0) {  // what would be said once for each
    if (!ping.advice.empty()) log::warn("{}", ping.advice);
    if (limits_.max_flows < options_.limits.max_flows) {
      log::info("at most {} flows: so many the descriptor limit allows", limits_.max_flows);
    }
  }
  return {};
}

Result<void> GatewayShard::open_wireguard(const std::vector<PlacedPeer> &peers, OnHandshake on_handshake) {
  WireGuardLinkOptions wireguard = options_.wireguard;
  wireguard.mtu = options_.mtu;
  wireguard.peers.clear();  // change_peers() says where each lives
  Result<std::unique_ptr<WireGuardLink>> link = WireGuardLink::open(loop_, wireguard, 0, shard_, shard_.counters());
  if (!link) return link.error();
  wireguard_ = std::move(*link);
  shard_.attach(*wireguard_);
  wireguard_->on_elsewhere = [this](std::span<wireguard::Output::Elsewhere> packets) { pass_on(packets); };
  wireguard_->on_handshake = [this, tell = std::move(on_handshake)](uint32_t peer, const DatagramPath &path) {
    tell(wireguard_->client_name(peer), path);
  };
  change_peers({}, peers);
  return {};
}

Result<void> GatewayShard::open_gue() {
  GueLinkOptions gue = *options_.gue;
  gue.transmit_queue_capacity = options_.wireguard.transmit_queue_capacity;
  Result<std::unique_ptr<GueLink>> link = GueLink::open(loop_, gue, 0, shard_, shard_.counters());
  if (!link) return link.error();
  gue_ = std::move(*link);
  shard_.attach(*gue_);
  return {};
}

StackConfig GatewayShard::stack_config() const {
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

// --- peers -----------------------------------------------------------------------------------------------------------

void GatewayShard::change_peers(const std::vector<wireguard::PublicKey> &gone, const std::vector<PlacedPeer> &changed) {
  for (const wireguard::PublicKey &key : gone) remove_peer(key);
  for (const auto &[peer, shard] : changed) {
    const wireguard::PublicKey &key = peer.config.public_key;
    if (shard != number()) {
      wireguard_->set_peer_elsewhere(key, peer.config.allowed_ips, shard);
      continue;
    }
    wireguard_->set_peer(peer.config);
    std::erase_if(named_, [&](const NamedPeer &named) { return named.key == key; });
    if (!peer.endpoint_name.empty()) named_.push_back({key, peer.endpoint_name, peer.endpoint_port, std::nullopt});
  }
  names_changed_.notify();
}

void GatewayShard::set_peer(const wireguard::PeerConfig &config, uint32_t shard) {
  if (shard != number()) return wireguard_->set_peer_elsewhere(config.public_key, config.allowed_ips, shard);
  wireguard_->set_peer(config);
  if (config.endpoint) std::erase_if(named_, [&](const NamedPeer &named) { return named.key == config.public_key; });
}

void GatewayShard::remove_peer(const wireguard::PublicKey &key) {
  wireguard_->remove_peer(key);
  std::erase_if(named_, [&](const NamedPeer &named) { return named.key == key; });
}

void GatewayShard::set_policy(const PolicyOptions &policy) {
  Policy fresh(policy);
  fresh.keep_resolved(policy_);
  policy_ = std::move(fresh);
  host_moved();
  names_changed_.notify();
}

void GatewayShard::set_egress(const EgressOptions &egress) {
  Egress fresh(egress);
  fresh.keep_resolved(egress_);
  egress_ = std::move(fresh);
  egress_rules_ = texts_of(egress);
  names_changed_.notify();
}

void GatewayShard::set_forward(size_t index, const ForwardPtr &forward) {
  if (!forward) forwards_->stop(index);
  if (index >= forward_list_.size()) forward_list_.resize(index + 1);
  forward_list_[index] = forward;
  router_.set_forward(index, forward);
}

std::optional<uint32_t> GatewayShard::shard_of(const IpAddress &address) const {
  std::optional<wireguard::PeerPlace> place = place_of(address);
  return place ? std::optional(place->shard) : std::nullopt;
}

// GUE's one peer has all addresses, as if its AllowedIPs were 0.0.0.0/0 and ::/0.
std::optional<wireguard::PeerPlace> GatewayShard::place_of(const IpAddress &address, int shortest) const {
  if (wireguard_) return wireguard_->place_of(address, shortest);
  return shortest > 0 ? std::nullopt : std::optional(wireguard::PeerPlace{number(), GueLink::kClient});
}

// A peer that may send from anywhere (AllowedIPs of length 0) is not everybody's neighbour.
bool GatewayShard::is_neighbour(const IpAddress &address, uint32_t client) const {
  std::optional<wireguard::PeerPlace> place = place_of(address, 1);
  return place && *place != wireguard::PeerPlace{number(), client};
}

std::optional<uint16_t> GatewayShard::neighbour_link(const FlowKey &key, uint32_t client) const {
  if (!is_neighbour(key.outside.address, client)) return std::nullopt;
  if (!std::holds_alternative<target::Peer>(router_.route(key, client))) return std::nullopt;
  return uint16_t{0};
}

// --- to other shards and from them -----------------------------------------------------------------------------------

void GatewayShard::pass_on(std::span<wireguard::Output::Elsewhere> packets) {
  for (uint32_t shard = 0; shard < shards_.size(); shard++) {
    Parcel parcel;
    size_t bytes = 0;
    for (const wireguard::Output::Elsewhere &each : packets) {
      if (each.shard == shard) bytes += each.packet.size();
    }
    if (bytes == 0) continue;
    parcel.bytes.reserve(bytes);
    for (const wireguard::Output::Elsewhere &each : packets) {
      if (each.shard != shard) continue;
      const Bytes packet = each.packet.bytes();
      parcel.items.push_back({packet.size(), each.initiation_from});
      parcel.bytes.insert(parcel.bytes.end(), packet.begin(), packet.end());
    }
    const size_t count = parcel.items.size();
    if (shards_[shard]->mailbox_.put(std::move(parcel), bytes)) {
      shard_.counters().messages += count;
    } else {
      for (size_t i = 0; i < count; i++) shard_.counters().drop(DropReason::mailbox_full);
    }
  }
}

void GatewayShard::open_parcel(const Parcel &parcel) {
  Bytes rest = parcel.bytes;
  for (const Parcel::Item &item : parcel.items) {
    wireguard_->receive_passed_on(rest.first(item.size), item.initiation_from);
    rest = rest.subspan(item.size);
  }
}

void GatewayShard::hand_over(uint32_t shard, AcceptedConnection connection) {
  if (shard >= shards_.size()) return;  // the gateway ends
  GatewayShard *other = shards_[shard];
  // The loop's queue takes copyable work only.
  auto handed = std::make_shared<AcceptedConnection>(std::move(connection));
  other->loop_.post([other, handed] { other->forwards_->serve(std::move(*handed)); });
}

// --- what the stack brings -------------------------------------------------------------------------------------------

void GatewayShard::on_tcp_request(StreamRequestPtr request) {
  tcp_.serve(std::move(request));
}

void GatewayShard::on_datagram(const FlowKey &key, uint32_t client, Bytes payload, const DatagramInfo &info,
                               Bytes original) {
  udp_.serve(key, client, payload, info, original);
}

void GatewayShard::on_echo(const FlowKey &key, uint32_t client, uint16_t sequence, Bytes payload,
                           const DatagramInfo &info, Bytes original) {
  echo_.serve(key, client, sequence, payload, info, original);
}

std::optional<IpAddress> GatewayShard::passes_through(const FlowKey &key, uint32_t client) {
  if (!neighbour_link(key, client)) return std::nullopt;
  return router_.hop_address(key.is_v4());
}

void GatewayShard::on_icmp_error(const FlowKey &key, uint32_t client, uint8_t type, uint8_t code, uint32_t mtu) {
  const bool too_big = key.is_v4() ? type == icmp::kDestinationUnreachable && code == icmp::kFragmentationNeeded
                                   : type == icmpv6::kPacketTooBig;
  if (too_big && place_of(key.inside.address) == wireguard::PeerPlace{number(), client}) {
    shard_.stack().learn_path_mtu(key.inside.address, mtu);
    return;
  }
  // The host's sockets have no way to be told.
  shard_.counters().drop(DropReason::icmp_ignored);
}

// --- names, addresses ------------------------------------------------------------------------------------------------

void GatewayShard::host_moved() {
  std::vector<HostAddress> addresses;
  for (const InterfaceAddress &host : host_addresses_->all()) addresses.push_back({host.address, host.prefix_length});
  policy_.set_host_addresses(addresses);
}

// Endpoints of peers and names in rules, again whenever an answer's time is over.
Task<> GatewayShard::resolve_names(std::weak_ptr<void> alive) {
  bool said = false;
  while (true) {
    // What rules forbid comes first.
    const Duration rules = co_await resolve_rules(alive, said || number() != 0);
    if (alive.expired()) co_return;
    const Duration endpoints = co_await resolve_endpoints(alive, said);
    if (alive.expired()) co_return;
    said = true;
    co_await names_changed_.wait(loop_.now() + std::min(rules, endpoints));
    if (alive.expired()) co_return;
  }
}

Task<Duration> GatewayShard::resolve_gue_peer(std::weak_ptr<void> alive, bool quiet) {
  if (!gue_ || options_.gue->peer_name.empty()) co_return dns::Resolver::kLongestValidity;
  const std::string &name = options_.gue->peer_name;
  Result<dns::Resolved> found = co_await resolver_.look_up(name);
  if (alive.expired()) co_return Duration();
  if (!found) {
    if (!quiet) log::warn("--peer-endpoint {}: {}; trying again", name, found.error().text);
    co_return dns::Resolver::kRetry;
  }
  const Endpoint endpoint{found->addresses.front(), options_.gue->peer_port};
  if (gue_->peer().endpoint != endpoint) gue_->set_peer(endpoint);
  co_return found->valid;
}

Task<Duration> GatewayShard::resolve_endpoints(std::weak_ptr<void> alive, bool quiet) {
  Duration valid = co_await resolve_gue_peer(alive, quiet);
  if (alive.expired()) co_return Duration();
  const std::vector<NamedPeer> asked = named_;
  for (const NamedPeer &peer : asked) {
    Result<dns::Resolved> found = co_await resolver_.look_up(peer.name);
    if (alive.expired()) co_return Duration();
    if (found) valid = std::min(valid, found->valid);
    if (!found) {
      valid = dns::Resolver::kRetry;
      if (!quiet) log::warn("peer endpoint {}: {}; trying again", peer.name, found.error().text);
      continue;
    }
    const Endpoint endpoint{found->addresses.front(), peer.port};
    for (NamedPeer &named : named_) {
      // The peer as it is now; what somebody gave an endpoint to meanwhile is not among these any more.
      if (named.key != peer.key || named.endpoint == endpoint) continue;
      named.endpoint = endpoint;
      std::optional<wireguard::PeerConfig> standing = wireguard_->peer(named.key);
      if (!standing) continue;
      standing->endpoint = endpoint;
      wireguard_->set_peer(*standing);
    }
  }
  co_return valid;
}

Task<Duration> GatewayShard::resolve_rules(std::weak_ptr<void> alive, bool quiet) {
  Duration valid = dns::Resolver::kLongestValidity;
  std::vector<std::string> names = policy_.names(), more = egress_.names();
  names.insert(names.end(), more.begin(), more.end());
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  for (const std::string &name : names) {
    Result<dns::Resolved> found = co_await resolver_.look_up(name);
    if (alive.expired()) co_return Duration();
    if (found) {
      valid = std::min(valid, found->valid);
      policy_.set_resolved(name, found->addresses);
      egress_.set_resolved(name, found->addresses);
    } else {
      valid = dns::Resolver::kRetry;
      if (!quiet) log::warn("rule for {}: {}; it matches nothing, trying again", name, found.error().text);
    }
  }
  co_return valid;
}

// --- operating -------------------------------------------------------------------------------------------------------

void GatewayShard::drain(Duration most, std::function<void()> drained) {
  context_.draining = true;
  forwards_->stop();
  spawn(loop_, wait_until_drained(loop_.now() + most, std::move(drained)));
}

// Datagram flows have no end of their own: what is waited for is TCP.
Task<> GatewayShard::wait_until_drained(Time deadline, std::function<void()> drained) {
  constexpr Duration kLook = milliseconds(20);
  Event never(loop_);
  while (loop_.now() < deadline && shard_.stack().connections() > 0) co_await never.wait(loop_.now() + kLook);
  drained();
}

GatewayStatus GatewayShard::status() const {
  GatewayStatus status;
  status.name = options_.name;
  status.listen = listening();
  status.started = started_;
  status.threads = options_.wireguard.place.count;
  status.flows = flows_.size();
  status.flows_limit = limits_.max_flows;
  status.connections = context_.stack().connections();
  status.ping_sockets = ping_sockets_;
  status.egress = egress_rules_;
  if (wireguard_) {
    status.public_key = wireguard_->public_key();
    status.peers = wireguard_->peers();
  }
  if (gue_) status.gue = gue_->peer();
  status.counters = context_.counters();
  return status;
}

std::vector<FlowStatus> GatewayShard::flows() {
  std::vector<FlowStatus> all;
  flows_.for_each([&](Flow &flow) {
    static constexpr const char *kStates[] = {"connecting", "established", "closing"};
    // Of UDP and echo the owner knows, of TCP the flow.
    std::string host = flow.host.empty() ? flow.key.outside.to_string() : flow.host;
    if (flow.key.protocol != Protocol::tcp) host = static_cast<CarriedFlow &>(flow.owner).host();
    all.push_back({flow.key, std::move(host), shard_.link(flow.key.link).client_name(flow.client),
                   kStates[static_cast<int>(flow.state())], flow.bytes_up, flow.bytes_down, flow.opened,
                   flow.last_active});
  });
  return all;
}

}  // namespace slipgate
