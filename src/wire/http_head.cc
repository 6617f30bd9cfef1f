#include "wire/http_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

namespace slipgate {

namespace http = boost::beast::http;

namespace {

bool same_name(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

// The bytes of a head that begins at `start`, its empty line included; 0: not all of them are there.
size_t head_size(std::string_view text, size_t start) {
  const size_t end = text.substr(0, start + kMostHttpHeadBytes).find("\r\n\r\n", start);
  return end == std::string_view::npos ? 0 : end + 4;
}

// Whether Beast takes it for a head.
template <typename Parser>
bool parse_head(Parser &parser, std::string_view head) {
  parser.header_limit(kMostHttpHeadBytes);
  parser.skip(true);  // the body, if there is one
  boost::beast::error_code error;
  parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
  return !error && parser.is_header_done();
}

}  // namespace

std::string_view HttpRequest::field(std::string_view name) const {
  for (const auto &[own, value] : fields) {
    if (same_name(own, name)) return value;
  }
  return {};
}

std::string_view HttpRequest::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

HttpRequest parse_http_request(std::string_view text) {
  HttpRequest request;
  // A server ought to ignore empty lines before the request line (RFC 9112 section 2.2).
  size_t start = 0;
  while (text.substr(start).starts_with("\r\n")) start += 2;
  request.size = head_size(text, start);
  if (request.size == 0) {
    if (text.size() < kMostHttpHeadBytes) request.state = HttpRequest::State::incomplete;
    return request;
  }
  if (request.size > kMostHttpHeadBytes) return request;
  const std::string_view head = text.substr(start, request.size - start);
  http::request_parser<http::empty_body> parser;
  if (!parse_head(parser, head)) return request;
  const auto &message = parser.get();
  auto text_of = [](auto piece) { return std::string(piece.data(), piece.size()); };
  request.method = text_of(message.method_string());
  request.target = text_of(message.target());
  for (const auto &field : message) {
    request.fields.emplace_back(text_of(field.name_string()), text_of(field.value()));
  }
  request.keep_alive = message.keep_alive();
  const std::string_view length = request.field("Content-Length");
  request.has_body = parser.chunked() || (!length.empty() && length != "0");
  request.state = HttpRequest::State::complete;
  return request;
}

HttpResponse parse_http_response(std::string_view text) {
  constexpr std::string_view kStart = "HTTP/1.";
  HttpResponse response;
  const std::string_view known = text.substr(0, kStart.size());
  if (known != kStart.substr(0, known.size())) return response;
  response.size = head_size(text, 0);
  if (response.size == 0) {
    if (text.size() < kMostHttpHeadBytes) response.state = HttpResponse::State::incomplete;
    return response;
  }
  http::response_parser<http::empty_body> parser;
  if (!parse_head(parser, text.substr(0, response.size))) return response;
  response.status = parser.get().result_int();
  response.state = HttpResponse::State::complete;
  return response;
}

std::string make_connect_request(const Endpoint &to) {
  const std::string authority = to.to_string();
  return fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n\r\n", authority);
}

}  // namespace slipgate
