// The head of an HTTP/1 request (RFC 9112 sections 2 to 5): request line and fields, up to the empty line. What comes
// behind it is the caller's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

}  // namespace slipgate
