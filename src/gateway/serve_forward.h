// `-L`, `-t`, `-u`: listeners on the host whose connections and datagrams go to a target inside. The inside sees the
// real client as source where it can.
//
// Lives on one shard.
#pragma once

#include <memory>
#include <vector>

#include "gateway/context.h"
#include "gateway/serve_tcp.h"
#include "gateway/serve_udp.h"
#include "host/tcp.h"
#include "host/udp.h"
#include "link/wireguard_link.h"
#include "wire/proxy_header.h"

namespace slipgate {

class ForwardService final : public FlowOwner {
 public:
  // `own`: addresses that stand in as source when the real one means nothing inside.
  ForwardService(Context &context, TcpService &tcp, const WireGuardLink &link, const std::vector<Forward> &forwards,
                 std::vector<IpAddress> own);
  ~ForwardService();

  // Opens every listener, or says which one could not be.
  Result<void> listen();
  // No new connections or datagrams.
  void stop();

  void on_idle(Flow &) override {}

 private:
  class UdpForward;

  Task<> serve_connection(size_t index, Fd descriptor, Endpoint local, Endpoint peer);
  Task<std::optional<ProxiedClient>> read_proxy_line(Stream *stream);
  Endpoint source_of(size_t index, const Endpoint &peer, bool v4) const;

  Context &context_;
  TcpService &tcp_;
  const WireGuardLink &link_;
  const std::vector<Forward> &forwards_;
  const std::vector<IpAddress> own_;
  std::vector<std::unique_ptr<TcpListener>> tcp_listeners_;
  std::vector<std::unique_ptr<UdpForward>> udp_forwards_;
};

}  // namespace slipgate
