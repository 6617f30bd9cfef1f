#include "gateway/serve_forward.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "base/log.h"
#include "dns/resolver.h"
#include "io/wait.h"

namespace slipgate {

namespace {

// A client that is asked to accept either answers within some round trips or is not there.
constexpr Duration kInsideConnect = seconds(10);

bool is_tcp(const Forward &forward) {
  return forward.transport == Forward::Transport::tcp || forward.transport == Forward::Transport::tcp_proxy_v1;
}

}  // namespace

// One `-u` listener: each of its peers is a flow towards the target inside.
class ForwardService::UdpForward final : DatagramPortOwner {
 public:
  UdpForward(ForwardService &service, size_t index) : service_(service), index_(index) {}
  ~UdpForward() {
    // Each takes itself out of the map.
    while (!flows_.empty()) delete flows_.begin()->second;
  }

  Result<void> listen(const Endpoint &at) {
    Result<std::unique_ptr<HostDatagramSocket>> socket =
        HostDatagramSocket::open(service_.context_.loop, *this, HostDatagramSocket::Kind::udp_listener, at);
    if (!socket) return socket.error();
    socket_ = std::move(*socket);
    return {};
  }
  Endpoint local() const { return socket_->local(); }

 private:
  // One peer of the listener. From inside its datagrams look as if the peer had sent them itself.
  class PeerFlow final : public DatagramFlow {
   public:
    PeerFlow(UdpForward &forward, const Endpoint &peer, const IpAddress &local)
        : forward_(forward), peer_(peer), local_(local) {}
    ~PeerFlow() override { forward_.flows_.erase(peer_); }

    void admitted(Flow &flow) { flow_ = FlowHandle(forward_.service_.context_.flows, flow); }
    Flow &flow() const { return *flow_; }

    void from_inside(const FlowKey &, Bytes payload, const DatagramInfo &info, Bytes) override {
      flow_->touch(forward_.service_.context_.loop.now());
      flow_->bytes_up += payload.size();
      DatagramHeader header{.ttl = info.ttl, .traffic_class = info.traffic_class};
      header.local = local_;
      forward_.socket_->send({}, payload, peer_, header);
      if (forward_.forward().transport == Forward::Transport::udp_rpc) delete this;
    }
    void on_idle(Flow &) override { delete this; }

   private:
    UdpForward &forward_;
    const Endpoint peer_;
    const IpAddress local_;
    FlowHandle flow_;
  };

  struct EndpointHash {
    size_t operator()(const Endpoint &endpoint) const {
      std::string_view bytes(reinterpret_cast<const char *>(endpoint.address.v6_bytes().data()), 16);
      return std::hash<std::string_view>()(bytes) ^ (size_t{endpoint.port} << 20);
    }
  };

  const Forward &forward() const { return service_.forwards_[index_]; }

  void on_datagram(Bytes payload, const Endpoint &peer, const DatagramHeader &header) override {
    Context &context = service_.context_;
    PeerFlow *flow = nullptr;
    if (auto found = flows_.find(peer); found != flows_.end()) {
      flow = found->second;
    } else {
      flow = open(peer, header.local);
      if (!flow) return;
    }
    flow->flow().touch(context.loop.now());
    flow->flow().bytes_down += payload.size();
    context.stack().send_datagram(flow->flow().key, payload,
                                  {.ttl = header.ttl, .traffic_class = header.traffic_class});
  }

  PeerFlow *open(const Endpoint &peer, const IpAddress &local) {
    Context &context = service_.context_;
    std::optional<IpAddress> target = IpAddress::parse(forward().target);
    if (!target) return nullptr;  // listen() saw to it
    FlowKey key;
    key.protocol = Protocol::udp;
    key.inside = {*target, forward().target_port ? forward().target_port : socket_->local().port};
    key.outside = service_.source_of(index_, peer, target->is_v4());
    std::optional<uint32_t> client = service_.link_.peer_for(*target);
    if (!client) {
      context.counters().drop(DropReason::wireguard_no_peer);
      return nullptr;
    }
    auto made = std::make_unique<PeerFlow>(*this, peer, local);
    std::variant<Flow *, DropReason> admitted =
        context.draining ? DropReason::too_many_flows : context.flows.open(key, *client, FlowState::established, *made);
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
  const size_t index_;
  std::unique_ptr<HostDatagramSocket> socket_;
  std::unordered_map<Endpoint, PeerFlow *, EndpointHash> flows_;  // bounded by the flow table
};

ForwardService::ForwardService(Context &context, TcpService &tcp, const WireGuardLink &link,
                               const std::vector<Forward> &forwards, std::vector<IpAddress> own)
    : context_(context), tcp_(tcp), link_(link), forwards_(forwards), own_(std::move(own)) {}

ForwardService::~ForwardService() = default;

Result<void> ForwardService::listen() {
  for (size_t i = 0; i < forwards_.size(); i++) {
    const Forward &forward = forwards_[i];
    if (forward.direction != Forward::Direction::local) continue;
    auto failed = [&](const Error &error) { return Error{error.code, "forward " + forward.spec + ": " + error.text}; };
    Endpoint local;
    if (is_tcp(forward)) {
      Result<std::unique_ptr<TcpListener>> listener =
          TcpListener::listen(context_.loop, forward.listen, [this, i](Fd descriptor, Endpoint peer) {
            spawn(context_.loop, serve_connection(i, std::move(descriptor), peer));
          });
      if (!listener) return failed(listener.error());
      local = (*listener)->local();
      tcp_listeners_.push_back(std::move(*listener));
    } else {
      auto listener = std::make_unique<UdpForward>(*this, i);
      if (Result<void> done = listener->listen(forward.listen); !done) return failed(done.error());
      local = listener->local();
      udp_forwards_.push_back(std::move(listener));
    }
    log::info("forward {}: listening on {} {}", forward.spec, is_tcp(forward) ? "tcp" : "udp", local.to_string());
  }
  return {};
}

void ForwardService::stop() {
  tcp_listeners_.clear();
}

// What the inside is told as source: the forward's own word, else the real client, else one of our inside addresses.
Endpoint ForwardService::source_of(size_t index, const Endpoint &peer, bool v4) const {
  const Forward &forward = forwards_[index];
  if (forward.source) return {forward.source->address, forward.source->port ? forward.source->port : peer.port};
  const IpAddress &address = peer.address;
  bool meaningless = address.is_loopback() || address.is_link_local() || address.is_unspecified();
  if (address.is_v4() == v4 && !meaningless) return peer;
  for (const IpAddress &own : own_) {
    if (own.is_v4() == v4) return {own, peer.port};
  }
  return address.is_v4() == v4 ? peer : Endpoint{IpAddress::any(v4), peer.port};
}

// The life of one TCP connection opened from the host.
Task<> ForwardService::serve_connection(size_t index, Fd descriptor, Endpoint peer) {
  const Forward &forward = forwards_[index];
  Result<StreamPtr> host = make_host_stream(context_.loop, std::move(descriptor));
  if (!host) {
    context_.counters().drop(DropReason::descriptors_exhausted);
    co_return;
  }
  StreamPtr outside = std::move(*host);  // not finished: going away is an RST
  Result<std::vector<IpAddress>> target = co_await context_.resolver.resolve(forward.target);
  if (!target) {
    context_.counters().drop(DropReason::host_unreachable);
    log::warn("forward {}: {}", forward.spec, target.error().text);
    co_return;
  }
  FlowKey key;
  key.protocol = Protocol::tcp;
  key.inside = {target->front(), forward.target_port ? forward.target_port : forward.listen.port};
  key.outside = source_of(index, peer, key.inside.address.is_v4());
  std::optional<uint32_t> client = link_.peer_for(key.inside.address);
  if (!client) {
    context_.counters().drop(DropReason::wireguard_no_peer);
    co_return;
  }
  std::variant<Flow *, DropReason> admitted =
      context_.draining ? DropReason::too_many_flows : context_.flows.open(key, *client, FlowState::connecting, *this);
  if (auto *reason = std::get_if<DropReason>(&admitted)) {
    context_.counters().drop(*reason);
    co_return;
  }
  FlowHandle flow(context_.flows, **std::get_if<Flow *>(&admitted));

  Event answered(context_.loop);
  StreamPtr inside;
  std::unique_ptr<Stack::Connecting> connecting =
      context_.stack().connect(key, *client, [&answered, &inside](StreamPtr stream, int) {
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
  co_await tcp_.carry(std::move(flow), std::move(inside), std::move(outside));
}

}  // namespace slipgate
