// Whom a server asks what it does not know. Messages pass as they are; nothing is looked into here.
//
// Lives on one shard.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "dns/options.h"
#include "io/loop.h"
#include "io/stream.h"
#include "wire/dns.h"

namespace slipgate::dns {

class Upstream {
 public:
  struct Outcome {
    Bytes message;               // the answer; empty: none came
    Code code = Code::ServFail;  // then: what the servers said instead, or that they said nothing
    bool abandoned = false;      // this Upstream is being destroyed: the question may be put to its successor
  };
  // Called once, perhaps from within ask(). Must not destroy the Upstream.
  using Done = std::function<void(const Outcome &outcome)>;

  virtual ~Upstream() = default;  // calls what is still waiting, `abandoned`

  // `query` is a whole message with an id that nobody can guess; without an OPT record, or with one of no options at
  // the end.
  virtual void ask(Bytes query, Done done) = 0;
};

struct PlainUpstreamOptions {
  std::vector<std::string> servers;  // "192.0.2.1:53", "[2001:db8::1]:53", "fe80::1%eth0"
  Duration timeout;
  int tries;
};

// By UDP, through c-ares: it repeats, turns to the next server, and goes to TCP when an answer does not fit a datagram.
std::unique_ptr<Upstream> make_plain_upstream(Loop &loop, const PlainUpstreamOptions &options);

// How a TLS upstream gets to a server: where its name is, and a connection there. Both may be called off.
using ResolveHost = std::function<Task<Result<std::vector<IpAddress>>>(std::string name)>;
using DialStream = std::function<Task<Result<StreamPtr>>(Endpoint to, Duration timeout)>;

// By TLS (RFC 7858): one connection at a time, to the first server that can be had, with many questions under way.
std::unique_ptr<Upstream> make_tls_upstream(Loop &loop, std::vector<TlsServer> servers, ResolveHost resolve,
                                            DialStream dial);

}  // namespace slipgate::dns
