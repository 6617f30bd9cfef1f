// Datagrams from inside: one flow and one host socket per client endpoint, whatever its destinations (RFC 4787: mapping
// and filtering both endpoint-independent); the built-in DNS; `-R` listeners.
//
// Lives on one shard.
#pragma once

#include <vector>

#include "flow/target.h"
#include "gateway/carried_flow.h"
#include "gateway/context.h"

namespace slipgate {

// What carries a UDP flow; every UDP flow's owner is one.
class DatagramFlow : public CarriedFlow {
 public:
  // A datagram of this flow's client. `original` is its packet from the IP header on.
  virtual void from_inside(const FlowKey &key, Bytes payload, const DatagramInfo &info, Bytes original) = 0;
};

class UdpService {
 public:
  UdpService(Context &context, const ForwardList &forwards) : context_(context), forwards_(forwards) {}

  void serve(const FlowKey &key, uint32_t client, Bytes payload, const DatagramInfo &info, Bytes original);

 private:
  void refuse(const FlowKey &key, DropReason reason, Bytes original);
  void serve_dns(const FlowKey &key, uint32_t client, Bytes payload);
  DatagramFlow *socks5_flow(const target::Socks5Udp &target, const FlowKey &key, uint32_t client, Bytes original);
  // Admits a flow and makes its carrier; null: refused.
  template <typename Carrier, typename... Arguments>
  DatagramFlow *open(const FlowKey &flow_key, const FlowKey &key, uint32_t client, Bytes original,
                     Arguments &&...arguments);

  Context &context_;
  const ForwardList &forwards_;
};

// The packet that a client sent from key.inside to key.outside, as far as an ICMP error quotes it: IP and UDP header,
// built anew, and what is known of the payload. Routers may quote no more than headers to us.
class QuotedDatagram {
 public:
  static constexpr size_t kMostPayload = 64;

  QuotedDatagram(const FlowKey &key, Bytes payload);
  Bytes bytes() const { return Bytes(bytes_).first(size_); }

 private:
  uint8_t bytes_[48 + kMostPayload];
  size_t size_;
};

}  // namespace slipgate
