#include "dns/resolver.h"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include "fake_upstream.h"

using namespace slipgate;
using namespace slipgate::dns;

namespace {

struct ResolverTest : ServerTest {
  ~ResolverTest() { loop.abandon(); }

  using Found = Result<std::vector<IpAddress>>;

  // Asio wants what a spawned task returns to have a default: the result goes elsewhere.
  static Task<> store_validity(Resolver &resolver, std::string name, std::optional<Duration> &into) {
    Result<Resolved> found = co_await resolver.look_up(std::move(name));
    into = found ? found->valid : Duration(0);
  }
  int64_t valid_seconds(const std::string &name) {
    std::optional<Duration> result;
    Resolver resolver(loop, server());
    asio::co_spawn(loop.context(), store_validity(resolver, name, result), asio::detached);
    REQUIRE(turn_until(loop, [&] { return result.has_value(); }));
    return std::chrono::duration_cast<seconds>(*result).count();
  }
  static Task<> store(Resolver &resolver, std::string name, std::optional<Found> &into) {
    into.emplace(co_await resolver.resolve(std::move(name)));
  }
  Found resolve(const std::string &name) {
    std::optional<Found> result;
    Resolver resolver(loop, server());
    asio::co_spawn(loop.context(), store(resolver, name, result),
                   [](std::exception_ptr failure) { CHECK_FALSE(failure); });
    REQUIRE(turn_until(loop, [&] { return result.has_value(); }));
    return *result;
  }
  std::string resolved(const std::string &name) {
    Result<std::vector<IpAddress>> found = resolve(name);
    if (!found) return "error " + std::to_string(found.error().code);
    std::string text;
    for (const IpAddress &address : *found) text += (text.empty() ? "" : " ") + address.to_string();
    return text;
  }
};

}  // namespace

TEST_CASE("names resolve to both families, IPv4 first") {
  ResolverTest test;
  test.upstream.handle([](const Query &query, bool) {
    return Made(query).address(query.question.is(Type::A) ? "192.0.2.1" : "2001:db8::1").bytes();
  });
  CHECK(test.resolved("www.example") == "192.0.2.1 2001:db8::1");
  CHECK(test.resolved("www.example.") == "192.0.2.1 2001:db8::1");
  CHECK(test.resolved("box.example") == "192.0.2.10 2001:db8::10");
  CHECK(test.resolved("localhost") == "127.0.0.1 ::1");
  CHECK(test.resolved("192.0.2.99") == "192.0.2.99");
  CHECK(test.resolved("2001:db8::99") == "2001:db8::99");
}

TEST_CASE("one family is enough") {
  ResolverTest test;
  test.upstream.handle([](const Query &query, bool) {
    return query.question.is(Type::A) ? Made(query).soa(60, 60).bytes() : Made(query).address("2001:db8::1").bytes();
  });
  CHECK(test.resolved("six.example") == "2001:db8::1");
  CHECK(test.resolved("four.example") == "192.0.2.11");  // of the hosts file
}

TEST_CASE("what cannot be resolved says why") {
  ResolverTest test;
  test.upstream.handle([](const Query &query, bool) {
    bool fails = query.question.name == *Name::parse("fails.example");
    return Made(query, fails ? Code::ServFail : Code::NXDomain).bytes();
  });
  CHECK(test.resolved("missing.example") == "error " + std::to_string(ENOENT));
  CHECK(test.resolved("fails.example") == "error " + std::to_string(EAGAIN));
  CHECK(test.resolved("bad..name") == "error " + std::to_string(EINVAL));
  CHECK(test.resolved("") == "error " + std::to_string(EINVAL));
  CHECK(test.resolve("missing.example").error().text.find("missing.example") != std::string::npos);
}

TEST_CASE("short names are completed as resolv.conf says") {
  ResolverTest test;
  test.folder.write("resolv.conf", "search one.example two.example\noptions ndots:1\n");
  test.upstream.handle([](const Query &query, bool) {
    if (query.question.name == *Name::parse("db.two.example") && query.question.is(Type::A)) {
      return Made(query).address("192.0.2.2").bytes();
    }
    return Made(query, Code::NXDomain).soa(60, 60).bytes();
  });
  CHECK(test.resolved("db") == "192.0.2.2");
  CHECK(test.resolved("db.") == "error " + std::to_string(ENOENT));
  CHECK(test.resolved("db.two.example") == "192.0.2.2");
}

TEST_CASE("a chain of aliases is followed") {
  ResolverTest test;
  Name target = *Name::parse("real.example");
  test.upstream.handle([&](const Query &query, bool) {
    Made made(query);
    made.answer(query.question.name, Type::CNAME, 60, target.bytes());
    if (query.question.is(Type::A)) made.answer(target, Type::A, 60, IpAddress::v4(192, 0, 2, 3).family_bytes());
    return made.bytes();
  });
  CHECK(test.resolved("alias.example") == "192.0.2.3");
}

TEST_CASE("an answer is valid as long as the shortest-lived of its records, within bounds") {
  ResolverTest test;
  test.upstream.handle([](const Query &query, bool) {
    const bool v4 = query.question.is(Type::A);
    auto is = [&](const char *name) { return query.question.name == *Name::parse(name); };
    Made made(query);
    if (is("alias.example")) {
      made.answer(query.question.name, Type::CNAME, 40, Name::parse("real.example")->bytes());
      if (v4) made.answer(*Name::parse("real.example"), Type::A, 300, IpAddress::v4(192, 0, 2, 3).family_bytes());
      return made.bytes();
    }
    const uint32_t ttl = is("moving.example") ? 0 : is("stone.example") ? 86400 : v4 ? 300 : 60;
    return made.address(v4 ? "192.0.2.1" : "2001:db8::1", ttl).bytes();
  });
  CHECK(test.valid_seconds("plain.example") == 60);
  CHECK(test.valid_seconds("alias.example") == 40);
  CHECK(test.valid_seconds("moving.example") == 10);
  CHECK(test.valid_seconds("stone.example") == 3600);
  CHECK(test.valid_seconds("192.0.2.1") == 3600);
  CHECK(test.valid_seconds("localhost") == 30);
}

TEST_CASE("who asked may go before the answer comes") {
  ResolverTest test;
  {
    Resolver resolver(test.loop, test.server());
    std::optional<ResolverTest::Found> result;
    asio::co_spawn(test.loop.context(), ResolverTest::store(resolver, "silent.example", result), asio::detached);
    REQUIRE(turn_until(test.loop, [&] { return test.server().in_flight() == 2; }));
    test.loop.abandon();
  }
  REQUIRE(turn_until(test.loop, [&] { return test.server().in_flight() == 0; }));
}
