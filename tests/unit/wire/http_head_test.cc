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

TEST_CASE("a response's head: its status, and what follows is left alone") {
  using Is = HttpResponse::State;
  const std::string head = "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n";
  for (size_t size = 0; size < head.size(); size++) {
    CAPTURE(size);
    CHECK(parse_http_response(head.substr(0, size)).state == Is::incomplete);
  }
  HttpResponse response = parse_http_response(head + "SSH-2.0");
  REQUIRE(response.state == Is::complete);
  CHECK(response.size == head.size());
  CHECK(response.status == 200);
  CHECK(parse_http_response("HTTP/1.0 503 no\r\nContent-Length: 7\r\n\r\n").status == 503);
  CHECK(parse_http_response("HTTP/1.0 407\r\n\r\n").state == Is::malformed);  // no space behind the code
  for (const char *text : {"SSH-2.0", "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/2 200\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"}) {
    CAPTURE(text);
    CHECK(parse_http_response(text).state == Is::malformed);
  }
  std::string endless = "HTTP/1.1 200 OK\r\nX: ";
  endless.resize(kMostHttpHeadBytes, 'x');
  CHECK(parse_http_response(endless).state == Is::malformed);
  CHECK(make_connect_request(*Endpoint::parse("[2001:db8::1]:443")) ==
        "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n");
}
