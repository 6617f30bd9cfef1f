#include "io/tls_stream.h"

#include <cerrno>

#include "io/stream_pair.h"
#include "support/catch.h"
#include "support/certificates.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

using Made = std::optional<Result<StreamPtr>>;

struct TlsTest {
  explicit TlsTest(size_t capacity = 65536) {
    std::tie(client_carrier, server_carrier) = make_stream_pair(loop, capacity);
  }

  ~TlsTest() { loop.abandon(); }  // handshakes under way, while their results still have a place

  // Both sides shake hands; true when the client is content.
  bool shake(const std::string &peer) {
    test::spawn(loop, make_tls_stream(loop, client, std::move(client_carrier), peer, seconds(5)), &client_side);
    test::spawn(loop, make_tls_stream(loop, server, std::move(server_carrier), "", seconds(5)), &server_side);
    REQUIRE(test::run_until(loop, [&] { return client_side.has_value(); }));
    bool content = static_cast<bool>(*client_side);
    REQUIRE(test::run_until(loop, [&] { return server_side.has_value() || !content; }));
    return content;
  }
  Stream &ours() { return ***client_side; }
  Stream &theirs() { return ***server_side; }

  std::string read(Stream &stream, size_t most = 100000) {
    std::string text;
    auto more = [&] {
      Peeked peeked = stream.peek(most);
      for (const iovec &piece : peeked.pieces) text.append(static_cast<const char *>(piece.iov_base), piece.iov_len);
      if (peeked.size > 0) stream.consume(peeked.size);
      return peeked.size > 0;
    };
    test::run_until(loop, [&] { return more(); });
    while (more()) {
    }
    return text;
  }

  Loop loop;
  TlsContext client = std::move(*TlsContext::client(test::kAuthority));
  TlsContext server = std::move(*TlsContext::server(test::kCertificate, test::kPrivateKey));
  StreamPtr client_carrier, server_carrier;
  Made client_side, server_side;
};

size_t write(Stream &stream, std::string_view text) {
  iovec piece{const_cast<char *>(text.data()), text.size()};
  Result<size_t> taken = stream.write_some({&piece, 1});
  REQUIRE(taken);
  return *taken;
}

}  // namespace

TEST_CASE("TLS stream: bytes both ways, and an orderly end each") {
  TlsTest test;
  REQUIRE(test.shake("dns.example"));
  CHECK(write(test.ours(), "question") == 8);
  CHECK(test.read(test.theirs()) == "question");
  CHECK(write(test.theirs(), "answer") == 6);
  test.theirs().shutdown_write();
  CHECK(test.read(test.ours(), 3) == "answer");
  CHECK(test::run_until(test.loop, [&] { return test.ours().peek(10).end; }));
  // Half closed: the other direction goes on.
  CHECK(write(test.ours(), "more") == 4);
  CHECK(test.read(test.theirs()) == "more");
  test.ours().shutdown_write();
  CHECK(test::run_until(test.loop, [&] { return test.theirs().peek(10).end; }));
  CHECK_FALSE(test.ours().write_some({}));
}

TEST_CASE("TLS stream: much through a narrow carrier") {
  TlsTest test(1000);
  REQUIRE(test.shake("dns.example"));
  std::string sent, received;
  for (int i = 0; i < 300000; i++) sent += static_cast<char>('a' + i % 23);
  size_t at = 0;
  size_t at_once = 0;
  REQUIRE(test::run_until(test.loop, [&] {
    if (at < sent.size()) {
      size_t taken = write(test.ours(), std::string_view(sent).substr(at));
      at_once = std::max(at_once, taken);
      at += taken;
    }
    for (Peeked peeked = test.theirs().peek(5000); peeked.size > 0; peeked = test.theirs().peek(5000)) {
      received.append(static_cast<const char *>(peeked.pieces[0].iov_base), peeked.size);
      test.theirs().consume(peeked.size);
    }
    return received.size() == sent.size();
  }));
  CHECK(received == sent);
  CHECK(at_once <= 64 << 10);  // what the carrier does not take is not gathered without bound
}

TEST_CASE("TLS stream: the certificate must be for whom we want, by its names, from whom we trust [tls-peer-named]") {
  TlsTest test;
  SECTION("who it is for") {
    const char *name = GENERATE("dns.example", "DNS.Example", "a.wild.example", "192.0.2.1", "2001:db8::1");
    CHECK(test.shake(name));
  }
  SECTION("who it is not for") {
    const char *name = GENERATE("other.example", "cn.example", "example", "wild.example", "a.b.wild.example",
                                "192.0.2.2", "2001:db8::2", "");
    INFO(name);
    CHECK_FALSE(test.shake(name));
    CHECK(test.client_side->error().code == EPROTO);
  }
  SECTION("expired") {
    test.server = std::move(*TlsContext::server(test::kExpired, test::kPrivateKey));
    CHECK_FALSE(test.shake("dns.example"));
    CHECK(test.client_side->error().text.find("expired") != std::string::npos);
  }
  SECTION("of an authority that is not trusted") {
    test.client = std::move(*TlsContext::client(test::kCertificate));
    CHECK_FALSE(test.shake("dns.example"));
    CHECK(test.client_side->error().text.find("certificate") != std::string::npos);
  }
}

TEST_CASE("TLS stream: contexts need what they are made from") {
  CHECK_FALSE(TlsContext::client("nonsense"));
  CHECK_FALSE(TlsContext::server("nonsense", test::kPrivateKey));
  CHECK_FALSE(TlsContext::server(test::kCertificate, "nonsense"));
}

TEST_CASE("TLS stream: a peer that does not speak it, is silent, or is cut off") {
  TlsTest test;
  SECTION("speaks something else") {
    test::spawn(test.loop,
                make_tls_stream(test.loop, test.client, std::move(test.client_carrier), "dns.example", seconds(5)),
                &test.client_side);
    write(*test.server_carrier, "HTTP/1.1 400 Bad Request\r\n\r\n");
    REQUIRE(test::run_until(test.loop, [&] { return test.client_side.has_value(); }));
    CHECK(test.client_side->error().code == EPROTO);
  }
  SECTION("is silent") {
    test::spawn(
        test.loop,
        make_tls_stream(test.loop, test.client, std::move(test.client_carrier), "dns.example", milliseconds(50)),
        &test.client_side);
    REQUIRE(test::run_until(test.loop, [&] { return test.client_side.has_value(); }));
    CHECK(test.client_side->error().code == ETIMEDOUT);
  }
  SECTION("goes in the middle of the handshake") {
    test::spawn(test.loop,
                make_tls_stream(test.loop, test.client, std::move(test.client_carrier), "dns.example", seconds(5)),
                &test.client_side);
    test.server_carrier.reset();
    REQUIRE(test::run_until(test.loop, [&] { return test.client_side.has_value(); }));
    CHECK_FALSE(*test.client_side);
  }
  SECTION("is cut off: not an end, bytes may be missing") {
    REQUIRE(test.shake("dns.example"));
    test.server_side.reset();
    REQUIRE(test::run_until(test.loop, [&] { return test.ours().peek(10).error != 0; }));
    CHECK_FALSE(test.ours().peek(10).end);
  }
}

}  // namespace slipgate
