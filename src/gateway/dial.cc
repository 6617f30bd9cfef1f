#include "gateway/dial.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "dns/resolver.h"
#include "dns/serve_stream.h"
#include "host/firecracker.h"
#include "host/http_connect.h"
#include "host/proxy.h"
#include "host/socks5.h"
#include "host/tipc.h"
#include "host/unix.h"
#include "host/vsock.h"
#include "io/conversation.h"
#include "io/stream_pair.h"
#include "wire/proxy_header.h"

namespace slipgate {

namespace {

Task<Result<StreamPtr>> dial_within(Loop &loop, Endpoint to, Duration timeout) {
  Result<StreamPtr, DialError> stream = co_await dial_tcp(loop, to, {.timeout = timeout});
  if (!stream) co_return Error{stream.error().code, stream.error().to_string()};
  co_return std::move(*stream);
}

// The operator's word: no policy, and the addresses of a name are tried in turn.
Task<Result<Reached, DialError>> dial_name(Context *context, std::string name, uint16_t port, DialOptions options) {
  Result<std::vector<IpAddress>> addresses = co_await context->resolver.resolve(name);
  if (!addresses) co_return DialError{.code = addresses.error().code == ECANCELED ? ECANCELED : EHOSTUNREACH};
  DialError error{.code = EHOSTUNREACH};
  for (const IpAddress &address : *addresses) {
    options.source = context->source_for(address);
    Result<StreamPtr, DialError> stream = co_await dial_tcp(context->loop, Endpoint{address, port}, options);
    if (stream) co_return Reached{std::move(*stream), address};
    error = stream.error();
    if (error.code == ECANCELED) break;
  }
  co_return error;
}

Task<Result<StreamPtr, DialError>> dial_socket(Loop *loop, SocketTarget to) {
  if (auto *local = std::get_if<target::Unix>(&to)) co_return co_await dial_unix(*loop, *local);
  if (auto *vsock = std::get_if<target::Vsock>(&to)) co_return co_await dial_vsock(*loop, *vsock);
  if (auto *tipc = std::get_if<target::Tipc>(&to)) co_return co_await dial_tipc(*loop, *tipc);
  if (auto *guest = std::get_if<target::Firecracker>(&to)) co_return co_await dial_firecracker(*loop, *guest);
  co_return local_error(ECONNREFUSED);
}

// Which version of the PROXY protocol a forward's target is told the client by; 0: none.
int proxy_version(const Forward &forward) {
  if (forward.transport == Forward::Transport::tcp_proxy) return 1;
  return forward.transport == Forward::Transport::tcp_proxy_v2 ? 2 : 0;
}

std::string via(const Endpoint &endpoint, const Proxy &proxy) {
  return fmt::format("{} via {}", endpoint.to_string(), proxy.to_string());
}

}  // namespace

dns::DialStream dial_name_server(Loop &loop) {
  return [&loop](Endpoint to, Duration timeout) { return dial_within(loop, to, timeout); };
}

Task<Result<StreamPtr, DialError>> Dialer::dial(Target target, FlowKey key, uint32_t client, DialOptions wishes) {
  if (auto *host = std::get_if<target::HostTcp>(&target)) co_return co_await dial_host(host->endpoint, wishes);
  if (auto *socks5 = std::get_if<target::Socks5Tcp>(&target)) {
    co_return co_await dial_socks5(socks5->endpoint, socks5->proxy, wishes);
  }
  if (auto *http = std::get_if<target::HttpTcp>(&target)) {
    co_return co_await dial_http(http->endpoint, http->proxy, wishes);
  }
  if (auto *forward = std::get_if<target::RemoteForward>(&target)) co_return co_await dial_forward(forward->index, key);
  if (std::holds_alternative<target::Dns>(target)) co_return dial_dns(client);
  co_return DialError{.code = ECONNREFUSED};
}

std::string Dialer::describe(const Target &target, const Endpoint &asked) const {
  if (auto *host = std::get_if<target::HostTcp>(&target); host && host->endpoint != asked) {
    return host->endpoint.to_string();
  }
  if (auto *socks5 = std::get_if<target::Socks5Tcp>(&target)) return via(socks5->endpoint, *socks5->proxy);
  if (auto *http = std::get_if<target::HttpTcp>(&target)) return via(http->endpoint, *http->proxy);
  if (auto *remote = std::get_if<target::RemoteForward>(&target)) {
    const Forward &forward = *forwards_[remote->index];
    return forward.target_text(forward.listen.port);
  }
  return std::holds_alternative<target::Dns>(target) ? "dns" : std::string();
}

Task<Result<StreamPtr, DialError>> Dialer::dial_host(Endpoint endpoint, DialOptions options) {
  options.source = context_.source_for(endpoint.address);
  return dial_tcp(context_.loop, endpoint, options);
}

// What the way to the proxy says is nothing about the destination.
Task<Result<Reached, DialError>> dial_proxy(Context &context, ProxyPtr proxy, DialOptions options) {
  options.timeout = kProxyPatience;
  options.hops = 0;
  Result<Reached, DialError> reached = co_await dial_name(&context, proxy->host, proxy->port, options);
  if (reached) co_return std::move(*reached);
  co_return proxy_error(reached.error().code, DropReason::proxy_unreachable);
}

Task<Result<StreamPtr, DialError>> Dialer::dial_socks5(Endpoint endpoint, ProxyPtr proxy, DialOptions options) {
  Result<Reached, DialError> reached = co_await dial_proxy(context_, proxy, options);
  if (!reached) co_return reached.error();
  co_return co_await connect_by_socks5(context_.loop, std::move(reached->stream), proxy, endpoint, options.timeout);
}

Task<Result<StreamPtr, DialError>> Dialer::dial_http(Endpoint endpoint, ProxyPtr proxy, DialOptions options) {
  Result<Reached, DialError> reached = co_await dial_proxy(context_, proxy, options);
  if (!reached) co_return reached.error();
  co_return co_await connect_by_http(context_.loop, std::move(reached->stream), endpoint, options.timeout);
}

Task<Result<StreamPtr, DialError>> Dialer::dial_forward(size_t index, FlowKey key) {
  const ForwardPtr forward = forwards_[index];
  Result<StreamPtr, DialError> stream = co_await dial_target(forward);
  const int version = proxy_version(*forward);
  if (!stream || version == 0) co_return stream;
  Conversation target(context_.loop, std::move(*stream));
  const Time deadline = context_.loop.now() + kLocalConnect;
  if (int error = co_await target.say(make_proxy_header(version, {key.inside, key.outside}), deadline)) {
    co_return DialError{.code = error};
  }
  co_return target.finish();
}

Task<Result<StreamPtr, DialError>> Dialer::dial_target(ForwardPtr forward) {
  if (forward->socket.index() != 0) co_return co_await dial_socket(&context_.loop, forward->socket);
  const uint16_t port = forward->target_port ? forward->target_port : forward->listen.port;
  Result<Reached, DialError> reached = co_await dial_name(&context_, forward->target, port, {});
  if (!reached) co_return reached.error();
  co_return std::move(reached->stream);
}

StreamPtr Dialer::dial_dns(uint32_t client) {
  auto [ours, theirs] = make_stream_pair(context_.loop);
  spawn(context_.loop, dns::serve_stream(context_.loop, context_.dns, std::move(ours), client));
  return std::move(theirs);
}

}  // namespace slipgate
