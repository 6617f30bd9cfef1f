#include "flow/egress.h"

#include "support/catch.h"

using namespace slipgate;

namespace {

FlowKey tcp_to(const char *address, uint16_t port) {
  return {{*IpAddress::parse("10.0.0.2"), 40000}, {*IpAddress::parse(address), port}, Protocol::tcp, 0};
}

}  // namespace

TEST_CASE("egress: what is written is read, and shown without user and password") {
  struct Row {
    const char *text, *host, *user, *password, *shown;
    uint16_t port;
    bool http, limited;
  };
  const Row kRows[] = {
      {"socks5://192.0.2.1:1080", "192.0.2.1", "", "", "socks5://192.0.2.1:1080", 1080, false, false},
      {"socks5://[2001:db8::1]:9/", "2001:db8::1", "", "", "socks5://[2001:db8::1]:9", 9, false, false},
      {"socks5://me:se%3acr%40t=@proxy.example:1", "proxy.example", "me", "se:cr@t=", "socks5://proxy.example:1", 1,
       false, false},
      {"socks5://u:a:b@h.x:1", "h.x", "u", "a:b", "socks5://h.x:1", 1, false, false},
      {"http://proxy:3128", "proxy", "", "", "http://proxy:3128", 3128, true, false},
      {"tcp://192.0.2.0/24:80=http://proxy:3128", "proxy", "", "", "tcp://192.0.2.0/24:80=http://proxy:3128", 3128,
       true, true},
      {"10.0.0.1,udp://[2001:db8::]/32:1-2=socks5://a:b@h:5", "h", "a", "b",
       "10.0.0.1,udp://[2001:db8::]/32:1-2=socks5://h:5", 5, false, true},
  };
  for (const Row &row : kRows) {
    CAPTURE(row.text);
    Result<EgressRule> rule = parse_egress(row.text);
    REQUIRE(rule);
    REQUIRE(rule->proxy);
    CHECK(rule->proxy->host == row.host);
    CHECK(rule->proxy->port == row.port);
    CHECK(rule->proxy->user == row.user);
    CHECK(rule->proxy->password == row.password);
    CHECK((rule->proxy->kind == Proxy::Kind::http) == row.http);
    CHECK(rule->rules.has_value() == row.limited);
    CHECK(rule->text == row.shown);
  }
  Result<EgressRule> direct = parse_egress("name.example:443=direct");
  REQUIRE(direct);
  CHECK_FALSE(direct->proxy);
  CHECK(direct->text == "name.example:443=direct");
}

TEST_CASE("egress: what is wrong is said, and no password with it") {
  const std::string long_one(256, 'x');
  for (const std::string &text : {std::string(""),
                                  std::string("socks5://"),
                                  std::string("socks5://host"),
                                  std::string("socks5://host:0"),
                                  std::string("socks5://host:65536"),
                                  std::string("socks5://2001:db8::1:80"),
                                  std::string("socks5://[192.0.2.1]:80"),
                                  std::string("socks5://[name]:80"),
                                  std::string("socks5://sekrit@host:1"),
                                  std::string("socks5://sekrit:@host:1"),
                                  std::string("socks5://:sekrit@host:1"),
                                  std::string("socks5://u:sekrit%4@host:1"),
                                  std::string("socks5://u:sekrit%zz@host:1"),
                                  "socks5://u:sekrit" + long_one + "@host:1",
                                  std::string("http://u:sekrit@host:1"),
                                  std::string("https://host:1"),
                                  std::string("socks4://u:sekrit@host:1"),
                                  std::string("nonsense"),
                                  std::string("=direct"),
                                  std::string("tcp//x=direct"),
                                  std::string("192.0.2.1="),
                                  std::string("192.0.2.1=ftp://u:sekrit@h:1"),
                                  std::string("socks5://u:sekrit@ho st:1")}) {
    CAPTURE(text);
    Result<EgressRule> rule = parse_egress(text);
    REQUIRE_FALSE(rule);
    CHECK_FALSE(rule.error().text.empty());
    CHECK(rule.error().text.find("sekrit") == std::string::npos);
  }
}

TEST_CASE("egress: the first rule that matches counts, and names match when they are resolved") {
  EgressOptions options;
  for (const char *text : {"192.0.2.1=direct", "name.example=http://a:1", "192.0.2.0/24=socks5://b:2"}) {
    options.push_back(*parse_egress(text));
  }
  Egress egress(options);
  CHECK_FALSE(egress.choose(tcp_to("192.0.2.1", 80)).proxy);
  CHECK(egress.choose(tcp_to("192.0.2.1", 80)).number == 1);
  CHECK(egress.choose(tcp_to("192.0.2.2", 80)).proxy == options[2].proxy);
  CHECK(egress.choose(tcp_to("192.0.2.2", 80)).number == 3);
  CHECK_FALSE(egress.choose(tcp_to("198.51.100.1", 80)).proxy);
  CHECK(egress.choose(tcp_to("198.51.100.1", 80)).number == 0);

  CHECK(egress.names() == std::vector<std::string>{"name.example"});
  egress.set_resolved("name.example", {*IpAddress::parse("192.0.2.2")});
  CHECK(egress.choose(tcp_to("192.0.2.2", 80)).proxy == options[1].proxy);

  Egress fresh(options);
  fresh.keep_resolved(egress);
  CHECK(fresh.choose(tcp_to("192.0.2.2", 80)).number == 2);
}
