// What `ip` does for an interface that we made: addresses, MTU, up, and routes to what is behind it (rtnetlink(7)).
//
// Needs CAP_NET_ADMIN in the network namespace. Addresses and routes go with the interface; the rules that a default
// route needs go with the object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "link/options.h"

namespace slipgate {

class InterfaceSetup {
 public:
  // `routes`: the peers' AllowedIPs. A default route among them is put into a table of its own that every packet but
  // those of the interface's own socket looks into, as wg-quick(8) does: mark() is what that socket must carry,
  // options.mark when that is given.
  static Result<std::unique_ptr<InterfaceSetup>> apply(const std::string &name, const TunOptions &options,
                                                       const std::vector<IpPrefix> &routes);
  ~InterfaceSetup();
  InterfaceSetup(const InterfaceSetup &) = delete;
  InterfaceSetup &operator=(const InterfaceSetup &) = delete;

  std::optional<uint32_t> mark() const { return mark_; }

 private:
  class Netlink;

  InterfaceSetup();
  Result<void> run(const std::string &name, const TunOptions &options, const std::vector<IpPrefix> &routes);
  Result<void> add_rules(bool v4, std::optional<uint32_t> wanted);

  std::unique_ptr<Netlink> netlink_;
  std::optional<uint32_t> mark_;
  bool rules_[2] = {false, false};  // IPv6, IPv4
};

}  // namespace slipgate
