// The host's resolvers, asked through c-ares: it repeats, turns to the next server, and goes to TCP when an answer does
// not fit a datagram. Messages pass as they are; nothing is looked into here.
//
// Lives on one shard. The only file pair that knows c-ares (1.18 to 1.34).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "io/loop.h"
#include "wire/dns.h"

namespace slipgate::dns {

struct UpstreamOptions {
  std::vector<std::string> servers;  // "192.0.2.1:53", "[2001:db8::1]:53", "fe80::1%eth0"
  Duration timeout;
  int tries;
};

class Upstream {
 public:
  struct Outcome {
    Bytes message;               // the answer; empty: none came
    Code code = Code::ServFail;  // then: what the servers said instead, or that they said nothing
    bool abandoned = false;      // this Upstream is being destroyed: the question may be put to its successor
  };
  // Called once, perhaps from within ask(). Must not destroy the Upstream.
  using Done = std::function<void(const Outcome &outcome)>;

  Upstream(Loop &loop, const UpstreamOptions &options);
  ~Upstream();  // calls what is still waiting, `abandoned`
  Upstream(const Upstream &) = delete;
  Upstream &operator=(const Upstream &) = delete;

  // `query` is a whole message with an id that nobody can guess; without an OPT record, or with one of no options at
  // the end.
  void ask(Bytes query, Done done);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipgate::dns
