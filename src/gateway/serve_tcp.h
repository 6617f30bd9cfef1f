// The life of TCP connections opened from inside: a coroutine each from the held SYN until both sides stand, then a
// relay.
//
// Lives on one shard. Also serves streams that come ready-made (forwards): whatever joins two streams under one flow.
#pragma once

#include "gateway/context.h"
#include "gateway/dial.h"
#include "io/relay.h"
#include "io/stream_request.h"

namespace slipgate {

class TcpService final : public FlowOwner {
 public:
  TcpService(Context &context, Dialer &dialer) : context_(context), dialer_(dialer) {}

  void serve(StreamRequestPtr request);
  // Joins two streams that stand under an admitted flow, until both have ended.
  void carry(FlowHandle flow, StreamPtr inside, StreamPtr outside);

  // The relay has its own idle timer.
  void on_idle(Flow &) override {}

 private:
  Task<> serve_request(StreamRequestPtr request);

  Context &context_;
  Dialer &dialer_;
};

}  // namespace slipgate
