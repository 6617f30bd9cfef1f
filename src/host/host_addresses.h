// The host's own addresses, kept up to date while it moves (rtnetlink is watched): what the policy protects by default,
// and what `quick` prints as its endpoint.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/poller.h"

namespace slipgate {

// An address of one of the host's interfaces, with the length of its network's prefix.
struct InterfaceAddress {
  IpAddress address;
  uint8_t prefix_length = 0;
  auto operator<=>(const InterfaceAddress &) const = default;
};

class HostAddresses final : public Pollable, TurnEnd {
 public:
  // Reads them once and then watches. `on_change` is told at the end of a turn, after all() has changed; may be null.
  static Result<std::unique_ptr<HostAddresses>> open(Loop &loop, std::function<void()> on_change);
  ~HostAddresses();

  // Sorted, without repetition; with loopback and link-local ones.
  const std::vector<InterfaceAddress> &all() const { return addresses_; }
  bool contains(const IpAddress &address) const;
  // Some IPv6 address that is neither loopback nor link-local.
  bool has_ipv6() const;

  void on_events(uint32_t events) override;

 private:
  HostAddresses(Loop &loop, Fd watch, std::function<void()> on_change);
  void on_turn_end() override;

  Loop &loop_;
  Fd watch_;
  std::function<void()> on_change_;
  std::vector<InterfaceAddress> addresses_;
};

// Every address of every interface, now.
Result<std::vector<InterfaceAddress>> list_host_addresses();

// The local address that the kernel would use towards the rest of the world; no packet is sent. None: no route.
std::optional<IpAddress> outgoing_address(bool v4);
// Whether strangers can be expected to reach it: neither private (RFC 1918, RFC 4193), shared (RFC 6598), link-local,
// loopback nor documentation.
bool is_public(const IpAddress &address);
// The best guess at an address that others reach this host by: a public one before a private one, IPv4 before IPv6.
// None: no route at all.
std::optional<IpAddress> best_host_address();

}  // namespace slipgate
