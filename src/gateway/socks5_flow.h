// A client endpoint's datagrams through a SOCKS5 proxy: one association, whatever their destinations.
//
// Lives on one shard. The flow is `connecting` until the association stands, and ends with it; one that could not be
// had refuses for a moment what the client sends, instead of asking the proxy again for each datagram.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gateway/serve_udp.h"
#include "host/socks5_port.h"

namespace slipgate {

class Socks5Flow final : public DatagramFlow, DatagramPortOwner {
 public:
  static constexpr FlowState kFirstState = FlowState::connecting;

  // `key`: the mapping's.
  Socks5Flow(Context &context, const FlowKey &key, ProxyPtr proxy)
      : context_(context), key_(key), proxy_(std::move(proxy)) {}

  void admitted(Flow &flow);
  const Proxy &proxy() const { return *proxy_; }
  std::string host() const override { return "any via " + proxy_->to_string(); }

  void from_inside(const FlowKey &key, Bytes payload, const DatagramInfo &info, Bytes original) override;

 private:
  // What waits for the association.
  static constexpr size_t kMostWaiting = 16;
  static constexpr size_t kMostWaitingBytes = 64 << 10;
  struct Waiting {
    FlowKey key;
    std::vector<uint8_t> payload;
  };

  Task<> associate(std::weak_ptr<void> alive);
  void failed(DropReason reason);
  void refuse(const FlowKey &key, Bytes original);

  void on_datagram(Bytes payload, const Endpoint &from, const DatagramHeader &header) override;
  void on_datagram_error(const DatagramError &error) override;
  void on_idle(Flow &) override { delete this; }
  Pace *pace() override { return context_.pace_down(flow_->client); }

  Context &context_;
  const FlowKey key_;
  const ProxyPtr proxy_;
  FlowHandle flow_;
  std::unique_ptr<Socks5Port> port_;
  std::optional<DropReason> failure_;
  std::vector<Waiting> waiting_;
  size_t waiting_bytes_ = 0;
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

}  // namespace slipgate
