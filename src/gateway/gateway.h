// A gateway: links, shards, policy and services, put together. Everything it needs comes in by its constructor; several
// may live in one process.
//
// It has a thread for each shard, which serves the packets, and lives itself on the thread of whoever controls it: what
// is asked or changed here is carried to the shards and waited for, so that it counts everywhere when the call returns.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/options.h"
#include "gateway/status.h"
#include "io/loop.h"
#include "link/wireguard_control.h"

namespace slipgate {

class Gateway {
 public:
  // Called when the files that the gateway writes are open and no thread was started yet: the place for a sandbox.
  using BeforeThreads = std::function<Result<void>()>;

  // Opens the links' sockets and the forwards' listeners; packets are served when it returns. The error says which of
  // them failed and why. `control`: the loop on which callbacks are made; this thread's.
  static Result<std::unique_ptr<Gateway>> open(Loop &control, const GatewayOptions &options,
                                               const BeforeThreads &before_threads = {});
  ~Gateway();

  // Takes over what differs from the options in force: peers, policy, egress. Standing flows and sessions stay. What
  // can only change with a restart (the port, addresses, MTU) is named in `unchanged`.
  Result<void> reload(const GatewayOptions &options, std::vector<std::string> &unchanged);

  // No new flows from now on; `drained` is called when the last one ended, or after `most`.
  void drain(Duration most, std::function<void()> drained);

  GatewayStatus status() const;
  std::vector<FlowStatus> flows() const;
  // Forwards that come and go while we run, known by their numbers. What stands of one that goes stays, but for
  // datagrams that came by its listener. Lasts until the end, and is not written anywhere.
  Result<size_t> add_forward(const Forward &forward);
  void remove_forward(size_t number);
  std::vector<ForwardStatus> forwards() const;
  // As `--rate` would, over what was said before; lasts until the next reload. An error: nobody is meant.
  Result<void> set_rate(const RateRule &rule);
  // For WireGuard's userspace API of a link, by its number; null: the link is not WireGuard's. What it changes lasts
  // until the next reload.
  WireGuardControl *wireguard(size_t link);
  // A handshake was completed: with which peer, by name.
  std::function<void(std::string peer, const DatagramPath &path)> on_handshake;

  class Impl;

 private:
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace slipgate
