#include "host/http_connect.h"

#include <cerrno>
#include <string>
#include <utility>

#include "host/proxy.h"
#include "io/conversation.h"
#include "wire/http_head.h"

namespace slipgate {

namespace {

// "100 Continue" and its like (RFC 9110 section 15.2): nobody has reason for more.
constexpr int kMostInterim = 8;

DialError failed(int code) {
  return proxy_error(code, DropReason::proxy_failed);
}

// Statuses say less than errno: proxies answer 502 or 503 whether a port is closed or a host is down.
DialError error_of(unsigned status) {
  switch (status) {
    case 403:
      return {.code = EACCES};
    case 500:
    case 502:
    case 503:
      return {.code = EHOSTUNREACH};
    case 504:
      return {.code = ETIMEDOUT};
    case 407:
      return proxy_error(EACCES, DropReason::proxy_login);
    default:
      return failed(EPROTO);
  }
}

}  // namespace

Task<Result<StreamPtr, DialError>> connect_by_http(Loop &loop, StreamPtr carrier, Endpoint to, Duration timeout) {
  Conversation proxy(loop, std::move(carrier));
  const std::string request = make_connect_request(to);
  const Time deadline = loop.now() + timeout;
  if (int error = co_await proxy.say({request.begin(), request.end()}, deadline)) co_return failed(error);
  auto parse = [](Bytes bytes) { return parse_http_response(text_of(bytes)); };
  for (int i = 0; i < kMostInterim; i++) {
    Result<HttpResponse, int> response = co_await proxy.hear(parse, deadline);
    if (!response && response.error() == ETIMEDOUT) co_return DialError{.code = ETIMEDOUT};  // as if nobody answered
    if (!response) co_return failed(response.error());
    if (response->status / 100 == 1) continue;
    if (response->status / 100 != 2) co_return error_of(response->status);
    co_return proxy.finish();
  }
  co_return failed(EPROTO);
}

}  // namespace slipgate
