#include "control/http_server.h"

#include <fmt/format.h>

#include "support/catch.h"

using namespace slipgate;

namespace {

std::optional<HttpAnswer> pages(std::string_view path) {
  if (path == "/a") return HttpAnswer{200, "text/plain", "hello"};
  if (path == "/ill") return HttpAnswer{503, "text/plain", "draining"};
  return std::nullopt;
}

struct Answered {
  std::string text;
  bool keep = false;
  int code() const { return std::stoi(text.substr(9, 3)); }
  std::string body() const { return text.substr(text.find("\r\n\r\n") + 4); }
};

Answered ask(const std::string &head, bool local_only = false) {
  Answered answered;
  answered.text = answer_http(head + "\r\n", local_only, pages, answered.keep);
  return answered;
}

}  // namespace

TEST_CASE("requests and their answers") {
  Answered good = ask("GET /a?x=1 HTTP/1.1\r\nHost: gateway\r\n");
  CHECK(good.code() == 200);
  CHECK(good.body() == "hello");
  CHECK(good.keep);
  CHECK(good.text.find("Content-Length: 5\r\n") != std::string::npos);

  Answered head = ask("HEAD /a HTTP/1.1\r\nHost: gateway\r\n");
  CHECK(head.body().empty());
  CHECK(head.text.find("Content-Length: 5\r\n") != std::string::npos);

  CHECK(ask("GET /b HTTP/1.1\r\nHost: gateway\r\n").code() == 404);
  CHECK(ask("GET /ill HTTP/1.1\r\nHost: gateway\r\n").code() == 503);
  CHECK(ask("DELETE /a HTTP/1.1\r\nHost: gateway\r\n").text.find("Allow: GET, HEAD\r\n") != std::string::npos);
  CHECK_FALSE(ask("GET /a HTTP/1.0\r\n").keep);
  CHECK_FALSE(ask("GET /a HTTP/1.1\r\nHost: gateway\r\nContent-Length: 3\r\n").keep);  // its body is not read
  Answered bad = ask("nonsense\r\n");
  CHECK(bad.code() == 400);
  CHECK_FALSE(bad.keep);
}

TEST_CASE("on a loopback address only its own names are answered [metrics-foreign-host]") {
  for (const char *host : {"127.0.0.1:9100", "127.0.0.1", "[::1]:9100", "localhost:9100", "localhost", "10.0.0.1"}) {
    CAPTURE(host);
    CHECK(ask(fmt::format("GET /a HTTP/1.1\r\nHost: {}\r\n", host), true).code() == 200);
  }
  for (const char *host :
       {"attacker.example:9100", "localhost.attacker.example", "[attacker]", "127.0.0.1.example:1"}) {
    CAPTURE(host);
    CHECK(ask(fmt::format("GET /a HTTP/1.1\r\nHost: {}\r\n", host), true).code() == 421);
    CHECK(ask(fmt::format("GET /a HTTP/1.1\r\nHost: {}\r\n", host), false).code() == 200);
  }
}
