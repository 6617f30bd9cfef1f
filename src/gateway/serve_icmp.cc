#include "gateway/serve_icmp.h"

#include <utility>

#include "gateway/refusals.h"
#include "wire/icmp.h"
#include "wire/ip.h"

namespace slipgate {

namespace {

// The echoes of one client and identifier.
class EchoFlow final : public CarriedFlow, PingPortOwner {
 public:
  EchoFlow(Context &context, const FlowKey &key)
      : context_(context), key_(key), port_(context.loop, *this, context.source) {}

  void admitted(Flow &flow) { flow_ = FlowHandle(context_.flows, flow); }

  std::string host() const override { return "ping"; }

  void request(const IpAddress &to, uint16_t sequence, Bytes payload, const DatagramInfo &info) {
    flow_->touch(context_.loop.now());
    flow_->bytes_up += payload.size();
    bool sent = port_.send(sequence, payload, to, header_outside(info));
    if (!sent) context_.counters().drop(port_.open_error() ? DropReason::no_ping_socket : DropReason::send_failed);
  }

 private:
  void on_echo_reply(uint16_t sequence, Bytes payload, const IpAddress &from, const DatagramHeader &header) override {
    flow_->touch(context_.loop.now());
    flow_->bytes_down += payload.size();
    if (!context_.admit_down(flow_->client, payload.size())) return;
    FlowKey key = key_;
    key.outside.address = from;
    context_.stack().send_echo_reply(key, sequence, payload, info_inside(header));
  }

  // Told to the client about its request as it left: IP header and echo header, built anew.
  void on_echo_error(uint16_t sequence, const DatagramError &error) override {
    if (!error.has_icmp) return;
    FlowKey key = key_;
    key.outside.address = error.destination.address;
    const bool v4 = key.is_v4();
    IpFields fields;
    fields.source = key.inside.address;
    fields.destination = key.outside.address;
    fields.protocol = static_cast<uint8_t>(key.protocol);
    IcmpEcho echo{};
    echo.type = v4 ? icmp::kEcho : icmpv6::kEchoRequest;
    echo.identifier = key.inside.port;
    echo.sequence = sequence;
    uint8_t quoted[sizeof(Ipv6Header) + sizeof(IcmpEcho)];
    write_ip_header(quoted, fields, sizeof(echo));
    std::memcpy(quoted + fields.header_size(), &echo, sizeof(echo));
    const IpAddress &from = error.reporter.is_unspecified() ? error.destination.address : error.reporter;
    context_.stack().send_icmp_error(key, Bytes(quoted).first(fields.header_size() + sizeof(echo)), from,
                                     error.icmp_type, error.icmp_code, error.mtu, info_inside({.ttl = error.ttl}).ttl);
  }

  void on_idle(Flow &) override { delete this; }

  Context &context_;
  const FlowKey key_;  // outside unspecified
  FlowHandle flow_;
  PingPort port_;
};

}  // namespace

void EchoService::serve(const FlowKey &key, uint32_t client, uint16_t sequence, Bytes payload, const DatagramInfo &info,
                        Bytes original) {
  Target target = context_.router.route(key, client);
  if (std::holds_alternative<target::Echo>(target)) {
    if (!context_.admit_down(client, payload.size())) return;
    context_.stack().send_echo_reply(key, sequence, payload, {.ttl = kDefaultTtl, .traffic_class = info.traffic_class});
    return;
  }
  if (info.ttl <= 1 && std::holds_alternative<target::HostEcho>(target)) {
    refuse(key, DropReason::ttl_expired, original);
    return;
  }
  if (!std::holds_alternative<target::HostEcho>(target)) {
    auto *refused = std::get_if<target::Refused>(&target);
    refuse(key, refused ? refused->reason : DropReason::no_service, original);
    return;
  }
  FlowKey mapping = mapping_key(key);
  EchoFlow *echo = nullptr;
  if (Flow *flow = context_.flows.find(mapping)) {
    echo = static_cast<EchoFlow *>(&flow->owner);
  } else {
    auto made = std::make_unique<EchoFlow>(context_, mapping);
    std::variant<Flow *, DropReason> admitted =
        context_.draining ? DropReason::too_many_flows
                          : context_.flows.open(mapping, client, FlowState::established, *made);
    if (auto *reason = std::get_if<DropReason>(&admitted)) {
      refuse(key, *reason, original);
      return;
    }
    context_.counters().echo_flows_opened++;
    made->admitted(**std::get_if<Flow *>(&admitted));
    echo = made.release();  // its flow's idle timeout ends it
  }
  echo->request(key.outside.address, sequence, payload, info);
}

void EchoService::refuse(const FlowKey &key, DropReason reason, Bytes original) {
  context_.counters().drop(reason);
  Refusal refusal = datagram_refusal(reason, key.is_v4());
  context_.stack().send_icmp_error(key, original, speaker(context_, key, reason), refusal.icmp_type, refusal.icmp_code);
}

}  // namespace slipgate
