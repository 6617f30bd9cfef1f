#include "wire/http_head.h"

#include <cstdint>

#include "support/catch.h"

using namespace slipgate;
using State = HttpRequest::State;

TEST_CASE("a request's head is taken apart, and what follows it is left alone") {
  const std::string head =
      "GET /metrics?name=x HTTP/1.1\r\nHost: gateway.example:9100\r\naccept: text/plain\r\nX-Empty:\r\n\r\n";
  HttpRequest request = parse_http_request(head + "GET /next");
  REQUIRE(request.state == State::complete);
  CHECK(request.size == head.size());
  CHECK(request.method == "GET");
  CHECK(request.target == "/metrics?name=x");
  CHECK(request.path() == "/metrics");
  CHECK(request.field("host") == "gateway.example:9100");
  CHECK(request.field("Accept") == "text/plain");
  CHECK(request.field("x-empty").empty());
  CHECK(request.field("Cookie").empty());
  CHECK(request.keep_alive);
  CHECK_FALSE(request.has_body);
}

TEST_CASE("every beginning of a good head is incomplete") {
  const std::string head = "\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
  for (size_t size = 0; size < head.size(); size++) {
    CAPTURE(size);
    CHECK(parse_http_request(head.substr(0, size)).state == State::incomplete);
  }
  CHECK(parse_http_request(head).state == State::complete);
  CHECK(parse_http_request(head).size == head.size());
}

TEST_CASE("whether the connection goes on, and whether a body comes (RFC 9112 sections 6.3 and 9.3)") {
  struct Row {
    std::string head;
    bool keep_alive, has_body;
  };
  for (const Row &row : {Row{"GET / HTTP/1.0\r\n\r\n", false, false},
                         Row{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, false},
                         Row{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false, false},
                         Row{"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", true, false},
                         Row{"POST / HTTP/1.1\r\nContent-Length: 7\r\n\r\n", true, true},
                         Row{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", true, true}}) {
    CAPTURE(row.head);
    HttpRequest request = parse_http_request(row.head);
    REQUIRE(request.state == State::complete);
    CHECK(request.keep_alive == row.keep_alive);
    CHECK(request.has_body == row.has_body);
  }
}

TEST_CASE("what is no head, or too long, is malformed") {
  for (const std::string &text :
       {std::string("hello\r\n\r\n"), std::string("GET /\r\n\r\n"), std::string("GET / HTTP/2.0\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nno colon\r\n\r\n"), std::string("GET / HTTP/1.1\r\nA b: c\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        std::string("G\0T / HTTP/1.1\r\n\r\n", 19), std::string(kMostHttpHeadBytes, 'x'),
        "GET / HTTP/1.1\r\nX: " + std::string(kMostHttpHeadBytes, 'x') + "\r\n\r\n"}) {
    CAPTURE(text);
    CHECK(parse_http_request(text).state == State::malformed);
  }
}
