#include "dns/local_names.h"

#include "fake_upstream.h"

using namespace slipgate;
using namespace slipgate::dns;

namespace {

const Name kDomain = *Name::parse("home.internal");

IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}

std::string below(std::string_view text) {
  std::optional<Name> name = name_below(text, kDomain);
  return name ? name->to_string() : "";
}

}  // namespace

TEST_CASE("peers' names become names of the domain") {
  CHECK(below("phone") == "phone.home.internal");
  CHECK(below("Ann's phone") == "ann-s-phone.home.internal");
  CHECK(below("  (the) _box_ ") == "the-_box_.home.internal");
  CHECK(below("lab.east") == "lab.east.home.internal");
  CHECK(below("Jürgen") == "j-rgen.home.internal");
  CHECK(below("").empty());
  CHECK(below("...").empty());
  CHECK(below("!?").empty());
  CHECK(below("a..b").empty());
  CHECK(below(std::string(64, 'x')).empty());
  CHECK(name_below("phone", Name())->to_string() == "phone");
}

TEST_CASE("names and addresses of peers are answered, and all of their domain is ours") {
  ServerTest test;
  test.options.domain = "Home.internal";
  test.upstream.handle([](const Query &query, bool) { return Made(query).address("192.0.2.99").bytes(); });
  auto ask = [&](std::string_view name, Type type) { return test.response(ServerTest::question(name, type)); };
  CHECK(ask("phone.home.internal", Type::A).answers.size() == 1);
  CHECK(test.upstream.queries.size() == 1);  // no names yet: nothing is ours

  test.server().set_names({{"", {address("10.7.0.1"), address("fd07::1")}},
                           {"phone", {address("10.7.0.2"), address("fd07::2")}},
                           {"Phone", {address("10.7.0.3")}},
                           {"lab.east", {address("10.7.0.2"), address("10.7.0.4")}},
                           {"everywhere", {}}});
  Response answer = ask("PHONE.home.internal", Type::A);
  CHECK(answer.flags & AA);
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.address(answer.answers[0]) == "10.7.0.2");
  answer = ask("phone.home.internal", Type::AAAA);
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.address(answer.answers[0]) == "fd07::2");
  CHECK(ask("phone.home.internal", Type::ANY).answers.size() == 2);
  CHECK(ask("home.internal", Type::ANY).answers.size() == 2);

  auto pointer = [&](std::string_view text) {
    Response found = ask(Name::reverse(address(text)).to_string(), Type::PTR);
    REQUIRE(found.answers.size() == 1);
    return test.name(found.answers[0]).to_string();
  };
  CHECK(pointer("10.7.0.1") == "Home.internal");
  CHECK(pointer("10.7.0.2") == "phone.Home.internal");
  CHECK(pointer("fd07::2") == "phone.Home.internal");
  CHECK(pointer("10.7.0.4") == "lab.east.Home.internal");

  auto absent = [&](std::string_view name, Type type, Code code) {
    INFO(name);
    Response found = ask(name, type);
    CHECK(found.code() == code);
    CHECK(found.answers.empty());
    REQUIRE(found.authorities.size() == 1);
    CHECK(found.authorities[0].is(Type::SOA));
  };
  absent("phone.home.internal", Type::MX, Code::NoError);
  absent("lab.east.home.internal", Type::AAAA, Code::NoError);
  absent("east.home.internal", Type::A, Code::NoError);
  absent("everywhere.home.internal", Type::A, Code::NoError);
  absent("home.internal", Type::TXT, Code::NoError);
  absent("tablet.home.internal", Type::A, Code::NXDomain);
  absent("x.phone.home.internal", Type::A, Code::NXDomain);
  answer = ask("home.internal", Type::SOA);
  REQUIRE(answer.answers.size() == 1);
  CHECK(answer.answers[0].is(Type::SOA));
  CHECK(answer.answers[0].data_size == kDomain.bytes().size() + 1 + 20);
  CHECK(test.upstream.queries.size() == 1);

  CHECK(ask("internal", Type::A).answers.size() == 1);
  CHECK(ask("9.0.7.10.in-addr.arpa", Type::PTR).code() == Code::NoError);
  CHECK(test.upstream.queries.size() == 3);

  test.server().set_names({{"tablet", {address("10.7.0.9")}}});
  CHECK(ask("tablet.home.internal", Type::A).answers.size() == 1);
  CHECK(ask("phone.home.internal", Type::A).code() == Code::NXDomain);
}
