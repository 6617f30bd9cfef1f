#include "gateway/serve_udp.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/log.h"
#include "dns/resolver.h"
#include "dns/server.h"
#include "gateway/refusals.h"
#include "gateway/socks5_flow.h"
#include "host/error_queue.h"
#include "host/udp.h"
#include "wire/ip.h"
#include "wire/udp.h"

namespace slipgate {

namespace {

// A forward is a proxy: its other side is no further away.
DatagramHeader header_of(const DatagramInfo &info) {
  return {.ttl = info.ttl, .traffic_class = info.traffic_class, .dont_fragment = info.dont_fragment};
}

DatagramInfo info_of(const DatagramHeader &header) {
  return {.ttl = header.ttl, .traffic_class = header.traffic_class, .dont_fragment = false};
}

// A client endpoint's host socket.
class Mapping final : public DatagramFlow, DatagramPortOwner {
 public:
  static constexpr FlowState kFirstState = FlowState::established;

  Mapping(Context &context, const FlowKey &key)
      : context_(context), key_(key), port_(context.loop, *this, context.source) {}

  ~Mapping() override {
    for (bool v4 : {false, true}) {
      if (mapped_[v4]) context_.mapped_ports.remove(v4, mapped_[v4]);
    }
  }

  void admitted(Flow &flow) { flow_ = FlowHandle(context_.flows, flow); }

  // The socket whose datagrams go anywhere, and come from anywhere.
  std::string host() const override { return port_.local(key_.is_v4()).to_string() + " any"; }

  void from_inside(const FlowKey &key, Bytes payload, const DatagramInfo &info, Bytes) override {
    flow_->touch(context_.loop.now());
    flow_->bytes_up += payload.size();
    port_.send(payload, key.outside, header_outside(info));
    const bool v4 = key.is_v4();
    if (mapped_[v4]) return;
    mapped_[v4] = port_.local(v4).port;
    if (mapped_[v4]) context_.mapped_ports.add(v4, mapped_[v4]);
  }

 private:
  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) override {
    flow_->touch(context_.loop.now());
    flow_->bytes_down += payload.size();
    FlowKey key = key_;
    key.outside = from;
    context_.stack().send_datagram(key, payload, info_inside(header));
  }

  void on_datagram_error(const DatagramError &error) override {
    if (!error.has_icmp) {
      context_.counters().drop(DropReason::send_failed);
      return;
    }
    FlowKey key = key_;
    key.outside = error.destination;
    QuotedDatagram quoted(key, error.quote);
    const IpAddress &from = error.reporter.is_unspecified() ? error.destination.address : error.reporter;
    context_.stack().send_icmp_error(key, quoted.bytes(), from, error.icmp_type, error.icmp_code, error.mtu,
                                     info_inside({.ttl = error.ttl}).ttl);
  }

  void on_idle(Flow &) override { delete this; }
  Pace *pace() override { return context_.pace_down(flow_->client); }

  Context &context_;
  const FlowKey key_;  // outside unspecified
  FlowHandle flow_;
  HostDatagramPort port_;
  uint16_t mapped_[2] = {};  // the port of the IPv6 and of the IPv4 socket
};

// One client's datagrams to a `-R` listener: on to the forward's target, and back as from the listener.
class RemoteForwardFlow final : public DatagramFlow, DatagramPortOwner {
 public:
  static constexpr FlowState kFirstState = FlowState::established;
  // Datagrams that wait until the target's name is resolved: of one flow, and bytes of all.
  static constexpr size_t kMostWaiting = 16;
  static constexpr size_t kMostWaitingBytes = 4 << 20;

  RemoteForwardFlow(Context &context, const FlowKey &key, ForwardPtr forward)
      : context_(context), key_(key), forward_(std::move(forward)), port_(context.loop, *this, context.source) {}
  ~RemoteForwardFlow() override { take_waiting(); }

  void admitted(Flow &flow) {
    flow_ = FlowHandle(context_.flows, flow);
    look_again();
  }
  std::string host() const override { return target_ ? target_->to_string() : forward_->target; }

  void from_inside(const FlowKey &, Bytes payload, const DatagramInfo &info, Bytes) override {
    flow_->touch(context_.loop.now());
    flow_->bytes_up += payload.size();
    if (target_) {
      port_.send(payload, *target_, header_of(info));
      if (context_.loop.now() >= valid_until_) look_again();
    } else if (waiting_.size() < kMostWaiting && context_.waiting_bytes + payload.size() <= kMostWaitingBytes) {
      waiting_.emplace_back(payload.begin(), payload.end());
      context_.waiting_bytes += payload.size();
    } else {
      context_.counters().drop(DropReason::send_failed);
    }
  }

 private:
  // Where the name leads now. A target that it still stands for stays; so does one while nobody can be asked.
  void look_again() {
    valid_until_ = kNever;
    spawn(context_.loop, find_target(alive_));
  }

  // `alive` tells whether this flow is still there when the answer comes.
  Task<> find_target(std::weak_ptr<void> alive) {
    Result<dns::Resolved> found = co_await context_.resolver.look_up(forward_->target);
    if (alive.expired()) co_return;
    valid_until_ = context_.loop.now() + (found ? found->valid : dns::Resolver::kRetry);
    if (!found && target_) co_return;
    if (!found) {
      context_.counters().drop(DropReason::host_unreachable);
      delete this;
      co_return;
    }
    const std::vector<IpAddress> &addresses = found->addresses;
    if (target_ && std::find(addresses.begin(), addresses.end(), target_->address) != addresses.end()) co_return;
    target_ = Endpoint{addresses.front(), forward_->target_port ? forward_->target_port : key_.outside.port};
    for (const std::vector<uint8_t> &payload : take_waiting()) port_.send(payload, *target_, {});
  }

  std::vector<std::vector<uint8_t>> take_waiting() {
    for (const std::vector<uint8_t> &payload : waiting_) context_.waiting_bytes -= payload.size();
    return std::exchange(waiting_, {});
  }

  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) override {
    if (!target_ || from != *target_) return;  // the listener speaks for its target alone
    flow_->touch(context_.loop.now());
    flow_->bytes_down += payload.size();
    context_.stack().send_datagram(key_, payload, info_of(header));
    if (forward_->transport == Forward::Transport::udp_rpc) delete this;
  }

  // The target's errors are the listener's, in the client's family.
  void on_datagram_error(const DatagramError &error) override {
    if (!error.has_icmp) {
      context_.counters().drop(DropReason::send_failed);
      return;
    }
    const bool v4 = key_.is_v4(), same = error.destination.address.is_v4() == v4;
    Refusal refusal = datagram_refusal(DropReason::connection_refused, v4);
    uint8_t type = error.icmp_type, code = error.icmp_code;
    if (same || describe_in_icmp(error.code, v4, type, code)) refusal = Refusal::unreachable(type, code);
    uint32_t mtu = error.mtu;
    if (mtu > 0 && !same) {
      constexpr uint32_t kLonger = sizeof(Ipv6Header) - sizeof(Ipv4Header);
      mtu = v4 ? mtu - std::min(mtu, kLonger) : mtu + kLonger;
    }
    QuotedDatagram quoted(key_, error.quote);
    context_.stack().send_icmp_error(key_, quoted.bytes(), key_.outside.address, refusal.icmp_type, refusal.icmp_code,
                                     mtu);
  }

  void on_idle(Flow &) override { delete this; }
  Pace *pace() override { return context_.pace_down(flow_->client); }

  Context &context_;
  const FlowKey key_;
  const ForwardPtr forward_;
  FlowHandle flow_;
  HostDatagramPort port_;
  std::optional<Endpoint> target_;
  Time valid_until_ = kNever;  // of target_; never: it is being asked for
  std::vector<std::vector<uint8_t>> waiting_;
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

}  // namespace

QuotedDatagram::QuotedDatagram(const FlowKey &key, Bytes payload) {
  payload = payload.first(std::min(payload.size(), kMostPayload));
  IpFields fields;
  fields.source = key.inside.address;
  fields.destination = key.outside.address;
  fields.protocol = static_cast<uint8_t>(Protocol::udp);
  const size_t length = sizeof(UdpHeader) + payload.size();
  size_ = fields.header_size() + length;
  write_ip_header(bytes_, fields, length);
  UdpHeader udp{};
  udp.source_port = key.inside.port;
  udp.destination_port = key.outside.port;
  udp.length = static_cast<uint16_t>(length);
  std::memcpy(bytes_ + fields.header_size(), &udp, sizeof(udp));
  std::copy(payload.begin(), payload.end(), bytes_ + fields.header_size() + sizeof(udp));
}

// Where a datagram from inside goes: a flow that the host's side opened, else by its destination.
void UdpService::serve(const FlowKey &key, uint32_t client, Bytes payload, const DatagramInfo &info, Bytes original) {
  if (Flow *flow = context_.flows.find(key)) {
    static_cast<DatagramFlow &>(flow->owner).from_inside(key, payload, info, original);
    return;
  }
  Target target = context_.router.route(key, client);
  if (auto *refused = std::get_if<target::Refused>(&target)) {
    // Another client behind its mapped address.
    bool mapped = context_.mapped_ports.contains(key.is_v4(), key.outside.port);
    if (refused->reason == DropReason::denied_by_policy && mapped && context_.router.verdict(key).of_host) {
      target = target::HostUdp{key.outside};
    }
  }
  if (std::holds_alternative<target::Dns>(target)) {
    serve_dns(key, client, payload);
    return;
  }
  auto *socks5 = std::get_if<target::Socks5Udp>(&target);
  if (info.ttl <= 1 && (socks5 || std::holds_alternative<target::HostUdp>(target))) {
    refuse(key, DropReason::ttl_expired, original);
    return;
  }
  DatagramFlow *carrier = nullptr;
  if (auto *forward = std::get_if<target::RemoteForward>(&target)) {
    carrier = open<RemoteForwardFlow>(key, key, client, original, forwards_[forward->index]);
  } else if (std::holds_alternative<target::HostUdp>(target)) {
    FlowKey mapping = mapping_key(key);
    if (Flow *flow = context_.flows.find(mapping)) {
      carrier = &static_cast<DatagramFlow &>(flow->owner);
    } else {
      carrier = open<Mapping>(mapping, key, client, original);
    }
  } else if (socks5) {
    carrier = socks5_flow(*socks5, key, client, original);
  } else {
    auto *refused = std::get_if<target::Refused>(&target);
    refuse(key, refused ? refused->reason : DropReason::no_service, original);
  }
  if (carrier) carrier->from_inside(key, payload, info, original);
}

template <typename Carrier, typename... Arguments>
DatagramFlow *UdpService::open(const FlowKey &flow_key, const FlowKey &key, uint32_t client, Bytes original,
                               Arguments &&...arguments) {
  auto carrier = std::make_unique<Carrier>(context_, flow_key, std::forward<Arguments>(arguments)...);
  std::variant<Flow *, DropReason> admitted =
      context_.draining ? DropReason::too_many_flows
                        : context_.flows.open(flow_key, client, Carrier::kFirstState, *carrier);
  if (auto *reason = std::get_if<DropReason>(&admitted)) {
    refuse(key, *reason, original);
    return nullptr;
  }
  context_.counters().udp_flows_opened++;
  carrier->admitted(**std::get_if<Flow *>(&admitted));
  return carrier.release();  // its flow's idle timeout ends it
}

// A mapping like others, but one for each way out. A way may have got another proxy since it was opened.
DatagramFlow *UdpService::socks5_flow(const target::Socks5Udp &target, const FlowKey &key, uint32_t client,
                                      Bytes original) {
  FlowKey mapping = mapping_key(key);
  mapping.outside.port = target.way;
  if (Flow *flow = context_.flows.find(mapping)) {
    auto &standing = static_cast<Socks5Flow &>(flow->owner);
    if (standing.proxy() == *target.proxy) return &standing;
    delete &standing;
  }
  return open<Socks5Flow>(mapping, key, client, original, target.proxy);
}

void UdpService::refuse(const FlowKey &key, DropReason reason, Bytes original) {
  context_.counters().drop(reason);
  Refusal refusal = datagram_refusal(reason, key.is_v4());
  if (refusal.kind != Refusal::Kind::unreachable) return;
  context_.stack().send_icmp_error(key, original, speaker(context_, key, reason), refusal.icmp_type, refusal.icmp_code);
}

void UdpService::serve_dns(const FlowKey &key, uint32_t client, Bytes payload) {
  context_.dns.query(payload, dns::Transport::udp, client, [this, key, client](Bytes answer) {
    if (answer.empty() || !context_.admit_down(client, answer.size())) return;
    context_.stack().send_datagram(key, answer, {});
  });
}

}  // namespace slipgate
