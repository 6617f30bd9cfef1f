// `-L`, `-t`, `-u`: listeners on the host whose connections and datagrams go to a target inside. The inside sees the
// real client as source where it can.
//
// Lives on one shard. A connection is served where the target's peer lives: whoever accepted it hands it over.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "gateway/context.h"
#include "gateway/serve_tcp.h"
#include "gateway/serve_udp.h"
#include "host/tcp.h"
#include "host/udp.h"

namespace slipgate {

// What a listener of a forward accepted.
struct AcceptedConnection {
  ForwardPtr forward;
  Fd descriptor;
  Endpoint local, peer;
  std::optional<IpAddress> target;  // set when it was handed over, which is done once
};

class ForwardService final : public FlowOwner {
 public:
  using HandOver = std::function<void(uint32_t shard, AcceptedConnection connection)>;
  // Which client an inside address belongs to.
  using PlaceOf = std::function<std::optional<ClientPlace>(const IpAddress &address)>;

  // `own`: addresses that stand in as source when the real one means nothing inside. `on_target`: a datagram forward
  // whose target is a name has another target than before.
  ForwardService(Context &context, TcpService &tcp, PlaceOf place_of, const ForwardList &forwards,
                 std::vector<IpAddress> own, HandOver hand_over, std::function<void()> on_target);
  ~ForwardService();

  // Opens the listener of a forward at `at`, or says why it could not; where it listens.
  Result<Endpoint> listen(size_t index, const Endpoint &at);
  // Which shard the target of a datagram forward that listens here lives on; none: nobody has it, or no address of it
  // is known.
  std::optional<uint32_t> home(size_t index) const;
  // Datagram flows of the forward end with it, connections stay.
  void stop(size_t index);
  // No new connections.
  void stop();
  // Serves a connection whose target's peer lives here, as far as another shard knows.
  void serve(AcceptedConnection connection);

  void on_idle(Flow &) override {}

 private:
  class UdpForward;

  Task<> serve_connection(AcceptedConnection accepted);
  static void reset_at_close(const Fd &descriptor);
  Endpoint source_of(const Forward &forward, const Endpoint &peer, bool v4) const;

  Context &context_;
  TcpService &tcp_;
  const PlaceOf place_of_;
  const ForwardList &forwards_;
  const std::vector<IpAddress> own_;
  const HandOver hand_over_;
  const std::function<void()> on_target_;
  std::map<size_t, std::unique_ptr<TcpListener>> tcp_listeners_;
  std::map<size_t, std::unique_ptr<UdpForward>> udp_forwards_;
};

}  // namespace slipgate
