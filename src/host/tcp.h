// TCP of the host: dialling, listening.
//
// Lives on one shard. A flow fails alone: every error is a value of that flow, nothing is retried in a loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/result.h"
#include "host/dial_error.h"
#include "host/stream.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/poller.h"
#include "io/stream.h"

namespace slipgate {

struct DialOptions {
  std::optional<IpAddress> source;  // local address
  Duration timeout = seconds(130);  // a little longer than Linux retransmits a SYN (tcp_syn_retries 6: 127 s)
  uint8_t service_class = 0;        // DSCP of what is sent, as in the traffic class
  uint8_t hops = 0;                 // how many routers the SYN may pass; 0: the kernel's choice
};

// Connects; the task may be cancelled (ECANCELED). One unanswered connect() delays nobody else.
Task<Result<StreamPtr, DialError>> dial_tcp(Loop &loop, Endpoint to, DialOptions options = {});

// A connection that a listener accepted, as a Stream.
Result<StreamPtr> make_tcp_stream(Loop &loop, Fd descriptor);

// Accepts connections until destroyed.
class TcpListener final : public Pollable, TimerTarget {
 public:
  using Handler = std::function<void(Fd descriptor, Endpoint peer)>;  // non-blocking, close-on-exec

  // Port 0: the kernel's choice, see local().
  static Result<std::unique_ptr<TcpListener>> listen(Loop &loop, Endpoint at, Handler handler);
  ~TcpListener();

  Endpoint local() const;

  void on_events(uint32_t events) override;

 private:
  static constexpr int kAcceptsPerTurn = 64;
  // After EMFILE and its like: connections wait in the backlog meanwhile.
  static constexpr Duration kPause = milliseconds(100);

  TcpListener(Loop &loop, Fd descriptor, Handler handler);
  void accept_some();
  void on_timer(Timer &timer, Time now) override;

  Loop &loop_;
  Fd descriptor_;
  Handler handler_;
  Timer timer_;
  bool *destroyed_ = nullptr;  // set while the handler is called
};

}  // namespace slipgate
