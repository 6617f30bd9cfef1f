// Target to stream: the host's network, or a service of our own that is one end of a stream pair.
//
// Lives on one shard.
#pragma once

#include <string>
#include <vector>

#include "dns/upstream.h"
#include "flow/target.h"
#include "gateway/context.h"
#include "host/tcp.h"

namespace slipgate {

class Dialer {
 public:
  // `forwards`: what target::RemoteForward counts in.
  Dialer(Context &context, const ForwardList &forwards) : context_(context), forwards_(forwards) {}

  // The outside of the TCP flow `key` that `client` opened; `wishes`: what of DialOptions it brings along. Cancelled
  // with its task.
  Task<Result<StreamPtr, DialError>> dial(Target target, FlowKey key, uint32_t client, DialOptions wishes = {});
  // What that is, in words, for a flow to `asked`; empty: the same.
  std::string describe(const Target &target, const Endpoint &asked) const;

 private:
  Task<Result<StreamPtr, DialError>> dial_host(Endpoint endpoint, DialOptions options);
  Task<Result<StreamPtr, DialError>> dial_socks5(Endpoint endpoint, ProxyPtr proxy, DialOptions options);
  Task<Result<StreamPtr, DialError>> dial_http(Endpoint endpoint, ProxyPtr proxy, DialOptions options);
  Task<Result<StreamPtr, DialError>> dial_forward(size_t index, FlowKey key);
  Task<Result<StreamPtr, DialError>> dial_target(ForwardPtr forward);
  StreamPtr dial_dns(uint32_t client);

  Context &context_;
  const ForwardList &forwards_;
};

// A connection to what was given by name, and the address that it was had at.
struct Reached {
  StreamPtr stream;
  IpAddress address;
};
// To a proxy, with its first words unsaid.
Task<Result<Reached, DialError>> dial_proxy(Context &context, ProxyPtr proxy, DialOptions options = {});

// How the DNS reaches a name server by TLS.
dns::DialStream dial_name_server(Loop &loop);

}  // namespace slipgate
