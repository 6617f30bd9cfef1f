// The head of an HTTP/1 message (RFC 9112 sections 2 to 5): its first line and fields, up to the empty line; and the
// CONNECT of who speaks to a proxy (RFC 9110 section 9.3.6). What comes behind a head is the caller's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"

namespace slipgate {

// Browsers send 1 kB; a longer head is somebody's mistake.
inline constexpr size_t kMostHttpHeadBytes = 8 << 10;

struct HttpRequest {
  enum class State : uint8_t {
    incomplete,  // so far so good: read on
    malformed,   // not HTTP/1, ambiguous framing, or longer than kMostHttpHeadBytes
    complete,
  };
  State state = State::malformed;
  size_t size = 0;     // bytes of the head with its empty line
  std::string method;  // "GET"
  std::string target;  // "/metrics?x=1"
  std::vector<std::pair<std::string, std::string>> fields;
  bool keep_alive = false;  // the connection goes on behind the answer
  bool has_body = false;    // one follows the head

  // The first field of this name, whatever its case; empty: there is none.
  std::string_view field(std::string_view name) const;
  // The target without its query.
  std::string_view path() const;
};

// Looks at the first bytes of a request.
HttpRequest parse_http_request(std::string_view text);

struct HttpResponse {
  enum class State : uint8_t { incomplete, malformed, complete };  // as of a request
  State state = State::malformed;
  size_t size = 0;      // bytes of the head with its empty line
  unsigned status = 0;  // 200
};

// Looks at the first bytes of a response.
HttpResponse parse_http_response(std::string_view text);

// The request for a tunnel to `to`.
std::string make_connect_request(const Endpoint &to);

}  // namespace slipgate
