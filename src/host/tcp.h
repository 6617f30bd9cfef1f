// TCP (and any other stream socket) of the host: connections as Streams, dialling, listening.
//
// Lives on one shard. A flow fails alone: every error is a value of that flow, nothing is retried in a loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/drop_reason.h"
#include "base/result.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/poller.h"
#include "io/stream.h"
#include "io/stream_request.h"

namespace slipgate {

// A connected non-blocking stream socket (TCP, Unix, vsock) as a Stream. Reads land in the loop's scratch buffer: at
// most one HostStream at a time keeps peeked bytes there; another's peek() moves them to memory of their own.
Result<StreamPtr> make_host_stream(Loop &loop, Fd descriptor);

// Why a connection did not come about.
struct DialError {
  int code = 0;           // errno
  bool has_icmp = false;  // an ICMP message ended it; type and code are of the destination's family
  bool icmp_is_v4 = true;
  uint8_t icmp_type = 0;
  uint8_t icmp_code = 0;
  IpAddress reporter;                // whose message it is
  std::optional<DropReason> reason;  // how it is counted; none: by its code

  std::string to_string() const;
};

struct DialOptions {
  std::optional<IpAddress> source;  // local address
  Duration timeout = seconds(130);  // a little longer than Linux retransmits a SYN (tcp_syn_retries 6: 127 s)
  uint8_t service_class = 0;        // DSCP of what is sent, as in the traffic class
  uint8_t hops = 0;                 // how many routers the SYN may pass; 0: the kernel's choice
};

// Connects; the task may be cancelled (ECANCELED). One unanswered connect() delays nobody else.
Task<Result<StreamPtr, DialError>> dial_tcp(Loop &loop, Endpoint to, DialOptions options = {});

// How the client is told: RST for "nothing listens", ICMP of its own family for what was unreachable or prohibited, as
// from the destination (a hop that the TTL ended at speaks for itself), and silence when nobody answered (its own timer
// decides) or nobody ever would (a black hole among the host's routes).
Refusal refusal_for(const DialError &error, bool client_is_v4);
// And how it is counted.
DropReason drop_reason_for(const DialError &error);

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
