#include "gateway/dial.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "dns/resolver.h"
#include "dns/serve_stream.h"
#include "io/stream_pair.h"

namespace slipgate {

namespace {

Task<Result<StreamPtr>> dial_within(Loop &loop, Endpoint to, Duration timeout) {
  Result<StreamPtr, DialError> stream = co_await dial_tcp(loop, to, {.timeout = timeout});
  if (!stream) co_return Error{stream.error().code, stream.error().to_string()};
  co_return std::move(*stream);
}

}  // namespace

dns::DialStream dial_name_server(Loop &loop) {
  return [&loop](Endpoint to, Duration timeout) { return dial_within(loop, to, timeout); };
}

Task<Result<StreamPtr, DialError>> Dialer::dial(Target target, uint32_t client, DialOptions wishes) {
  if (auto *host = std::get_if<target::HostTcp>(&target)) co_return co_await dial_host(host->endpoint, wishes);
  if (auto *forward = std::get_if<target::RemoteForward>(&target)) co_return co_await dial_forward(forward->index);
  if (std::holds_alternative<target::Dns>(target)) co_return dial_dns(client);
  co_return DialError{.code = ECONNREFUSED};
}

std::string Dialer::describe(const Target &target, const Endpoint &asked) const {
  if (auto *host = std::get_if<target::HostTcp>(&target); host && host->endpoint != asked) {
    return host->endpoint.to_string();
  }
  if (auto *remote = std::get_if<target::RemoteForward>(&target)) {
    const Forward &forward = *forwards_[remote->index];
    return fmt::format("{}:{}", forward.target, forward.target_port ? forward.target_port : forward.listen.port);
  }
  return std::holds_alternative<target::Dns>(target) ? "dns" : std::string();
}

Task<Result<StreamPtr, DialError>> Dialer::dial_host(Endpoint endpoint, DialOptions options) {
  options.source = context_.source_for(endpoint.address);
  return dial_tcp(context_.loop, endpoint, options);
}

// A forward's target is the operator's word: no policy, and the addresses of a name are tried in turn.
Task<Result<StreamPtr, DialError>> Dialer::dial_forward(size_t index) {
  const ForwardPtr forward = forwards_[index];
  const std::string name = forward->target;
  const uint16_t port = forward->target_port ? forward->target_port : forward->listen.port;
  Result<std::vector<IpAddress>> addresses = co_await context_.resolver.resolve(name);
  if (!addresses) co_return DialError{.code = EHOSTUNREACH};
  Result<StreamPtr, DialError> outside = DialError{.code = EHOSTUNREACH};
  for (const IpAddress &address : *addresses) {
    outside = co_await dial_tcp(context_.loop, Endpoint{address, port});
    if (outside || outside.error().code == ECANCELED) break;
  }
  co_return outside;
}

StreamPtr Dialer::dial_dns(uint32_t client) {
  auto [ours, theirs] = make_stream_pair(context_.loop);
  spawn(context_.loop, dns::serve_stream(context_.loop, context_.dns, std::move(ours), client));
  return std::move(theirs);
}

}  // namespace slipgate
