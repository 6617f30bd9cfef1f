#include "wire/http_head.h"

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
  const size_t end = text.substr(0, start + kMostHttpHeadBytes).find("\r\n\r\n", start);
  if (end == std::string_view::npos) {
    if (text.size() < kMostHttpHeadBytes) request.state = HttpRequest::State::incomplete;
    return request;
  }
  request.size = end + 4;
  if (request.size > kMostHttpHeadBytes) return request;
  const std::string_view head = text.substr(start, request.size - start);
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kMostHttpHeadBytes);
  parser.skip(true);  // the body, if there is one
  boost::beast::error_code error;
  parser.put(boost::asio::const_buffer(head.data(), head.size()), error);
  if (error || !parser.is_header_done()) return request;
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

}  // namespace slipgate
