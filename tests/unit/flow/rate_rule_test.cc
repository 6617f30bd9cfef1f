#include "flow/rate_rule.h"

#include "support/catch.h"

using namespace slipgate;

TEST_CASE("rates as people write them") {
  struct Case {
    const char *text, *peer;
    std::optional<uint64_t> up, down;
  };
  const Case cases[] = {
      {"alice=2M", "alice", 2'000'000, 2'000'000},
      {"alice=2m/s", "alice", 2'000'000, 2'000'000},
      {"10.7.0.2=up:800k", "10.7.0.2", 800'000, std::nullopt},
      {"fd07::2=down:1.5G", "fd07::2", std::nullopt, 1'500'000'000},
      {"a b=down:none,up:1000", "a b", 1000, 0},
      {"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg==5k", "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", 5000, 5000},
  };
  for (const Case &each : cases) {
    CAPTURE(each.text);
    Result<RateRule> rule = parse_rate_rule(each.text);
    REQUIRE(rule);
    CHECK(rule->peer == each.peer);
    CHECK(rule->up == each.up);
    CHECK(rule->down == each.down);
  }
}

TEST_CASE("what is no rate says what would be one") {
  for (const char *text : {"", "alice", "alice=", "=2M", "alice=fast", "alice=-1M", "alice=999", "alice=2T",
                           "alice=inf", "alice=1e9", "alice=2M,3M", "alice=up:2M,up:3M", "alice=2M,down:3M",
                           "alice=up:", "alice=up:2M,", "alice=0", "alice=2000G"}) {
    CAPTURE(text);
    Result<RateRule> rule = parse_rate_rule(text);
    REQUIRE_FALSE(rule);
    CHECK((rule.error().text.find("give ") != std::string::npos || rule.error().text.find("1k") != std::string::npos));
  }
}

TEST_CASE("rates are told as they are written") {
  CHECK(rate_text(0) == "none");
  CHECK(rate_text(2'500'000) == "2.5M");
  CHECK(rate_text(1000) == "1k");
  CHECK(rate_text(999'999'999) == "1000M");
}
