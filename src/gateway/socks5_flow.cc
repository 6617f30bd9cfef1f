#include "gateway/socks5_flow.h"

#include "base/log.h"
#include "gateway/dial.h"
#include "gateway/refusals.h"

namespace slipgate {

namespace {

// How long a proxy that has failed is left alone by one client endpoint.
constexpr Duration kFailedFor = seconds(5);

Task<Result<Socks5Association, DialError>> associate_with(Context *context, ProxyPtr proxy) {
  Result<Reached, DialError> reached = co_await dial_proxy(*context, proxy);
  if (!reached) co_return reached.error();
  const IpAddress at = reached->address;
  Result<Socks5Association, DialError> association =
      co_await associate_by_socks5(context->loop, std::move(reached->stream), std::move(proxy));
  if (association && (!association->address || association->address->is_unspecified())) association->address = at;
  co_return association;
}

}  // namespace

void Socks5Flow::admitted(Flow &flow) {
  flow_ = FlowHandle(context_.flows, flow);
  spawn(context_.loop, associate(alive_));
}

// `alive` tells whether this flow is still there when the proxy has answered.
Task<> Socks5Flow::associate(std::weak_ptr<void> alive) {
  Result<Socks5Association, DialError> association = co_await associate_with(&context_, proxy_);
  if (alive.expired()) co_return;
  if (!association) {
    log::debug("{}: {}", key_.to_string(), association.error().to_string());
    failed(drop_reason_for(association.error()));
    co_return;
  }
  const Endpoint relay{*association->address, association->port};
  Result<std::unique_ptr<Socks5Port>> port =
      Socks5Port::open(context_.loop, *this, std::move(association->control), relay, context_.source, [this] {
        log::debug("{}: the proxy has ended the association", key_.to_string());
        delete this;
      });
  if (!port) {
    log::debug("{}: {}", key_.to_string(), port.error().text);
    failed(drop_reason_for(proxy_error(port.error().code, DropReason::proxy_failed)));
    co_return;
  }
  port_ = std::move(*port);
  context_.flows.set_state(*flow_, FlowState::established);
  for (const Waiting &each : std::exchange(waiting_, {})) port_->send(each.payload, each.key.outside, {});
}

void Socks5Flow::failed(DropReason reason) {
  failure_ = reason;
  context_.flows.set_state(*flow_, FlowState::closing);
  context_.flows.set_idle_timeout(*flow_, kFailedFor);
  for (const Waiting &each : std::exchange(waiting_, {})) {
    refuse(each.key, QuotedDatagram(each.key, each.payload).bytes());
  }
}

void Socks5Flow::refuse(const FlowKey &key, Bytes original) {
  context_.counters().drop(*failure_);
  const Refusal refusal = datagram_refusal(*failure_, key.is_v4());
  context_.stack().send_icmp_error(key, original, key.outside.address, refusal.icmp_type, refusal.icmp_code);
}

void Socks5Flow::from_inside(const FlowKey &key, Bytes payload, const DatagramInfo &info, Bytes original) {
  if (failure_) return refuse(key, original);
  flow_->touch(context_.loop.now());
  flow_->bytes_up += payload.size();
  if (port_) {
    port_->send(payload, key.outside, header_outside(info));
  } else if (waiting_.size() < kMostWaiting && waiting_bytes_ + payload.size() <= kMostWaitingBytes) {
    waiting_bytes_ += payload.size();
    waiting_.push_back({key, {payload.begin(), payload.end()}});
  } else {
    context_.counters().drop(DropReason::send_failed);
  }
}

void Socks5Flow::on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) {
  if (from.address.is_v4() != key_.is_v4()) return;  // the client could not have spoken to it
  flow_->touch(context_.loop.now());
  flow_->bytes_down += payload.size();
  FlowKey key = key_;
  key.outside = from;
  context_.stack().send_datagram(key, payload, info_inside(header));
}

void Socks5Flow::on_datagram_error(const DatagramError &) {
  context_.counters().drop(DropReason::send_failed);
}

}  // namespace slipgate
