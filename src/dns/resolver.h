// Names for the gateway's own use (peer endpoints, names in rules, targets of forwards), resolved as the host would:
// hosts file, resolv.conf's search list, the same cache that clients are answered from.
//
// Lives on one shard; the server outlives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "dns/server.h"
#include "io/loop.h"

namespace slipgate::dns {

// What a name stands for now, and until when that may be believed.
struct Resolved {
  std::vector<IpAddress> addresses;  // at least one, those of IPv4 first (a host without IPv6 can take the first)
  Duration valid{};                  // as the records' TTLs say, within the bounds below
};

class Resolver {
 public:
  // Of who keeps an answer: a TTL of 0 does not mean "ask without end", nor one of a year "never again". A literal
  // stays what it is.
  static constexpr Duration kShortestValidity = seconds(10);
  static constexpr Duration kLongestValidity = hours(1);
  // After a failure.
  static constexpr Duration kRetry = seconds(10);

  Resolver(Loop &loop, Server &server) : loop_(loop), server_(server) {}

  Task<Result<Resolved>> look_up(std::string name);
  // For who asks each time.
  Task<Result<std::vector<IpAddress>>> resolve(std::string name);

 private:
  struct Asked;

  Task<std::shared_ptr<Asked>> ask(Name name);
  std::vector<Name> candidates(const std::string &text, const Name &name);

  Loop &loop_;
  Server &server_;
};

}  // namespace slipgate::dns
