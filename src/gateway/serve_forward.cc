#include "gateway/serve_forward.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "dns/resolver.h"
#include "io/conversation.h"
#include "io/socket_address.h"
#include "io/wait.h"
#include "wire/proxy_header.h"

namespace slipgate {

namespace {

// A client that is asked to accept either answers within some round trips or is not there.
constexpr Duration kInsideConnect = seconds(10);
// A proxy sends its header with the first packet.
constexpr Duration kProxyHeader = seconds(5);

// Of the addresses that a target's name stands for, the first that the forward can use.
std::optional<IpAddress> usable(const Forward &forward, const std::vector<IpAddress> &addresses) {
  for (const IpAddress &address : addresses) {
    if (!forward.source || forward.source->address.is_v4() == address.is_v4()) return address;
  }
  return std::nullopt;
}

}  // namespace

// One `-u` listener: each of its peers is a flow towards the target inside.
class ForwardService::UdpForward final : DatagramPortOwner {
 public:
  UdpForward(ForwardService &service, ForwardPtr forward) : service_(service), forward_(std::move(forward)) {}
  ~UdpForward() {
    alive_.reset();
    end_flows();
  }

  Result<void> listen(const Endpoint &at) {
    Result<std::unique_ptr<HostDatagramSocket>> socket =
        HostDatagramSocket::open(service_.context_.loop, *this, HostDatagramSocket::Kind::udp_listener, at);
    if (!socket) return socket.error();
    socket_ = std::move(*socket);
    target_ = IpAddress::parse(forward().target);
    if (!target_) spawn(service_.context_.loop, follow_name(alive_));
    return {};
  }
  Endpoint local() const { return socket_->local(); }
  const std::optional<IpAddress> &target() const { return target_; }

 private:
  // Who sends to the listener: an endpoint, and behind a proxy the client that its header names.
  struct Peer {
    Endpoint endpoint;
    bool proxied = false;
    SppHeader header{};

    // The client's own endpoint.
    Endpoint client() const { return proxied ? header.client().source : endpoint; }
    bool operator==(const Peer &other) const {
      return endpoint == other.endpoint && std::memcmp(&header, &other.header, sizeof(header)) == 0;
    }
  };

  // One peer of the listener. From inside its datagrams look as if the peer had sent them itself.
  class PeerFlow final : public DatagramFlow {
   public:
    PeerFlow(UdpForward &forward, const Peer &peer, const IpAddress &local)
        : forward_(forward), peer_(peer), local_(local) {}
    ~PeerFlow() override { forward_.flows_.erase(peer_); }

    void admitted(Flow &flow) { flow_ = FlowHandle(forward_.service_.context_.flows, flow); }
    Flow &flow() const { return *flow_; }
    std::string host() const override { return peer_.client().to_string(); }

    void from_inside(const FlowKey &, Bytes payload, const DatagramInfo &info, Bytes) override {
      flow_->touch(forward_.service_.context_.loop.now());
      flow_->bytes_up += payload.size();
      DatagramHeader header{.ttl = info.ttl, .traffic_class = info.traffic_class};
      header.local = local_;
      Bytes proxy = peer_.proxied ? bytes_of(peer_.header) : Bytes();
      forward_.socket_->send(proxy, payload, peer_.endpoint, header);
      if (forward_.forward().transport == Forward::Transport::udp_rpc) delete this;
    }
    void on_idle(Flow &) override { delete this; }

   private:
    UdpForward &forward_;
    const Peer peer_;
    const IpAddress local_;
    FlowHandle flow_;
  };

  struct PeerHash {
    size_t operator()(const Peer &peer) const {
      std::hash<std::string_view> hash;
      return hash(text_of(peer.endpoint.address.v6_bytes())) ^ (size_t{peer.endpoint.port} << 20) ^
             hash(text_of(bytes_of(peer.header)));
    }
  };

  const Forward &forward() const { return *forward_; }

  // Each takes itself out of the map.
  void end_flows() {
    while (!flows_.empty()) delete flows_.begin()->second;
  }

  // The target's name, again whenever an answer's time is over. A target that it still stands for stays.
  Task<> follow_name(std::weak_ptr<void> alive) {
    Context &context = service_.context_;
    Event never(context.loop);
    bool said = false;
    while (true) {
      Result<dns::Resolved> found = co_await context.resolver.look_up(forward().target);
      if (alive.expired()) co_return;
      if (!found && !std::exchange(said, true)) log::warn("forward {}: {}", forward().spec, found.error().text);
      if (found) set_target(found->addresses);
      co_await never.wait(context.loop.now() + (found ? found->valid : dns::Resolver::kRetry));
      if (alive.expired()) co_return;
    }
  }

  void set_target(const std::vector<IpAddress> &addresses) {
    if (target_ && std::find(addresses.begin(), addresses.end(), *target_) != addresses.end()) return;
    end_flows();
    target_ = usable(forward(), addresses);
    service_.on_target_();
  }

  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) override {
    Context &context = service_.context_;
    Peer peer{.endpoint = from};
    if (forward().transport == Forward::Transport::udp_spp) {
      const SppHeader *spp = view_spp(payload);
      if (!spp) {
        context.counters().drop(DropReason::bad_header);
        return;
      }
      peer.proxied = true;
      peer.header = *spp;
      payload = payload.subspan(sizeof(SppHeader));
    }
    PeerFlow *flow = nullptr;
    if (auto found = flows_.find(peer); found != flows_.end()) {
      flow = found->second;
    } else {
      flow = open(peer, header.local);
      if (!flow) return;
    }
    flow->flow().touch(context.loop.now());
    flow->flow().bytes_down += payload.size();
    if (!context.admit_down(flow->flow().client, payload.size())) return;
    context.stack().send_datagram(flow->flow().key, payload,
                                  {.ttl = header.ttl, .traffic_class = header.traffic_class});
  }

  PeerFlow *open(const Peer &peer, const IpAddress &local) {
    Context &context = service_.context_;
    if (!target_) {  // its name is not known, or not yet
      context.counters().drop(DropReason::host_unreachable);
      return nullptr;
    }
    FlowKey key;
    key.protocol = Protocol::udp;
    key.inside = {*target_, forward().target_port ? forward().target_port : socket_->local().port};
    key.outside = service_.source_of(forward(), peer.client(), target_->is_v4());
    std::optional<ClientPlace> place = service_.place_of_(*target_);
    if (!place || !place->id) {
      context.counters().drop(DropReason::wireguard_no_peer);
      return nullptr;
    }
    key.link = place->link;
    auto made = std::make_unique<PeerFlow>(*this, peer, local);
    std::variant<Flow *, DropReason> admitted = context.draining
                                                    ? DropReason::too_many_flows
                                                    : context.flows.open(key, place->id, FlowState::established, *made);
    if (auto *reason = std::get_if<DropReason>(&admitted)) {
      context.counters().drop(*reason);
      return nullptr;
    }
    context.counters().udp_flows_opened++;
    made->admitted(**std::get_if<Flow *>(&admitted));
    flows_[peer] = made.get();
    return made.release();
  }

  void on_datagram_error(const DatagramError &) override { service_.context_.counters().drop(DropReason::send_failed); }

  ForwardService &service_;
  const ForwardPtr forward_;
  std::unique_ptr<HostDatagramSocket> socket_;
  std::optional<IpAddress> target_;
  std::shared_ptr<void> alive_ = std::make_shared<int>();
  std::unordered_map<Peer, PeerFlow *, PeerHash> flows_;  // bounded by the flow table
};

ForwardService::ForwardService(Context &context, TcpService &tcp, PlaceOf place_of, const ForwardList &forwards,
                               std::vector<IpAddress> own, HandOver hand_over, std::function<void()> on_target)
    : context_(context),
      tcp_(tcp),
      place_of_(std::move(place_of)),
      forwards_(forwards),
      own_(std::move(own)),
      hand_over_(std::move(hand_over)),
      on_target_(std::move(on_target)) {}

ForwardService::~ForwardService() = default;

Result<Endpoint> ForwardService::listen(size_t index, const Endpoint &at) {
  const ForwardPtr held = forwards_[index];
  const Forward &forward = *held;
  auto failed = [&](const Error &error) { return Error{error.code, "forward " + forward.spec + ": " + error.text}; };
  if (forward.is_tcp()) {
    Result<std::unique_ptr<TcpListener>> listener =
        TcpListener::listen(context_.loop, at, [this, held](Fd descriptor, Endpoint peer) {
          const Endpoint local = local_endpoint(descriptor.get());
          serve({.forward = held, .descriptor = std::move(descriptor), .local = local, .peer = peer});
        });
    if (!listener) return failed(listener.error());
    const Endpoint local = (*listener)->local();
    tcp_listeners_[index] = std::move(*listener);
    return local;
  }
  auto listener = std::make_unique<UdpForward>(*this, held);
  if (Result<void> done = listener->listen(at); !done) return failed(done.error());
  const Endpoint local = listener->local();
  udp_forwards_[index] = std::move(listener);
  return local;
}

std::optional<uint32_t> ForwardService::home(size_t index) const {
  auto found = udp_forwards_.find(index);
  if (found == udp_forwards_.end() || !found->second->target()) return std::nullopt;
  const std::optional<ClientPlace> place = place_of_(*found->second->target());
  return place ? std::optional(place->shard) : std::nullopt;
}

void ForwardService::stop(size_t index) {
  tcp_listeners_.erase(index);
  udp_forwards_.erase(index);
}

void ForwardService::stop() {
  tcp_listeners_.clear();
}

void ForwardService::serve(AcceptedConnection connection) {
  spawn(context_.loop, serve_connection(std::move(connection)));
}

// What the inside is told as source: the forward's own word, else the real client, else one of our inside addresses.
Endpoint ForwardService::source_of(const Forward &forward, const Endpoint &peer, bool v4) const {
  if (forward.source) return {forward.source->address, forward.source->port ? forward.source->port : peer.port};
  const IpAddress &address = peer.address;
  bool meaningless = address.is_loopback() || address.is_link_local() || address.is_unspecified();
  if (address.is_v4() == v4 && !meaningless) return peer;
  for (const IpAddress &own : own_) {
    if (own.is_v4() == v4) return {own, peer.port};
  }
  return address.is_v4() == v4 ? peer : Endpoint{IpAddress::any(v4), peer.port};
}

// A connection that leads nowhere is refused, not ended.
void ForwardService::reset_at_close(const Fd &descriptor) {
  linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

// The life of one TCP connection opened from the host.
Task<> ForwardService::serve_connection(AcceptedConnection accepted) {
  const ForwardPtr held = accepted.forward;
  const Forward &forward = *held;
  std::optional<IpAddress> target = accepted.target;
  if (!target) {
    Result<std::vector<IpAddress>> found = co_await context_.resolver.resolve(forward.target);
    if (found) target = usable(forward, *found);
    if (!target) {
      context_.counters().drop(DropReason::host_unreachable);
      log::warn("forward {}: {}", forward.spec, found ? "no address of the source's family" : found.error().text);
      reset_at_close(accepted.descriptor);
      co_return;
    }
  }
  const std::optional<ClientPlace> place = place_of_(*target);
  if (place && !place->id && !accepted.target) {
    accepted.target = target;
    hand_over_(place->shard, std::move(accepted));
    co_return;
  }
  if (!place || !place->id) {
    context_.counters().drop(DropReason::wireguard_no_peer);
    reset_at_close(accepted.descriptor);
    co_return;
  }
  Result<StreamPtr> host = make_tcp_stream(context_.loop, std::move(accepted.descriptor));
  if (!host) {
    context_.counters().drop(DropReason::descriptors_exhausted);
    co_return;
  }
  StreamPtr outside = std::move(*host);  // not finished: going away is an RST
  Endpoint peer = accepted.peer;
  uint16_t port = forward.target_port;
  if (forward.transport == Forward::Transport::tcp_proxy) {
    Conversation proxy(context_.loop, std::move(outside));
    Result<ProxyHeader, int> header = co_await proxy.hear(parse_proxy_header, context_.loop.now() + kProxyHeader);
    if (!header) {
      context_.counters().drop(DropReason::bad_header);
      log::info("forward {}: {} sent no PROXY header", forward.spec, peer.to_string());
      co_return;
    }
    outside = proxy.finish();
    if (header->client) {
      peer = header->client->source;
      port = port ? port : header->client->destination.port;
    }
  }
  FlowKey key;
  key.protocol = Protocol::tcp;
  key.link = place->link;
  key.inside = {*target, port ? port : accepted.local.port};
  key.outside = source_of(forward, peer, key.inside.address.is_v4());
  std::variant<Flow *, DropReason> admitted = context_.draining
                                                  ? DropReason::too_many_flows
                                                  : context_.flows.open(key, place->id, FlowState::connecting, *this);
  if (auto *reason = std::get_if<DropReason>(&admitted)) {
    context_.counters().drop(*reason);
    co_return;
  }
  FlowHandle flow(context_.flows, **std::get_if<Flow *>(&admitted));
  flow->host = peer.to_string();

  Event answered(context_.loop);
  StreamPtr inside;
  std::unique_ptr<Stack::Connecting> connecting =
      context_.stack().connect(key, place->id, [&answered, &inside](StreamPtr stream, int) {
        inside = std::move(stream);
        answered.notify();
      });
  co_await answered.wait(context_.loop.now() + kInsideConnect);
  connecting.reset();
  if (!inside) {
    context_.counters().drop(DropReason::connection_refused);
    co_return;
  }
  context_.counters().tcp_flows_opened++;
  tcp_.carry(std::move(flow), std::move(inside), std::move(outside));
}

}  // namespace slipgate
