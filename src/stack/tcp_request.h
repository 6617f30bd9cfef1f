// A SYN that is held until somebody decides about it: only its headers are kept. The request that the stack's owner
// gets is a handle to it; either may go first.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <vector>

#include "base/timer_wheel.h"
#include "io/stream_request.h"
#include "stack/connection_table.h"
#include "stack/lwip.h"
#include "stack/stack.h"

namespace slipgate {

class TcpRequest;

class HeldSyn final : public TcpEntry, public TimerTarget {
 public:
  // A client that does not repeat its SYN has given up. Kernels do it after one second, some after three, and wait
  // twice as long each time (RFC 6298 section 5.5): so long, then twice as long each time, and never longer than the
  // second, as their longest pause is 64 s.
  static constexpr Duration kFirstPatience = seconds(4);
  static constexpr Duration kMostPatience = seconds(70);

  HeldSyn(Stack::World &world, const LinkPacket &packet);

  // A repetition, or the SYN of a new attempt from the same port: the last one is what will be answered.
  void replace(const LinkPacket &packet);
  // Whether an RST with this sequence number is from who sent the SYN.
  bool reset_is_acceptable(uint32_t sequence) const;
  // Its TCP header for lwIP.
  pbuf *segment() const;
  Bytes original() const { return packet_; }
  uint8_t ttl() const { return ttl_; }
  uint8_t service_class() const { return service_class_; }
  void on_timer(Timer &timer, Time now) override;

  TcpRequest *request = nullptr;

 private:
  Stack::World &world_;
  Timer timer_{*this};
  std::vector<uint8_t> packet_;  // up to the end of the TCP header
  size_t transport_offset_ = 0;
  uint8_t ttl_ = 0;
  uint8_t service_class_ = 0;
  Duration patience_ = kFirstPatience;
};

class TcpRequest final : public StreamRequest {
 public:
  TcpRequest(Stack::World &world, HeldSyn &syn);
  ~TcpRequest() override;

  const FlowKey &key() const override { return key_; }
  uint32_t client() const override { return client_; }
  uint8_t hops() const override { return hops_; }
  uint8_t service_class() const override { return service_class_; }
  void on_cancel(std::function<void()> handler) override { on_cancel_ = std::move(handler); }
  StreamPtr accept() override;
  void refuse(Refusal refusal) override;

  // The SYN goes; whom to tell if it is because the client gave up.
  std::function<void()> detach();

 private:
  Stack::World &world_;
  HeldSyn *syn_;
  const FlowKey key_;
  const uint32_t client_;
  const uint8_t hops_;
  const uint8_t service_class_;
  std::function<void()> on_cancel_;
};

}  // namespace slipgate
