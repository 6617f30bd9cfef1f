#include "gateway/serve_tcp.h"

#include <memory>

#include "base/log.h"
#include "gateway/refusals.h"

namespace slipgate {

namespace {

// A SYN that may pass so few routers is a traceroute's: kernels begin with 64 or more. The host's SYN passes as many
// as are left; for others that would be two system calls for nothing.
constexpr uint8_t kTracedHops = 32;

// A flow whose two streams are joined.
class Carried final : public RelayEnd {
 public:
  Carried(Context &context, FlowHandle flow) : context_(context), flow_(std::move(flow)) {}
  void on_relay_end(const RelayResult &result) override {
    if (result.idle) context_.counters().drop(DropReason::idle_timeout);
    log::debug("{}: closed, {} bytes up, {} down", flow_->key.to_string(), flow_->bytes_up, flow_->bytes_down);
  }
  Traffic &traffic() override { return *flow_; }
  Pace *pace(Way way) override {
    Rates::Paces *paces = context_.rates.of(flow_->client);
    return !paces ? nullptr : way == Way::up ? &paces->up : &paces->down;
  }
  size_t share(Way way) override {
    if (!context_.shard.crowded()) return SIZE_MAX;
    return context_.turns.share(flow_->client, places_[static_cast<size_t>(way)], context_.loop.now());
  }
  void moved(Way way, size_t bytes) override {
    if (context_.shard.crowded()) context_.turns.moved(flow_->client, places_[static_cast<size_t>(way)], bytes);
  }

 private:
  Context &context_;
  FlowHandle flow_;
  ClientTurns::Place places_[2];
};

}  // namespace

void TcpService::serve(StreamRequestPtr request) {
  std::shared_ptr<TaskCancel> cancel = TaskCancel::make();
  request->on_cancel([weak = std::weak_ptr(cancel), this] {
    context_.counters().drop(DropReason::request_cancelled);
    context_.loop.post([weak] {
      if (auto task = weak.lock()) task->cancel();
    });
  });
  spawn(context_.loop, serve_request(std::move(request)), std::move(cancel));
}

// The life of one TCP connection opened from inside.
Task<> TcpService::serve_request(StreamRequestPtr request) {
  const FlowKey key = request->key();
  const bool v4 = key.is_v4();
  Target target = context_.router.route(key, request->client());
  if (auto *refused = std::get_if<target::Refused>(&target)) {
    context_.counters().drop(refused->reason);
    log::debug("{}: {}", key.to_string(), description_of(refused->reason));
    request->refuse(tcp_refusal(refused->reason, v4));
    co_return;
  }

  const uint8_t hops = request->hops();
  const bool direct = std::holds_alternative<target::HostTcp>(target);
  const bool routed =
      direct || std::holds_alternative<target::Socks5Tcp>(target) || std::holds_alternative<target::HttpTcp>(target);
  if (routed && hops <= 1) {
    context_.counters().drop(DropReason::ttl_expired);
    Refusal refusal = tcp_refusal(DropReason::ttl_expired, v4);
    refusal.from = speaker(context_, key, DropReason::ttl_expired);
    request->refuse(refusal);
    co_return;
  }

  std::variant<Flow *, DropReason> admitted =
      context_.draining ? DropReason::too_many_flows
                        : context_.flows.open(key, request->client(), FlowState::connecting, *this);
  if (auto *reason = std::get_if<DropReason>(&admitted)) {
    context_.counters().drop(*reason);
    request->refuse(tcp_refusal(*reason, v4));
    co_return;
  }
  FlowHandle flow(context_.flows, **std::get_if<Flow *>(&admitted));

  flow->host = dialer_.describe(target, key.outside);
  DialOptions wishes;
  if (direct && hops <= kTracedHops) wishes.hops = static_cast<uint8_t>(hops - 1);
  wishes.service_class = request->service_class();
  Result<StreamPtr, DialError> outside = co_await dialer_.dial(target, key, request->client(), wishes);
  if (!outside) {
    context_.counters().drop(drop_reason_for(outside.error()));
    log::debug("{}: {}", key.to_string(), outside.error().to_string());
    request->refuse(refusal_for(outside.error(), v4));
    co_return;
  }
  StreamPtr inside = request->accept();
  if (!inside) co_return;  // the client has gone; so does the host's connection
  request.reset();
  context_.counters().tcp_flows_opened++;
  log::debug("{}: open", key.to_string());
  carry(std::move(flow), std::move(inside), std::move(*outside));
}

void TcpService::carry(FlowHandle flow, StreamPtr inside, StreamPtr outside) {
  context_.flows.set_state(*flow, FlowState::established);
  // The relay watches for idleness; the table's timer would only ask again.
  context_.flows.set_idle_timeout(*flow, hours(24 * 365));
  relay(context_.loop, std::move(inside), std::move(outside), context_.limits.tcp_idle_timeout,
        std::make_unique<Carried>(context_, std::move(flow)));
}

}  // namespace slipgate
