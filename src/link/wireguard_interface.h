// A WireGuard interface over a TUN device: what the kernel sends by it goes to the peers, and back. No stack of ours.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/counters.h"
#include "base/result.h"
#include "io/loop.h"
#include "link/link.h"
#include "link/mtu_watch.h"
#include "link/options.h"
#include "link/tun_device.h"
#include "link/wireguard_link.h"

namespace slipgate {

class WireGuardInterface final : private LinkEvents, private TunEvents {
 public:
  // Makes the interface and binds the socket. The interface has no address and is down.
  static Result<std::unique_ptr<WireGuardInterface>> open(Loop &loop, const TunOptions &options);

  WireGuardLink &link() { return *link_; }
  const std::string &name() const { return device_->name(); }
  const Counters &counters() const { return counters_; }

  // Somebody deleted the interface.
  std::function<void()> on_gone;

 private:
  WireGuardInterface() = default;

  void from_link(std::span<Packet> packets) override;
  void from_tun(std::span<Packet> packets) override;
  void on_tun_gone() override;

  Counters counters_;
  LinkBuffers buffers_;
  std::unique_ptr<TunDevice> device_;
  std::unique_ptr<WireGuardLink> link_;
  std::unique_ptr<MtuWatch> mtu_watch_;
};

}  // namespace slipgate
