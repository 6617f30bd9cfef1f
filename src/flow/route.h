// The forwarding decision: a pure function of the configuration and one flow's key.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <vector>

#include "flow/egress.h"
#include "flow/options.h"
#include "flow/policy.h"
#include "flow/target.h"

namespace slipgate {

struct RouteOptions {
  std::vector<IpAddress> own;       // the gateway's own inside addresses
  std::vector<Endpoint> dns;        // the built-in DNS answers here; may be elsewhere than at an own address
  std::vector<IpAddress> pingable;  // we answer echo here; likewise
  std::vector<Forward> forwards;  // all; those of direction remote are listened for inside. Listening at an unspecified
                                  // address: at every own address of that family
};

class Router {
 public:
  // True when `address` is an inside address of a client other than `client`. Prefixes of length 0 do not count: a
  // client that may send from anywhere is not everybody's neighbour.
  using IsPeer = std::function<bool(const IpAddress &address, uint32_t client)>;

  // `policy` and `egress` outlive the router and may change under it. Without `is_peer` clients do not reach each
  // other.
  Router(RouteOptions options, const Policy &policy, const Egress &egress, IsPeer is_peer = {});

  // For a flow that `client` opens, key.inside to key.outside. In this order: `-R` listeners, DNS, echo answered here;
  // the rest of the own addresses is refused (no_service); what the policy closes is refused (denied_by_policy); other
  // clients; the world, by the way that `egress` says (what that does not carry is refused).
  Target route(const FlowKey &key, uint32_t client) const;

  // Where DNS and echo are answered from now on.
  void set_services(std::vector<Endpoint> dns, std::vector<IpAddress> pingable);
  // A forward comes, or goes (null), while we run.
  void set_forward(size_t index, const ForwardPtr &forward);

  // Who we are to traceroute: the first own address of that family; unspecified: there is none.
  IpAddress hop_address(bool v4) const;

  // The verdict behind a denied_by_policy, for the log.
  Verdict verdict(const FlowKey &key) const { return policy_.check(key); }

 private:
  Target outwards(const FlowKey &key) const;
  bool is_own(const IpAddress &address) const;
  bool listens(const Forward &forward, const FlowKey &key) const;

  RouteOptions options_;
  const Policy &policy_;
  const Egress &egress_;
  IsPeer is_peer_;
};

}  // namespace slipgate
