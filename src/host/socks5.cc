#include "host/socks5.h"

#include <cerrno>
#include <utility>

#include "io/conversation.h"
#include "wire/socks5.h"

namespace slipgate {

namespace {

DialError failed(int code) {
  return proxy_error(code, DropReason::proxy_failed);
}

DialError error_of(socks5::Reply reply) {
  using socks5::Reply;
  switch (reply) {
    case Reply::not_allowed:
      return {.code = EACCES};
    case Reply::network_unreachable:
      return {.code = ENETUNREACH};
    case Reply::connection_refused:
      return {.code = ECONNREFUSED};
    case Reply::ttl_expired:  // proxies say so when nobody answered
      return {.code = ETIMEDOUT};
    case Reply::command_not_supported:
      return {.code = EACCES, .reason = DropReason::egress_no_udp};
    case Reply::address_type_not_supported:  // as a host without that family: the client shall try the other
      return {.code = EAFNOSUPPORT, .reason = DropReason::host_unreachable};
    case Reply::host_unreachable:
    case Reply::general_failure:
    default:
      return {.code = EHOSTUNREACH};
  }
}

// Greeting, login, request; the reply to it.
Task<Result<socks5::RequestReply, DialError>> ask(Loop &loop, Conversation *proxy, ProxyPtr configured,
                                                  socks5::Command command, Endpoint to, Duration timeout) {
  using socks5::Method;
  const Time soon = loop.now() + kProxyPatience;
  const Method method = configured->user.empty() ? Method::no_authentication : Method::username_password;
  if (int error = co_await proxy->say(socks5::make_greeting(method), soon)) co_return failed(error);
  Result<socks5::MethodChoice, int> choice = co_await proxy->hear(socks5::parse_method, soon);
  if (!choice) co_return failed(choice.error());
  if (choice->method == Method::no_acceptable_methods) co_return proxy_error(EACCES, DropReason::proxy_login);
  if (choice->method != method) co_return failed(EPROTO);
  if (method == Method::username_password) {
    std::vector<uint8_t> login = socks5::make_login(configured->user, configured->password);
    if (int error = co_await proxy->say(std::move(login), soon)) co_return failed(error);
    Result<socks5::LoginStatus, int> status = co_await proxy->hear(socks5::parse_login_status, soon);
    if (!status) co_return failed(status.error());
    if (!status->good) co_return proxy_error(EACCES, DropReason::proxy_login);
  }
  const Time later = loop.now() + timeout;
  if (int error = co_await proxy->say(socks5::make_request(command, to), later)) co_return failed(error);
  Result<socks5::RequestReply, int> reply = co_await proxy->hear(socks5::parse_reply, later);
  if (!reply && reply.error() == ETIMEDOUT) co_return DialError{.code = ETIMEDOUT};  // as if nobody answered
  if (!reply) co_return failed(reply.error());
  if (reply->reply != socks5::Reply::succeeded) co_return error_of(reply->reply);
  co_return std::move(*reply);
}

}  // namespace

Task<Result<StreamPtr, DialError>> connect_by_socks5(Loop &loop, StreamPtr carrier, ProxyPtr proxy, Endpoint to,
                                                     Duration timeout) {
  Conversation conversation(loop, std::move(carrier));
  Result<socks5::RequestReply, DialError> reply =
      co_await ask(loop, &conversation, std::move(proxy), socks5::Command::connect, to, timeout);
  if (!reply) co_return reply.error();
  co_return conversation.finish();
}

Task<Result<Socks5Association, DialError>> associate_by_socks5(Loop &loop, StreamPtr carrier, ProxyPtr proxy) {
  Conversation conversation(loop, std::move(carrier));
  // All zeros: from where datagrams will come is not known yet (RFC 1928 section 4).
  const Endpoint anywhere{IpAddress::any(true), 0};
  Result<socks5::RequestReply, DialError> reply =
      co_await ask(loop, &conversation, std::move(proxy), socks5::Command::udp_associate, anywhere, kProxyPatience);
  if (!reply && reply.error().code == ETIMEDOUT) co_return failed(ETIMEDOUT);
  if (!reply) co_return reply.error();
  if (reply->port == 0) co_return failed(EPROTO);
  co_return Socks5Association{conversation.finish(), reply->address, reply->port};
}

}  // namespace slipgate
