// Echoes from inside: answered here (`--pingable`, the own addresses), or carried on by ping sockets.
//
// Lives on one shard. One flow and one host socket per client and identifier, like a datagram's mapping.
#pragma once

#include <memory>

#include "gateway/carried_flow.h"
#include "gateway/context.h"
#include "host/ping.h"

namespace slipgate {

class EchoService {
 public:
  explicit EchoService(Context &context) : context_(context) {}

  void serve(const FlowKey &key, uint32_t client, uint16_t sequence, Bytes payload, const DatagramInfo &info,
             Bytes original);

 private:
  void refuse(const FlowKey &key, DropReason reason, Bytes original);

  Context &context_;
};

}  // namespace slipgate
