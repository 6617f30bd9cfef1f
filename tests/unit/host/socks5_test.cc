#include "host/socks5.h"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <cerrno>

#include "unit/host/scripted_proxy.h"

namespace slipgate {

namespace {

using test::ScriptedProxy;
using namespace std::string_literals;

using Dialled = Result<StreamPtr, DialError>;

const Endpoint kTo{IpAddress::v4(192, 0, 2, 1), 80};
const std::string kRequest = "\5\1\0\1\300\0\2\1\0\120"s;
const ScriptedProxy::Step kGreeting{"\5\1\0"s, "\5\0"s};

std::string reply(char code) {
  return "\5"s + code + "\0\1\177\0\0\1\4\70"s;
}

ProxyPtr proxy_of(std::string user = "", std::string password = "") {
  Proxy proxy;
  proxy.user = std::move(user);
  proxy.password = std::move(password);
  return std::make_shared<const Proxy>(proxy);
}

Dialled dial(Loop &loop, ScriptedProxy &proxy, ProxyPtr configured = proxy_of(), Endpoint to = kTo,
             Duration timeout = seconds(5)) {
  return test::through<StreamPtr>(loop, proxy, [=](Loop &on, StreamPtr carrier) {
    return connect_by_socks5(on, std::move(carrier), configured, to, timeout);
  });
}

}  // namespace

TEST_CASE("socks5: a connection through, and the bytes that come with the reply are kept") {
  for (bool byte_by_byte : {false, true}) {
    Loop loop;
    ScriptedProxy proxy(loop, {kGreeting, {kRequest, reply(0) + "SSH-2.0"}});
    proxy.byte_by_byte = byte_by_byte;
    Dialled dialled = dial(loop, proxy);
    REQUIRE(dialled);
    iovec piece{const_cast<char *>("hello"), 5};
    REQUIRE((*dialled)->write_some({&piece, 1}));
    proxy.byte_by_byte = false;
    REQUIRE(test::run_until(loop, [&] {
      proxy.act();
      return proxy.heard.size() >= 5;
    }));
    CHECK(proxy.heard == "hello");
    CHECK(test::all_of(loop, **dialled, 7) == "SSH-2.0");
  }
}

TEST_CASE("socks5: login by user and password (RFC 1929), IPv6, and a reply that names a host") {
  Loop loop;
  std::string request = "\5\1\0\4\x20\1\x0d\xb8"s + std::string(11, '\0') + "\1\1\273"s;
  ScriptedProxy proxy(loop, {{"\5\1\2"s, "\5\2"s}, {"\1\2me\3xyz"s, "\1\0"s}, {request, "\5\0\0\3\3a.b\0\1"s}});
  REQUIRE(dial(loop, proxy, proxy_of("me", "xyz"), *Endpoint::parse("[2001:db8::1]:443")));
}

TEST_CASE("socks5: what the proxy says of the destination is told as of the destination") {
  struct Row {
    char reply;
    int code;
    DropReason reason;
    Refusal v4;
  };
  const Row kRows[] = {
      {1, EHOSTUNREACH, DropReason::host_unreachable, Refusal::unreachable(3, 1)},
      {2, EACCES, DropReason::host_unreachable, Refusal::unreachable(3, 13)},
      {3, ENETUNREACH, DropReason::host_unreachable, Refusal::unreachable(3, 0)},
      {4, EHOSTUNREACH, DropReason::host_unreachable, Refusal::unreachable(3, 1)},
      {5, ECONNREFUSED, DropReason::connection_refused, Refusal::reset()},
      {6, ETIMEDOUT, DropReason::host_timeout, Refusal::silence()},
      {8, EAFNOSUPPORT, DropReason::host_unreachable, Refusal::unreachable(3, 0)},
      {99, EHOSTUNREACH, DropReason::host_unreachable, Refusal::unreachable(3, 1)},
  };
  for (const Row &row : kRows) {
    CAPTURE(int{row.reply});
    Loop loop;
    ScriptedProxy proxy(loop, {kGreeting, {kRequest, reply(row.reply)}});
    Dialled dialled = dial(loop, proxy);
    REQUIRE_FALSE(dialled);
    CHECK(dialled.error().code == row.code);
    CHECK(drop_reason_for(dialled.error()) == row.reason);
    const Refusal refusal = refusal_for(dialled.error(), true);
    CHECK(refusal.kind == row.v4.kind);
    CHECK(int{refusal.icmp_type} == int{row.v4.icmp_type});
    CHECK(int{refusal.icmp_code} == int{row.v4.icmp_code});
  }
}

TEST_CASE("socks5: a proxy that breaks its protocol is counted as such, and ends nothing but the dial") {
  struct Row {
    const char *what;
    std::vector<ScriptedProxy::Step> script;
    bool closes;
    const char *user;
    DropReason reason = DropReason::proxy_failed;
  };
  const Row kRows[] = {
      {"closes at once", {}, true, ""},
      {"closes after the greeting", {{"\5\1\0"s, "\5\0"s}}, true, ""},
      {"closes within the reply", {kGreeting, {kRequest, "\5\0\0\1\177"s}}, true, ""},
      {"another version", {{"\5\1\0"s, "\4\0"s}}, false, ""},
      {"is a web server", {{"\5\1\0"s, "HTTP/1.1 400 Bad Request\r\n\r\n"}}, false, ""},
      {"wants no method that we have", {{"\5\1\0"s, "\5\377"s}}, false, "", DropReason::proxy_login},
      {"wants a login that we do not offer", {{"\5\1\0"s, "\5\2"s}}, false, ""},
      {"wants none although we offer one", {{"\5\1\2"s, "\5\0"s}}, false, "me"},
      {"refuses our login", {{"\5\1\2"s, "\5\2"s}, {"\1\2me\2pw"s, "\1\1"s}}, false, "me", DropReason::proxy_login},
      {"a reply of another version", {kGreeting, {kRequest, "\4\0\0\1\177\0\0\1\0\1"s}}, false, ""},
      {"an address of no type", {kGreeting, {kRequest, "\5\0\0\2\177\0\0\1\0\1"s}}, false, ""},
      {"much more than a reply, of no type", {kGreeting, {kRequest, "\5\0\0\7"s + std::string(60000, 'x')}}, false, ""},
  };
  for (const Row &row : kRows) {
    CAPTURE(row.what);
    Loop loop;
    ScriptedProxy proxy(loop, row.script);
    proxy.closes = row.closes;
    Dialled dialled = dial(loop, proxy, *row.user ? proxy_of(row.user, "pw") : proxy_of());
    REQUIRE_FALSE(dialled);
    CHECK(drop_reason_for(dialled.error()) == row.reason);
    CHECK(refusal_for(dialled.error(), true).kind == Refusal::Kind::unreachable);
    CHECK(dialled.error().to_string().find("pw") == std::string::npos);
  }
}

TEST_CASE("socks5: a proxy whose destination never answers is the silence that the destination would be") {
  Loop loop;
  ScriptedProxy proxy(loop, {kGreeting, {kRequest, "\5\0"s}});
  Dialled dialled = dial(loop, proxy, proxy_of(), kTo, milliseconds(50));
  REQUIRE_FALSE(dialled);
  CHECK(dialled.error().code == ETIMEDOUT);
  CHECK(refusal_for(dialled.error(), true).kind == Refusal::Kind::silence);
}

TEST_CASE("socks5: a cancelled dial leaves the proxy") {
  Loop loop;
  ScriptedProxy proxy(loop, {kGreeting, {kRequest, ""}});
  asio::cancellation_signal signal;
  std::optional<Dialled> result;
  auto shake_hands = [](Loop &on, StreamPtr carrier) {
    return connect_by_socks5(on, std::move(carrier), proxy_of(), kTo, seconds(60));
  };
  asio::co_spawn(loop.context(),
                 test::keep_result(test::dial_through<StreamPtr>(&loop, proxy.at(), shake_hands), &result),
                 asio::bind_cancellation_slot(signal.slot(), asio::detached));
  bool asked = false;
  REQUIRE(test::run_until(loop, [&] {
    asked = asked || proxy.connection;
    proxy.act();
    return asked && proxy.script_done();
  }));
  signal.emit(asio::cancellation_type::all);
  REQUIRE(test::run_until(loop, [&] {
    proxy.act();
    return result && proxy.left;
  }));
  CHECK(result->error().code == ECANCELED);
  CHECK(drop_reason_for(result->error()) == DropReason::request_cancelled);
}

TEST_CASE("socks5: an association, and one that is refused") {
  Loop loop;
  const std::string request = "\5\3\0\1\0\0\0\0\0\0"s;
  auto associate = [](Loop &on, StreamPtr carrier) { return associate_by_socks5(on, std::move(carrier), proxy_of()); };
  {
    ScriptedProxy proxy(loop, {kGreeting, {request, "\5\0\0\1\0\0\0\0\4\70"s}});
    Result<Socks5Association, DialError> association = test::through<Socks5Association>(loop, proxy, associate);
    REQUIRE(association);
    CHECK(association->address == IpAddress::any(true));
    CHECK(association->port == 1080);
  }
  {
    ScriptedProxy proxy(loop, {kGreeting, {request, reply(7)}});
    Result<Socks5Association, DialError> association = test::through<Socks5Association>(loop, proxy, associate);
    REQUIRE_FALSE(association);
    CHECK(drop_reason_for(association.error()) == DropReason::egress_no_udp);
  }
  {
    ScriptedProxy proxy(loop, {kGreeting, {request, "\5\0\0\1\177\0\0\1\0\0"s}});  // port 0
    Result<Socks5Association, DialError> association = test::through<Socks5Association>(loop, proxy, associate);
    REQUIRE_FALSE(association);
    CHECK(drop_reason_for(association.error()) == DropReason::proxy_failed);
  }
}

}  // namespace slipgate
