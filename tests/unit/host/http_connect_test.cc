#include "host/http_connect.h"

#include <cerrno>

#include "unit/host/scripted_proxy.h"

namespace slipgate {

namespace {

using test::ScriptedProxy;

using Dialled = Result<StreamPtr, DialError>;

const std::string kRequest = "CONNECT 192.0.2.1:80 HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n";

Dialled dial(Loop &loop, ScriptedProxy &proxy, Duration timeout = seconds(5)) {
  return test::through<StreamPtr>(loop, proxy, [=](Loop &on, StreamPtr carrier) {
    return connect_by_http(on, std::move(carrier), Endpoint{IpAddress::v4(192, 0, 2, 1), 80}, timeout);
  });
}

}  // namespace

TEST_CASE("http connect: a connection through, and the bytes that come with the answer are kept") {
  for (const char *answer : {"HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200 OK\r\nVia: x\r\n\r\n",
                             "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"}) {
    for (bool byte_by_byte : {false, true}) {
      CAPTURE(answer, byte_by_byte);
      Loop loop;
      ScriptedProxy proxy(loop, {{kRequest, std::string(answer) + "SSH-2.0"}});
      proxy.byte_by_byte = byte_by_byte;
      Dialled dialled = dial(loop, proxy);
      REQUIRE(dialled);
      proxy.byte_by_byte = false;
      proxy.act();
      CHECK(test::all_of(loop, **dialled, 7) == "SSH-2.0");
    }
  }
}

TEST_CASE("http connect: what the proxy answers is told as of the destination, or counted as the proxy's fault") {
  struct Row {
    const char *answer;
    int code;
    DropReason reason;
  };
  const Row kRows[] = {
      {"403 Filtered", EACCES, DropReason::host_unreachable},
      {"502 Bad Gateway", EHOSTUNREACH, DropReason::host_unreachable},
      {"503 Service Unavailable", EHOSTUNREACH, DropReason::host_unreachable},
      {"500 Unable to connect", EHOSTUNREACH, DropReason::host_unreachable},
      {"504 Gateway Timeout", ETIMEDOUT, DropReason::host_timeout},
      {"407 Proxy Authentication Required", EHOSTUNREACH, DropReason::proxy_login},
      {"405 Method Not Allowed", EHOSTUNREACH, DropReason::proxy_failed},
      {"301 Moved", EHOSTUNREACH, DropReason::proxy_failed},
  };
  for (const Row &row : kRows) {
    CAPTURE(row.answer);
    Loop loop;
    ScriptedProxy proxy(loop, {{kRequest, "HTTP/1.1 " + std::string(row.answer) + "\r\nContent-Length: 3\r\n\r\nno."}});
    Dialled dialled = dial(loop, proxy);
    REQUIRE_FALSE(dialled);
    CHECK(dialled.error().code == row.code);
    CHECK(drop_reason_for(dialled.error()) == row.reason);
  }
}

TEST_CASE("http connect: a proxy that breaks its protocol is counted as such") {
  struct Row {
    const char *what;
    std::string says;
    bool closes;
  };
  std::string interim;
  for (int i = 0; i < 20; i++) interim += "HTTP/1.1 102 Processing\r\n\r\n";
  const Row kRows[] = {
      {"closes at once", "", true},
      {"closes within its head", "HTTP/1.1 200 OK\r\n", true},
      {"is no web server", "SSH-2.0-OpenSSH\r\n", false},
      {"a head without end", "HTTP/1.1 200 OK\r\nX: " + std::string(100000, 'x'), false},
      {"never gets to the point", interim, false},
  };
  for (const Row &row : kRows) {
    CAPTURE(row.what);
    Loop loop;
    ScriptedProxy proxy(loop, {{kRequest, row.says}});
    proxy.closes = row.closes;
    Dialled dialled = dial(loop, proxy);
    REQUIRE_FALSE(dialled);
    CHECK(drop_reason_for(dialled.error()) == DropReason::proxy_failed);
    CHECK(refusal_for(dialled.error(), false).kind == Refusal::Kind::unreachable);
  }
  Loop loop;
  ScriptedProxy silent(loop, {{kRequest, "HTTP/1.1 20"}});
  Dialled dialled = dial(loop, silent, milliseconds(50));
  REQUIRE_FALSE(dialled);
  CHECK(dialled.error().code == ETIMEDOUT);
}

}  // namespace slipgate
