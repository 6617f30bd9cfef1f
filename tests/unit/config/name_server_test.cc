#include "config/name_server.h"

#include "support/catch.h"

namespace slipgate {

namespace {

std::string error_of(std::initializer_list<std::string_view> texts) {
  dns::Options options;
  for (std::string_view text : texts) {
    if (Result<void> added = add_name_server(text, options); !added) return added.error().text;
  }
  return "";
}

dns::TlsServer tls(std::string_view text) {
  dns::Options options;
  INFO(text);
  REQUIRE(add_name_server(text, options));
  REQUIRE(options.tls_upstream.size() == 1);
  return options.tls_upstream[0];
}

}  // namespace

TEST_CASE("name servers by TLS") {
  CHECK(tls("tls://dns.example") == dns::TlsServer{"dns.example", 853, "dns.example"});
  CHECK(tls("tls://dns.example:8853") == dns::TlsServer{"dns.example", 8853, "dns.example"});
  CHECK(tls("tls://192.0.2.1") == dns::TlsServer{"192.0.2.1", 853, "192.0.2.1"});
  CHECK(tls("tls://192.0.2.1:854#dns.example") == dns::TlsServer{"192.0.2.1", 854, "dns.example"});
  CHECK(tls("tls://2001:db8::1") == dns::TlsServer{"2001:db8::1", 853, "2001:db8::1"});
  CHECK(tls("tls://[2001:db8::1]#dns.example") == dns::TlsServer{"2001:db8::1", 853, "dns.example"});
  CHECK(tls("tls://[2001:db8::1]:854") == dns::TlsServer{"2001:db8::1", 854, "2001:db8::1"});
}

TEST_CASE("plain name servers") {
  dns::Options options;
  CHECK(add_name_server("192.0.2.1", options));
  CHECK(add_name_server("192.0.2.2:5353", options));
  CHECK(add_name_server("[2001:db8::1]:53", options));
  REQUIRE(options.upstream.size() == 3);
  CHECK(options.upstream[0].to_string() == "192.0.2.1:53");
  CHECK(options.upstream[1].to_string() == "192.0.2.2:5353");
  CHECK(options.upstream[2].to_string() == "[2001:db8::1]:53");
}

TEST_CASE("what is no name server says so") {
  for (std::string_view text :
       {"", "dns.example", "tls://", "tls://:853", "tls://a b", "tls://dns.example:0", "tls://dns.example:65536",
        "tls://dns.example:", "tls://[2001:db8::1", "tls://[2001:db8::1]853", "tls://dns.example#", "tls://..",
        "tls://user@dns.example", "https://dns.example"}) {
    INFO(text);
    CHECK_FALSE(error_of({text}).empty());
  }
  CHECK(error_of({"192.0.2.1", "tls://192.0.2.1"}).find("mix") != std::string::npos);
  CHECK(error_of({"tls://192.0.2.1", "192.0.2.1"}).find("mix") != std::string::npos);
  CHECK(error_of({"1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "1.1.1.6", "1.1.1.7", "1.1.1.8"}).empty());
  CHECK_FALSE(
      error_of({"1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4", "1.1.1.5", "1.1.1.6", "1.1.1.7", "1.1.1.8", "1.1.1.9"})
          .empty());
}

}  // namespace slipgate
