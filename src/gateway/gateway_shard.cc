#include "gateway/gateway_shard.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "crypto/key_text.h"
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

// How long the prefix is that the address is in; no prefixes at all are as good as 0.0.0.0/0 and ::/0.
std::optional<int> longest_prefix(const std::vector<IpPrefix> &prefixes, const IpAddress &address) {
  if (prefixes.empty()) return 0;
  std::optional<int> longest;
  for (const IpPrefix &prefix : prefixes) {
    if (prefix.contains(address) && prefix.length >= longest.value_or(0)) longest = prefix.length;
  }
  return longest;
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
  for (const LinkOptions &link : options.links) {
    for (const IpPrefix &prefix : link.addresses) own.push_back(prefix.address);
  }
  return own;
}

GatewayShard::StackSecret::StackSecret() {
  fill_random({reinterpret_cast<uint8_t *>(words), sizeof(words)});
}

Result<std::unique_ptr<GatewayShard>> GatewayShard::open(Loop &loop, const GatewayOptions &options, ShardPlace place,
                                                         const std::vector<PlacedPeer> &peers, FlowBudget &budget,
                                                         MappedPorts &mapped_ports, OnHandshake on_handshake) {
  std::unique_ptr<GatewayShard> made(new GatewayShard(loop, options, place, budget, mapped_ports));
  if (Result<void> started = made->start(peers, std::move(on_handshake)); !started) return started.error();
  return made;
}

GatewayShard::GatewayShard(Loop &loop, const GatewayOptions &options, ShardPlace place, FlowBudget &budget,
                           MappedPorts &mapped_ports)
    : loop_(loop),
      options_(options),
      place_(place),
      limits_(limits_in_force(options)),
      source_{options.source_ipv4, options.source_ipv6},
      mailbox_(loop, kMailboxBytes, [this](const Parcel &parcel) { open_parcel(parcel); }),
      policy_(options.policy),
      egress_(options.egress),
      egress_rules_(texts_of(options.egress)),
      router_(route_options(options), policy_, egress_,
              [this](const IpAddress &address, uint32_t client) { return neighbour(address, client).has_value(); }),
      flows_(limits_, loop.timers(), secret_.words, &budget),
      heap_trim_(loop.timers(), flows_),
      rates_(loop.timers()),
      shard_(loop, stack_config(), *this, this),
      dns_(loop, shard_.counters(), resolving(options), dial_name_server(loop)),
      resolver_(loop, dns_),
      context_{loop, shard_, flows_, router_, dns_, resolver_, limits_, source_, mapped_ports, rates_},
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

  for (const LinkOptions &link : options_.links) {
    if (Result<void> opened = open_link(link, on_handshake); !opened) return opened;
  }
  change_peers({}, peers);

  forwards_ = std::make_unique<ForwardService>(
      context_, tcp_, [this](const IpAddress &address) { return place_of(address); }, forward_list_,
      own_addresses(options_),
      [this](uint32_t shard, AcceptedConnection connection) { hand_over(shard, std::move(connection)); },
      [this] {
        if (on_forward_target) on_forward_target();
      });
  spawn(loop_, resolve_names(alive_));

  if (place_.number == 0) {  // what would be said once for each
    if (!ping.advice.empty()) log::warn("{}", ping.advice);
    if (limits_.max_flows < options_.limits.max_flows) {
      log::info("at most {} flows: so many the descriptor limit allows", limits_.max_flows);
    }
  }
  return {};
}

Result<void> GatewayShard::open_link(const LinkOptions &options, OnHandshake on_handshake) {
  const LinkPlace place{static_cast<uint16_t>(links_.size()), static_cast<uint16_t>(options_.links.size())};
  OpenLink &link = links_.emplace_back(OpenLink{options, {}, nullptr, nullptr, nullptr});
  if (options.wireguard()) return open_wireguard(link, place, std::move(on_handshake));
  if (place_.number == 0) return open_gue(link, place);
  link.far = std::make_unique<FarLink>(
      options.name, [this, number = place.number](std::span<Packet> packets) { pass_on(number, packets); });
  shard_.attach(*link.far, &link.counters);
  return {};
}

Result<void> GatewayShard::open_wireguard(OpenLink &link, LinkPlace place, OnHandshake on_handshake) {
  WireGuardLinkOptions wireguard = *link.options.wireguard();
  wireguard.mtu = link.options.mtu;
  wireguard.transmit_queue_capacity = link.options.transmit_queue_capacity;
  wireguard.place = place_;
  wireguard.peers.clear();  // change_peers() says where each lives
  Result<std::unique_ptr<WireGuardLink>> opened =
      WireGuardLink::open(loop_, wireguard, place, link_buffers_, shard_, link.counters);
  if (!opened) return opened.error();
  link.wireguard = std::move(*opened);
  shard_.attach(*link.wireguard, &link.counters);
  link.wireguard->on_elsewhere = [this, number = place.number](std::span<wireguard::Output::Elsewhere> packets) {
    pass_on(number, packets);
  };
  link.wireguard->on_handshake = [made = link.wireguard.get(), tell = std::move(on_handshake)](
                                     uint32_t peer, const DatagramPath &path) { tell(made->client_name(peer), path); };
  return {};
}

Result<void> GatewayShard::open_gue(OpenLink &link, LinkPlace place) {
  GueLinkOptions gue = *link.options.gue();
  gue.transmit_queue_capacity = link.options.transmit_queue_capacity;
  Result<std::unique_ptr<GueLink>> opened = GueLink::open(loop_, gue, place, link_buffers_, shard_, link.counters);
  if (!opened) return opened.error();
  link.gue = std::move(*opened);
  shard_.attach(*link.gue, &link.counters);
  return {};
}

Endpoint GatewayShard::listening(uint16_t number) const {
  const OpenLink &link = links_[number];
  if (link.far) return {};
  return link.gue ? link.gue->local() : link.wireguard->local();
}

StackConfig GatewayShard::stack_config() const {
  StackConfig config;
  config.mtu = 0;  // the largest, which is what buffers are made for
  for (const LinkOptions &link : options_.links) {
    config.link_mtus.push_back(link.mtu);
    config.mtu = std::max(config.mtu, link.mtu);
  }
  config.tcp_buffer_size = options_.tcp_buffer_size;
  config.congestion = options_.congestion;
  config.max_connections = limits_.max_flows;
  config.max_requests_per_client = limits_.max_connecting_per_client;
  config.secret[0] = secret_.words[0];
  config.secret[1] = secret_.words[1];
  return config;
}

// --- peers -----------------------------------------------------------------------------------------------------------

void GatewayShard::change_peers(const std::vector<PeerName> &gone, const std::vector<PlacedPeer> &changed) {
  for (const PeerName &peer : gone) remove_peer(peer);
  for (const auto &[peer, link, shard] : changed) {
    const wireguard::PublicKey &key = peer.config.public_key;
    WireGuardLink &wireguard = *links_[link].wireguard;
    if (shard != place_.number) {
      wireguard.set_peer_elsewhere(key, peer.config.allowed_ips, shard);
      continue;
    }
    wireguard.set_peer(peer.config);
    forget_name({link, key});
    if (!peer.endpoint_name.empty())
      named_.push_back({{link, key}, peer.endpoint_name, peer.endpoint_port, std::nullopt});
  }
  names_changed_.notify();
}

void GatewayShard::set_peer(uint16_t link, const wireguard::PeerConfig &config, uint32_t shard) {
  WireGuardLink &wireguard = *links_[link].wireguard;
  if (shard != place_.number) return wireguard.set_peer_elsewhere(config.public_key, config.allowed_ips, shard);
  wireguard.set_peer(config);
  if (config.endpoint) forget_name({link, config.public_key});
}

void GatewayShard::remove_peer(const PeerName &peer) {
  links_[peer.link].wireguard->remove_peer(peer.key);
  forget_name(peer);
}

void GatewayShard::forget_name(const PeerName &peer) {
  std::erase_if(named_, [&](const NamedPeer &named) { return named.peer == peer; });
}

void GatewayShard::set_policy(const PolicyOptions &policy) {
  Policy fresh(policy);
  fresh.keep_resolved(policy_);
  policy_ = std::move(fresh);
  host_moved();
  names_changed_.notify();
}

void GatewayShard::set_dns(const GatewayOptions &fresh) {
  GatewayOptions options = options_;
  options.dns = fresh.dns;
  options.pingable = fresh.pingable;
  options.resolving = fresh.resolving;
  RouteOptions route = route_options(options);
  router_.set_services(std::move(route.dns), std::move(route.pingable));
  dns_.set_options(resolving(options));
}

void GatewayShard::set_egress(const EgressOptions &egress) {
  Egress fresh(egress);
  fresh.keep_resolved(egress_);
  egress_ = std::move(fresh);
  egress_rules_ = texts_of(egress);
  names_changed_.notify();
}

// Of this shard: by name, public key or inside address.
std::vector<uint32_t> GatewayShard::clients_called(const std::string &peer) const {
  std::vector<uint32_t> found;
  if (std::optional<IpAddress> address = IpAddress::parse(peer)) {
    std::optional<ClientPlace> place = place_of(*address);
    if (place && place->id) found.push_back(place->id);
    return found;
  }
  for (const OpenLink &link : links_) {
    if (!link.wireguard) continue;
    for (const wireguard::PeerStatus &each : link.wireguard->peers()) {
      if (each.config.name == peer || to_base64(each.config.public_key) == peer) found.push_back(each.id);
    }
  }
  return found;
}

void GatewayShard::set_rates(const std::vector<RateRule> &rules) {
  Rates::Limits limits;
  auto limit = [&](uint32_t client, const RateRule &rule) {
    auto &[up, down] = limits[client];
    up = rule.up.value_or(up);
    down = rule.down.value_or(down);
  };
  for (const RateRule &rule : rules) {
    for (uint32_t client : clients_called(rule.peer)) limit(client, rule);
  }
  rates_.set(limits);
  shard_.limit_by(rates_.empty() ? nullptr : this);
}

// Of what one client sends another, both rates count.
bool GatewayShard::admits(const FlowKey &key, uint32_t client, size_t bytes) {
  if (Rates::Paces *sender = rates_.of(client); sender && !sender->up.admit(bytes)) return false;
  std::optional<ClientPlace> place = place_of(key.outside.address, 1);
  if (!place || !place->id || place->id == client) return true;
  Rates::Paces *receiver = rates_.of(place->id);
  return !receiver || receiver->down.admit(bytes);
}

void GatewayShard::set_forward(size_t index, const ForwardPtr &forward) {
  if (!forward) forwards_->stop(index);
  if (index >= forward_list_.size()) forward_list_.resize(index + 1);
  forward_list_[index] = forward;
  router_.set_forward(index, forward);
}

std::optional<uint32_t> GatewayShard::shard_of(const IpAddress &address) const {
  std::optional<ClientPlace> place = place_of(address);
  return place ? std::optional(place->shard) : std::nullopt;
}

std::optional<ClientPlace> GatewayShard::place_of(const IpAddress &address, int shortest) const {
  std::optional<ClientPlace> best;
  for (uint16_t number = 0; number < links_.size(); number++) {
    const OpenLink &link = links_[number];
    if (link.wireguard) {
      std::optional<wireguard::PeerPlace> place = link.wireguard->place_of(address, shortest);
      if (!place) continue;
      best = {number, place->shard, place->id};
      shortest = place->length + 1;
    } else {
      std::optional<int> length = longest_prefix(link.options.gue()->allowed_ips, address);
      if (!length || *length < shortest) continue;
      best = {number, 0, link.gue ? link.gue->client() : 0};
      shortest = *length + 1;
    }
  }
  return best;
}

// A peer that may send from anywhere (AllowedIPs of length 0) is not everybody's neighbour.
std::optional<ClientPlace> GatewayShard::neighbour(const IpAddress &address, uint32_t client) const {
  std::optional<ClientPlace> place = place_of(address, 1);
  return is(place, client) ? std::nullopt : place;
}

// Each link sees to it that its clients keep to their own addresses, but does not know those of other links.
std::optional<uint16_t> GatewayShard::neighbour_link(const FlowKey &key, uint32_t client) const {
  const std::optional<ClientPlace> place = neighbour(key.outside.address, client);
  if (!place) return std::nullopt;
  if (links_.size() > 1 && !is(place_of(key.inside.address), client)) return std::nullopt;
  if (!std::holds_alternative<target::Peer>(router_.route(key, client))) return std::nullopt;
  return place->link;
}

// --- to other shards and from them -----------------------------------------------------------------------------------

void GatewayShard::pass_on(uint16_t link, std::span<wireguard::Output::Elsewhere> packets) {
  for (uint32_t shard = 0; shard < shards_.size(); shard++) {
    Parcel parcel{.link = link};
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

void GatewayShard::pass_on(uint16_t link, std::span<Packet> packets) {
  std::vector<wireguard::Output::Elsewhere> elsewhere;
  for (Packet &packet : packets) elsewhere.push_back({std::move(packet), 0, std::nullopt});
  pass_on(link, elsewhere);
}

void GatewayShard::open_parcel(const Parcel &parcel) {
  const OpenLink &link = links_[parcel.link];
  Bytes rest = parcel.bytes;
  for (const Parcel::Item &item : parcel.items) {
    const Bytes bytes = rest.first(item.size);
    rest = rest.subspan(item.size);
    if (!item.initiation_from && !admits_from_elsewhere(bytes)) continue;
    if (link.gue) {
      link.gue->send_passed_on(bytes);
    } else {
      link.wireguard->receive_passed_on(bytes, item.initiation_from);
    }
  }
}

// An inside packet that a client of another shard sent one of ours.
bool GatewayShard::admits_from_elsewhere(Bytes packet) {
  if (rates_.empty()) return true;
  std::variant<ParsedPacket, DropReason> parsed = parse_packet(packet);
  const auto *found = std::get_if<ParsedPacket>(&parsed);
  if (!found || admits(found->key, 0, packet.size())) return true;
  shard_.counters().drop(DropReason::rate_of_client);
  return false;
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

std::optional<Passage> GatewayShard::passes_through(const FlowKey &key, uint32_t client) {
  const std::optional<uint16_t> link = neighbour_link(key, client);
  return link ? std::optional(Passage{*link, router_.hop_address(key.is_v4())}) : std::nullopt;
}

void GatewayShard::on_icmp_error(const FlowKey &key, uint32_t client, uint8_t type, uint8_t code, uint32_t mtu) {
  const bool too_big = key.is_v4() ? type == icmp::kDestinationUnreachable && code == icmp::kFragmentationNeeded
                                   : type == icmpv6::kPacketTooBig;
  if (too_big && is(place_of(key.inside.address), client)) {
    shard_.stack().learn_path_mtu(key.link, key.inside.address, mtu);
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
    const Duration rules = co_await resolve_rules(alive, said || place_.number != 0);
    if (alive.expired()) co_return;
    const Duration endpoints = co_await resolve_endpoints(alive, said);
    if (alive.expired()) co_return;
    said = true;
    co_await names_changed_.wait(loop_.now() + std::min(rules, endpoints));
    if (alive.expired()) co_return;
  }
}

Task<Duration> GatewayShard::resolve_gue_peers(std::weak_ptr<void> alive, bool quiet) {
  Duration valid = dns::Resolver::kLongestValidity;
  for (OpenLink &link : links_) {
    if (!link.gue || link.options.gue()->peer_name.empty()) continue;
    const std::string &name = link.options.gue()->peer_name;
    Result<dns::Resolved> found = co_await resolver_.look_up(name);
    if (alive.expired()) co_return Duration();
    if (!found) {
      valid = dns::Resolver::kRetry;
      if (!quiet) log::warn("--peer-endpoint {}: {}; trying again", name, found.error().text);
      continue;
    }
    valid = std::min(valid, found->valid);
    const Endpoint endpoint{found->addresses.front(), link.options.gue()->peer_port};
    if (link.gue->peer().endpoint != endpoint) link.gue->set_peer(endpoint);
  }
  co_return valid;
}

Task<Duration> GatewayShard::resolve_endpoints(std::weak_ptr<void> alive, bool quiet) {
  Duration valid = co_await resolve_gue_peers(alive, quiet);
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
      if (named.peer != peer.peer || named.endpoint == endpoint) continue;
      named.endpoint = endpoint;
      WireGuardLink &wireguard = *links_[named.peer.link].wireguard;
      std::optional<wireguard::PeerConfig> standing = wireguard.peer(named.peer.key);
      if (!standing) continue;
      standing->endpoint = endpoint;
      wireguard.set_peer(*standing);
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
  status.started = started_;
  status.threads = place_.count;
  status.flows = flows_.size();
  status.flows_limit = limits_.max_flows;
  status.connections = context_.stack().connections();
  status.ping_sockets = ping_sockets_;
  status.egress = egress_rules_;
  status.counters = context_.counters();
  for (uint16_t number = 0; number < links_.size(); number++) {
    const OpenLink &link = links_[number];
    LinkStatus &told = status.links.emplace_back();
    told.name = link.options.name;
    told.listen = listening(number);
    if (link.wireguard) {
      told.public_key = link.wireguard->public_key();
      told.peers = link.wireguard->peers();
    }
    if (link.options.gue()) told.gue = link.gue ? link.gue->peer() : GuePeerStatus{};
    auto tell_rate = [&](uint32_t client, const wireguard::PublicKey &key) {
      if (const Rates::Paces *paces = rates_.of(client)) told.rates[key] = {paces->up.rate(), paces->down.rate()};
    };
    for (const wireguard::PeerStatus &peer : told.peers) tell_rate(peer.id, peer.config.public_key);
    if (link.gue) tell_rate(link.gue->client(), {});
    told.counters = link.counters;
    status.counters += link.counters;
  }
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
                   links_[flow.key.link].options.name, kStates[static_cast<int>(flow.state())], flow.bytes_up,
                   flow.bytes_down, flow.opened, flow.last_active});
  });
  return all;
}

}  // namespace slipgate
