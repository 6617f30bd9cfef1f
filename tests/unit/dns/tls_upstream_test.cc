#include <algorithm>

#include "dns/serve_stream.h"
#include "fake_upstream.h"
#include "io/stream_pair.h"
#include "io/task.h"
#include "io/tls_stream.h"
#include "support/certificates.h"

using namespace slipgate;
using namespace slipgate::dns;

namespace {

// A server whose upstream is reached by TLS: the other end of what it dials is a DNS server of ours with a hosts file.
struct TlsUpstreamTest : ServerTest {
  TlsUpstreamTest() {
    folder.write("authorities", test::kAuthority);
    setenv("SSL_CERT_FILE", folder.file("authorities").c_str(), 1);
    folder.write("far", "198.51.100.1 far.example\n198.51.100.2 further.example\n");
    Options far_options;
    far_options.hosts_path = folder.file("far");
    far_options.resolv_conf_path = "/dev/null";
    far_server = std::make_unique<Server>(loop, far_counters, far_options);
    options.upstream.clear();
    options.tls_upstream = {{"192.0.2.1", 853, "dns.example"}};
  }
  ~TlsUpstreamTest() {
    unsetenv("SSL_CERT_FILE");
    loop.abandon();
  }

  Server &tls_server() {
    made = std::make_unique<Server>(loop, counters, options, [this](Endpoint to, Duration) { return dial(to); });
    return *made;
  }

  Task<Result<StreamPtr>> dial(Endpoint to) {
    dialled.push_back(to.to_string());
    if (refuse > 0) {
      refuse--;
      co_return Error{ECONNREFUSED, "refused"};
    }
    auto [ours, theirs] = make_stream_pair(loop);
    spawn(loop, accept(std::move(theirs)));
    co_return std::move(ours);
  }
  Task<> accept(StreamPtr carrier) {
    Result<StreamPtr> stream = co_await make_tls_stream(loop, certificate, std::move(carrier), "", seconds(5));
    if (!stream) co_return;
    accepted++;
    if (silent) {
      kept.push_back(std::move(*stream));
    } else if (cut > 0) {
      cut--;
    } else {
      co_await serve_stream(loop, *far_server, std::move(*stream), 1);
    }
  }

  Code code_of(std::string_view name) { return response(question(name, Type::A)).code(); }
  std::string address_of(std::string_view name) {
    Response answer = response(question(name, Type::A));
    return answer.answers.size() == 1 ? address(answer.answers[0]) : "";
  }

  Counters far_counters;
  std::unique_ptr<Server> far_server;
  TlsContext certificate = std::move(*TlsContext::server(test::kCertificate, test::kPrivateKey));
  std::vector<std::string> dialled;
  std::vector<StreamPtr> kept;
  int refuse = 0, cut = 0, accepted = 0;
  bool silent = false;
};

}  // namespace

TEST_CASE("questions go over one TLS connection, many at a time") {
  TlsUpstreamTest test;
  Server &server = test.tls_server();
  std::string hosts;
  for (int i = 0; i < 200; i++) hosts += "198.51.100.9 n" + std::to_string(i) + ".example\n";
  test.folder.write("far", hosts);
  Options far_options;
  far_options.hosts_path = test.folder.file("far");
  far_options.resolv_conf_path = "/dev/null";
  test.far_server = std::make_unique<Server>(test.loop, test.far_counters, far_options);
  int answered = 0;
  for (int i = 0; i < 200; i++) {
    Query query = ServerTest::question("n" + std::to_string(i) + ".example", Type::A);
    if (i % 2) query.edns = Edns{1232, 0, 0, i % 4 == 1};
    server.query(make_query(query), Transport::udp, 1, [&](Bytes message) {
      std::optional<Response> answer = parse_response(message);
      REQUIRE(answer);
      answered += answer->answers.size() == 1;
    });
  }
  REQUIRE(turn_until(test.loop, [&] { return answered == 200; }));
  CHECK(test.dialled == std::vector<std::string>{"192.0.2.1:853"});
  CHECK(test.far_counters.dns_queries == 200);
  CHECK(test.counters.dropped(DropReason::dns_upstream_failed) == 0);
  CHECK(server.in_flight() == 0);
}

TEST_CASE("a server without the right certificate is told nothing [dns-tls-verified]") {
  TlsUpstreamTest test;
  SECTION("another name") {
    test.options.tls_upstream[0].name = "other.example";
  }
  SECTION("an authority that is not trusted") {
    test.folder.write("authorities", test::kCertificate);
  }
  SECTION("no authorities at all") {
    test.folder.write("authorities", "");
  }
  test.tls_server();
  CHECK(test.code_of("far.example") == Code::ServFail);
  CHECK(test.far_counters.dns_queries == 0);
  CHECK(test.counters.dropped(DropReason::dns_upstream_failed) == 1);
}

TEST_CASE("the next server is asked when one cannot be had") {
  TlsUpstreamTest test;
  test.options.tls_upstream = {{"192.0.2.9", 853, "dns.example"}, {"2001:db8::1", 8853, "2001:db8::1"}};
  test.refuse = 1;
  test.tls_server();
  CHECK(test.address_of("far.example") == "198.51.100.1");
  CHECK(test.address_of("further.example") == "198.51.100.2");
  CHECK(test.dialled == std::vector<std::string>{"192.0.2.9:853", "[2001:db8::1]:8853"});
}

TEST_CASE("when no server can be had, answers come at once, and soon it is tried again") {
  TlsUpstreamTest test;
  test.refuse = 1;
  test.tls_server();
  CHECK(test.code_of("far.example") == Code::ServFail);
  CHECK(test.code_of("far.example") == Code::ServFail);
  CHECK(test.dialled.size() == 1);  // no storm of connections
  REQUIRE(turn_until(test.loop, [&] { return test.code_of("far.example") == Code::NoError; }));
  CHECK(test.dialled.size() == 2);
}

TEST_CASE("questions on a connection that ends are asked again, but not for ever") {
  TlsUpstreamTest test;
  SECTION("once") {
    test.cut = 1;
    test.tls_server();
    CHECK(test.address_of("far.example") == "198.51.100.1");
    CHECK(test.accepted == 2);
  }
  SECTION("always") {
    test.cut = 1000;
    test.tls_server();
    CHECK(test.code_of("far.example") == Code::ServFail);
    CHECK(test.accepted == 2);
  }
}

TEST_CASE("the TLS server's own name is resolved without it") {
  TlsUpstreamTest test;
  test.options.tls_upstream = {{"dns.example", 853, "dns.example"}};
  SECTION("by the hosts file") {
    test.folder.write("hosts", "192.0.2.33 dns.example\n");
  }
  SECTION("by the host's resolvers") {
    test.upstream.handle([](const Query &query, bool) {
      return query.question.is(Type::A) ? Made(query).address("192.0.2.33").bytes() : Made(query).bytes();
    });
    test.folder.write("resolv.conf", "nameserver [127.0.0.1]:" + std::to_string(test.upstream.endpoint().port) + "\n");
  }
  test.tls_server();
  CHECK(test.address_of("far.example") == "198.51.100.1");
  CHECK(test.dialled == std::vector<std::string>{"192.0.2.33:853"});
  for (const Query &query : test.upstream.queries) CHECK(query.question.name == *Name::parse("dns.example"));
}

TEST_CASE("a TLS upstream that goes with questions under way leaves nobody waiting on it") {
  TlsUpstreamTest test;
  test.silent = GENERATE(false, true);
  bool called = false;
  test.tls_server().query(make_query(ServerTest::question("far.example", Type::A)), Transport::udp, 1,
                          [&](Bytes) { called = true; });
  if (test.silent) REQUIRE(turn_until(test.loop, [&] { return test.accepted == 1; }));
  test.made.reset();
  for (int i = 0; i < 10; i++) test.loop.turn(milliseconds(1));
  CHECK_FALSE(called);
}
