// Any bytes as the beginning of an HTTP request, and of a response.
#include "wire/http_head.h"

using namespace slipgate;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  const HttpResponse response = parse_http_response(text);
  if (response.state == HttpResponse::State::incomplete && size >= kMostHttpHeadBytes) __builtin_trap();
  if (response.state == HttpResponse::State::complete) {
    if (response.size > size || response.size > kMostHttpHeadBytes) __builtin_trap();
    const HttpResponse again = parse_http_response(text.substr(0, response.size));
    if (again.state != response.state || again.status != response.status) __builtin_trap();
  }
  const HttpRequest request = parse_http_request(text);
  if (request.state == HttpRequest::State::incomplete && size >= kMostHttpHeadBytes) __builtin_trap();
  if (request.state != HttpRequest::State::complete) return 0;
  if (request.size > size || request.size > kMostHttpHeadBytes || !text.substr(0, request.size).ends_with("\r\n\r\n")) {
    __builtin_trap();
  }
  if (!request.target.starts_with(request.path())) __builtin_trap();
  // Nothing behind the head changes what it says.
  const HttpRequest again = parse_http_request(text.substr(0, request.size));
  if (again.state != request.state || again.target != request.target || again.fields != request.fields) {
    __builtin_trap();
  }
  return 0;
}
