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

class Resolver {
 public:
  Resolver(Loop &loop, Server &server) : loop_(loop), server_(server) {}

  // At least one address, those of IPv4 first (a host without IPv6 can take the first); a literal is itself.
  Task<Result<std::vector<IpAddress>>> resolve(std::string name);

 private:
  struct Asked;

  Task<std::shared_ptr<Asked>> ask(Name name);
  std::vector<Name> candidates(const std::string &text, const Name &name);

  Loop &loop_;
  Server &server_;
};

}  // namespace slipgate::dns
