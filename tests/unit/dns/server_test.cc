#include "dns/server.h"

#include "fake_upstream.h"

using namespace slipgate;
using namespace slipgate::dns;

namespace {

Bytes text_data(const std::string &text, std::vector<uint8_t> &room) {
  room.assign(1, static_cast<uint8_t>(text.size()));
  room.insert(room.end(), text.begin(), text.end());
  return room;
}

// So many TXT records of 200 bytes each.
std::vector<uint8_t> texts(const Query &query, int count, uint16_t flags = 0) {
  Made made(query, Code::NoError, flags);
  std::vector<uint8_t> room;
  for (int i = 0; i < count; i++)
    made.answer(query.question.name, Type::TXT, 60, text_data(std::string(200, 'x'), room));
  return made.bytes();
}

}  // namespace

TEST_CASE("A and AAAA come from upstream with their CNAMEs and TTLs") {
  ServerTest test;
  Name target = *Name::parse("real.example");
  test.upstream.handle([&](const Query &query, bool) {
    Made made(query);
    made.answer(query.question.name, Type::CNAME, 100, target.bytes());
    IpAddress address = *IpAddress::parse(query.question.is(Type::A) ? "198.51.100.1" : "2001:db8::1");
    made.answer(target, query.question.is(Type::A) ? Type::A : Type::AAAA, 200, address.family_bytes());
    return made.with_opt().bytes();
  });
  Response answer = test.response(ServerTest::question("www.example", Type::A));
  CHECK(answer.code() == Code::NoError);
  CHECK(answer.flags & RA);
  REQUIRE(answer.answers.size() == 2);
  CHECK(answer.answers[0].is(Type::CNAME));
  CHECK(answer.answers[0].ttl == 100);
  CHECK(test.name(answer.answers[0]) == target);
  CHECK(answer.answers[1].ttl == 200);
  CHECK(test.address(answer.answers[1]) == "198.51.100.1");
  CHECK_FALSE(answer.opt());  // not asked for

  answer = test.response(ServerTest::question("www.example", Type::AAAA));
  REQUIRE(answer.answers.size() == 2);
  CHECK(test.address(answer.answers[1]) == "2001:db8::1");
  CHECK(test.counters.dns_queries == 2);
  CHECK(test.server().in_flight() == 0);
}

TEST_CASE("NXDOMAIN and NODATA are told apart") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) {
    bool exists = query.question.name == *Name::parse("exists.example");
    return Made(query, exists ? Code::NoError : Code::NXDomain).soa(300, 60).bytes();
  });
  Response nodata = test.response(ServerTest::question("exists.example", Type::AAAA));
  CHECK(nodata.code() == Code::NoError);
  CHECK(nodata.answers.empty());
  CHECK(nodata.authorities.size() == 1);
  Response nxdomain = test.response(ServerTest::question("missing.example", Type::AAAA));
  CHECK(nxdomain.code() == Code::NXDomain);
  CHECK(nxdomain.authorities.size() == 1);
}

TEST_CASE("records of every type pass unchanged") {
  ServerTest test;
  std::vector<uint8_t> data(37);
  for (size_t i = 0; i < data.size(); i++) data[i] = static_cast<uint8_t>(255 - i);
  test.upstream.handle([&](const Query &query, bool) {
    return Made(query).answer(query.question.name, static_cast<Type>(query.question.type), 60, data).bytes();
  });
  for (uint16_t type : {16, 13, 257, 4711, 65280}) {
    INFO(type);
    Response answer = test.response(ServerTest::question("any.example", static_cast<Type>(type)));
    REQUIRE(answer.answers.size() == 1);
    CHECK(answer.answers[0].type == type);
    Bytes got = Bytes(test.last).subspan(answer.answers[0].data_offset, answer.answers[0].data_size);
    CHECK(std::equal(got.begin(), got.end(), data.begin(), data.end()));
  }
}

TEST_CASE("classes other than IN are passed on") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) { return Made(query, Code::NXDomain).bytes(); });
  Query query = ServerTest::question("localhost", Type::TXT);
  query.question.klass = static_cast<uint16_t>(Class::CH);
  CHECK(test.response(query).code() == Code::NXDomain);
  REQUIRE(test.upstream.queries.size() == 1);
  CHECK(test.upstream.queries[0].question.klass == 3);
}

TEST_CASE("the hosts file is asked first") {
  ServerTest test;
  Response answer = test.response(ServerTest::question("BOX.example", Type::A));
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.address(answer.answers[0]) == "192.0.2.10");
  answer = test.response(ServerTest::question("box.example", Type::AAAA));
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.address(answer.answers[0]) == "2001:db8::10");
  answer = test.response(ServerTest::question("box", Type::A));
  REQUIRE(answer.answers.size() == 1);
  // Named for IPv4 alone: NODATA, not somebody else's idea of the name.
  answer = test.response(ServerTest::question("four.example", Type::AAAA));
  CHECK(answer.code() == Code::NoError);
  CHECK(answer.answers.empty());

  answer = test.response(ServerTest::question("10.2.0.192.in-addr.arpa", Type::PTR));
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.name(answer.answers[0]) == *Name::parse("box.example"));
  answer = test.response(ServerTest::question(Name::reverse(*IpAddress::parse("2001:db8::10")).to_string(), Type::PTR));
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.upstream.queries.empty());
}

TEST_CASE("a name of the hosts file exists for every type") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) { return Made(query, Code::NXDomain).soa(60, 60).bytes(); });
  Response answer = test.response(ServerTest::question("box.example", Type::MX));
  CHECK(answer.code() == Code::NoError);
  CHECK(answer.answers.empty());
}

TEST_CASE("localhost and invalid are nobody else's business") {
  ServerTest test;
  test.folder.write("hosts", "");
  Response answer = test.response(ServerTest::question("LocalHost", Type::A));
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.address(answer.answers[0]) == "127.0.0.1");
  answer = test.response(ServerTest::question("deep.below.localhost", Type::AAAA));
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.address(answer.answers[0]) == "::1");
  answer = test.response(ServerTest::question("localhost", Type::TXT));
  CHECK(answer.code() == Code::NoError);
  CHECK(answer.answers.empty());
  answer = test.response(ServerTest::question("1.0.0.127.in-addr.arpa", Type::PTR));
  REQUIRE(answer.answers.size() == 1);
  CHECK(test.name(answer.answers[0]) == *Name::parse("localhost"));
  CHECK(test.response(ServerTest::question("x.invalid", Type::A)).code() == Code::NXDomain);
  CHECK(test.upstream.queries.empty());
}

TEST_CASE("EDNS is between neighbours") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) { return Made(query).address("192.0.2.1").with_opt().bytes(); });
  Query query = ServerTest::question("edns.example", Type::A);
  query.edns = Edns{4096, 0, 0, true};
  Response answer = test.response(query);
  REQUIRE(answer.opt());
  CHECK(read_opt(*answer.opt()).udp_size == 1232);
  CHECK(read_opt(*answer.opt()).dnssec_ok);
  CHECK(answer.additionals.size() == 1);
  REQUIRE(test.upstream.queries.size() == 1);
  REQUIRE(test.upstream.queries[0].edns);
  CHECK(test.upstream.queries[0].edns->udp_size == 1232);
  CHECK(test.upstream.queries[0].edns->dnssec_ok);

  query.edns = Edns{4096, 0, 1, false};  // a version that is not there yet
  answer = test.response(query);
  REQUIRE(answer.opt());
  CHECK(read_opt(*answer.opt()).extended_code == 1);  // BADVERS
  CHECK((answer.flags & 0xf) == 0);
  CHECK(test.upstream.queries.size() == 1);
}

TEST_CASE("a resolver without EDNS is asked without") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) {
    if (query.edns) return Made(query, Code::FormErr).bytes();
    return Made(query).address("192.0.2.1").bytes();
  });
  for (std::string_view name : {"one.example", "two.example"}) {
    Response answer = test.response(ServerTest::question(name, Type::A));
    CHECK(answer.code() == Code::NoError);
    CHECK(answer.answers.size() == 1);
  }
}

TEST_CASE("an answer that does not fit a datagram says so, and comes whole over TCP") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) { return texts(query, 5); });
  Query query = ServerTest::question("large.example", Type::TXT);
  Response answer = test.response(query);
  CHECK(answer.flags & TC);
  CHECK(answer.answers.empty());
  CHECK(test.last.size() <= 512);
  answer = test.response(query, Transport::tcp);
  CHECK_FALSE(answer.flags & TC);
  CHECK(answer.answers.size() == 5);

  query.edns = Edns{1100, 0, 0, false};
  answer = test.response(query);
  CHECK(answer.flags & TC);
  CHECK(test.last.size() <= 1100);
  CHECK(answer.opt());
  query.edns->udp_size = 1232;
  answer = test.response(query);
  CHECK_FALSE(answer.flags & TC);
  CHECK(answer.answers.size() == 5);
}

TEST_CASE("additional records are left out before an answer is truncated") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) {
    std::vector<uint8_t> room;
    Made made(query);
    made.address("192.0.2.1");
    for (int i = 0; i < 4; i++)
      made.additional(*Name::parse("more.example"), Type::TXT, 60, text_data(std::string(200, 'y'), room));
    return made.bytes();
  });
  Response answer = test.response(ServerTest::question("extra.example", Type::A));
  CHECK_FALSE(answer.flags & TC);
  CHECK(answer.answers.size() == 1);
  CHECK(answer.additionals.empty());
  answer = test.response(ServerTest::question("extra.example", Type::A), Transport::tcp);
  CHECK(answer.additionals.size() == 4);
}

TEST_CASE("a truncated answer of the upstream is fetched over TCP") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool tcp) { return tcp ? texts(query, 200) : texts(query, 0, TC); });
  Response answer = test.response(ServerTest::question("huge.example", Type::TXT), Transport::tcp);
  CHECK(answer.answers.size() == 200);
  CHECK_FALSE(answer.flags & TC);
  CHECK(test.upstream.asked_udp == 1);
  CHECK(test.upstream.asked_tcp == 1);
}

TEST_CASE("answers are kept as long as they say") {
  ServerTest test;
  uint32_t ttl = 300;
  test.upstream.handle([&](const Query &query, bool) { return Made(query).address("192.0.2.1", ttl).bytes(); });
  test.response(ServerTest::question("kept.example", Type::A));
  Response answer = test.response(ServerTest::question("KEPT.example", Type::A, 99));
  CHECK(answer.answers.size() == 1);
  CHECK(answer.answers[0].ttl <= 300);
  CHECK(test.upstream.queries.size() == 1);
  // Another type, another name, another class, DO: other answers.
  test.response(ServerTest::question("kept.example", Type::TXT));
  Query secure = ServerTest::question("kept.example", Type::A);
  secure.edns = Edns{1232, 0, 0, true};
  test.response(secure);
  CHECK(test.upstream.queries.size() == 3);

  ttl = 0;
  test.response(ServerTest::question("fresh.example", Type::A));
  test.response(ServerTest::question("fresh.example", Type::A));
  CHECK(test.upstream.queries.size() == 5);
}

TEST_CASE("failures are not kept, absence is when a SOA says for how long") {
  ServerTest test;
  Code code = Code::NXDomain;
  bool soa = true;
  test.upstream.handle([&](const Query &query, bool) {
    Made made(query, code);
    if (soa) made.soa(300, 60);
    return made.bytes();
  });
  auto asked_for_two = [&](std::string_view name) {
    size_t before = test.upstream.queries.size();
    test.response(ServerTest::question(name, Type::A));
    test.response(ServerTest::question(name, Type::A));
    return test.upstream.queries.size() - before;
  };
  CHECK(asked_for_two("no.example") == 1);
  code = Code::NoError;
  CHECK(asked_for_two("nodata.example") == 1);
  soa = false;
  CHECK(asked_for_two("unsaid.example") == 2);
}

TEST_CASE("an upstream that fails or is silent gives SERVFAIL") {
  ServerTest test;
  SECTION("it says so") {
    test.upstream.handle([](const Query &query, bool) { return Made(query, Code::ServFail).bytes(); });
  }
  SECTION("it says nothing") {
    test.upstream.handle([](const Query &, bool) { return std::vector<uint8_t>(); });
  }
  SECTION("its answer is malformed") {
    test.upstream.handle([](const Query &query, bool) {
      std::vector<uint8_t> message = Made(query).address("192.0.2.1").bytes();
      message.resize(message.size() - 2);
      return message;
    });
  }
  SECTION("nobody listens there") {
    uint16_t port = 0;
    {
      FakeUpstream gone(test.loop, [](const Query &, bool) { return std::vector<uint8_t>(); });
      port = gone.endpoint().port;
    }
    test.options.upstream = {{IpAddress::v4(127, 0, 0, 1), port}};
  }
  Response answer = test.response(ServerTest::question("www.example", Type::A));
  CHECK(answer.code() == Code::ServFail);
  CHECK(answer.answers.empty());
  CHECK(test.server().in_flight() == 0);
}

TEST_CASE("without a nameserver the answer is SERVFAIL at once") {
  ServerTest test;
  test.options.upstream.clear();
  std::vector<uint8_t> answer;
  test.server().query(make_query(ServerTest::question("www.example", Type::A)), Transport::udp, 1,
                      [&](Bytes bytes) { answer.assign(bytes.begin(), bytes.end()); });
  REQUIRE(parse_response(answer));
  CHECK(parse_response(answer)->code() == Code::ServFail);
  CHECK(test.counters.dropped(DropReason::dns_upstream_failed) == 1);
}

TEST_CASE("what is no query is refused or ignored, and counted") {
  ServerTest test;
  CHECK(test.ask(Bytes()).empty());
  CHECK(test.counters.dropped(DropReason::dns_malformed) == 1);
  std::vector<uint8_t> query = make_query(ServerTest::question("www.example", Type::A));
  std::vector<uint8_t> cut(query.begin(), query.end() - 1);
  std::vector<uint8_t> answer = test.ask(cut);
  REQUIRE(answer.size() == 12);
  CHECK((answer[3] & 0xf) == 1);
  CHECK(test.counters.dropped(DropReason::dns_malformed) == 2);

  query[2] |= 2 << 3;  // STATUS
  answer = test.ask(query);
  REQUIRE(answer.size() == 12);
  CHECK((answer[3] & 0xf) == 4);
  query[2] |= 0x80;
  CHECK(test.ask(query).empty());
  CHECK(test.response(ServerTest::question("example", Type::AXFR), Transport::tcp).code() == Code::NotImp);
  CHECK(test.upstream.queries.empty());
}

TEST_CASE("questions in flight are bounded, for each client and for all [dns-in-flight-bounded]") {
  ServerTest test;
  test.options.timeout = seconds(60);
  size_t refused = 0;
  auto ask = [&](size_t number, uint32_t client) {
    Query query = ServerTest::question("n" + std::to_string(number) + ".example", Type::A);
    test.server().query(make_query(query), Transport::udp, client,
                        [&](Bytes answer) { refused += parse_response(answer)->code() == Code::ServFail; });
  };
  for (size_t i = 0; i < Server::kMostInFlightPerClient + 10; i++) ask(i, 1);
  CHECK(test.server().in_flight() == Server::kMostInFlightPerClient);
  CHECK(refused == 10);
  CHECK(test.counters.dropped(DropReason::dns_limit) == 10);
  // Others as well: however many flood, there is room for those who ask little.
  for (uint32_t client = 2; client <= 100; client++) {
    for (size_t i = 0; i < Server::kMostInFlightPerClient; i++) ask(i, client);
    size_t before = refused;
    ask(client, client + 1000);
    CHECK(refused == before);
  }
  CHECK(test.server().in_flight() < Server::kMostInFlight);
  CHECK(test.server().in_flight() > Server::kShared);
  // Until really nothing is left.
  for (uint32_t client = 10000; client < 10000 + Server::kMostInFlight; client++) ask(client, client);
  CHECK(test.server().in_flight() == Server::kMostInFlight);
}

TEST_CASE("equal questions under way are asked once, and answered to each as it asked") {
  ServerTest test;
  std::vector<std::vector<uint8_t>> answers(3);
  auto ask = [&](size_t number, std::string_view name, Transport transport, uint32_t client) {
    Query query = ServerTest::question(name, Type::TXT, static_cast<uint16_t>(100 + number));
    test.server().query(make_query(query), transport, client,
                        [&answers, number](Bytes bytes) { answers[number].assign(bytes.begin(), bytes.end()); });
  };
  test.upstream.handle([](const Query &query, bool) { return texts(query, 5); });
  ask(0, "same.example", Transport::udp, 1);
  ask(1, "SAME.example", Transport::tcp, 2);
  ask(2, "same.EXAMPLE", Transport::tcp, 1);
  CHECK(test.server().in_flight() == 3);
  REQUIRE(turn_until(test.loop, [&] { return !answers[0].empty() && !answers[1].empty() && !answers[2].empty(); }));
  CHECK(test.upstream.queries.size() == 1);
  CHECK(test.server().in_flight() == 0);
  CHECK(parse_response(answers[0])->flags & TC);
  for (size_t number : {1, 2}) {
    std::optional<Response> answer = parse_response(answers[number]);
    REQUIRE(answer);
    CHECK(answer->id == 100 + number);
    CHECK(answer->answers.size() == 5);
  }
  CHECK(answers[1][sizeof(Header) + 1] == 'S');
  CHECK(answers[2][sizeof(Header) + 1] == 's');
}

TEST_CASE("chains of CNAMEs, answers to ANY and absence at a chain's end are kept for the shortest of their times") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) {
    Made made(query);
    Name owner = query.question.name;
    for (int i = 0; i < 12; i++) {
      Name next = *Name::parse("c" + std::to_string(i) + ".example");
      made.answer(owner, Type::CNAME, static_cast<uint32_t>(1000 - i), next.bytes());
      owner = next;
    }
    if (query.question.is(Type::A)) made.answer(owner, Type::A, 5000, IpAddress::v4(192, 0, 2, 1).family_bytes());
    if (query.question.is(Type::MX)) made.soa(400, 300);
    return made.bytes();
  });
  for (Type type : {Type::A, Type::MX, Type::ANY}) {
    INFO(static_cast<int>(type));
    size_t records = type == Type::A ? 13 : 12;
    CHECK(test.response(ServerTest::question("long.example", type)).answers.size() == records);
    Response again = test.response(ServerTest::question("long.example", type));
    CHECK(again.answers.size() == records);
    CHECK(again.answers[11].ttl <= 989);
  }
  CHECK(test.upstream.queries.size() == 3);
}

TEST_CASE("a client's share comes back with its answers") {
  ServerTest test;
  test.upstream.handle([](const Query &query, bool) { return Made(query).address("192.0.2.1", 0).bytes(); });
  for (size_t i = 0; i < Server::kMostInFlightPerClient + 50; i++) {
    REQUIRE(test.response(ServerTest::question("www.example", Type::A)).code() == Code::NoError);
  }
  CHECK(test.counters.dropped(DropReason::dns_limit) == 0);
}

TEST_CASE("hosts and resolv.conf are read again when they change [dns-host-files-watched]") {
  ServerTest test;
  test.options.upstream.clear();
  auto says = [](std::string_view address) {
    return [address](const Query &query, bool) { return Made(query).address(address).bytes(); };
  };
  test.upstream.handle(says("192.0.2.1"));
  FakeUpstream other(test.loop, says("192.0.2.2"));
  auto use = [&](const FakeUpstream &upstream) {
    test.folder.write("resolv.conf", "nameserver [127.0.0.1]:" + std::to_string(upstream.endpoint().port) + "\n");
  };
  auto answer_is = [&](std::string_view name) {
    Response answer = test.response(ServerTest::question(name, Type::A));
    REQUIRE(answer.answers.size() == 1);
    return test.address(answer.answers[0]);
  };
  use(test.upstream);
  CHECK(answer_is("www.example") == "192.0.2.1");
  use(other);  // another network: what the cache holds is not true there
  CHECK(answer_is("www.example") == "192.0.2.2");
  CHECK(other.queries.size() == 1);

  test.folder.write("hosts", "192.0.2.77 new.example\n");
  CHECK(answer_is("new.example") == "192.0.2.77");
  // A moment without the file changes nothing.
  std::filesystem::remove(test.folder.file("hosts"));
  CHECK(answer_is("new.example") == "192.0.2.77");
}

TEST_CASE("questions that wait move on when the host's resolvers change") {
  ServerTest test;
  test.options.upstream.clear();
  test.options.timeout = seconds(60);
  FakeUpstream other(test.loop, [](const Query &query, bool) { return Made(query).address("192.0.2.2").bytes(); });
  auto use = [&](const FakeUpstream &upstream) {
    test.folder.write("resolv.conf", "nameserver [127.0.0.1]:" + std::to_string(upstream.endpoint().port) + "\n");
  };
  use(test.upstream);  // which is silent
  std::vector<uint8_t> answer;
  test.server().query(make_query(ServerTest::question("www.example", Type::A)), Transport::udp, 1,
                      [&](Bytes bytes) { answer.assign(bytes.begin(), bytes.end()); });
  REQUIRE(turn_until(test.loop, [&] { return test.upstream.queries.size() == 1; }));
  CHECK(test.server().in_flight() == 1);
  use(other);
  // Noticed with the next question, whosever it is.
  test.response(ServerTest::question("box.example", Type::A));
  REQUIRE(turn_until(test.loop, [&] { return !answer.empty(); }));
  CHECK(parse_response(answer)->answers.size() == 1);
  CHECK(test.server().in_flight() == 0);
}

TEST_CASE("a server that goes leaves nobody waiting on it") {
  ServerTest test;
  bool called = false;
  test.server().query(make_query(ServerTest::question("www.example", Type::A)), Transport::udp, 1,
                      [&](Bytes) { called = true; });
  CHECK(test.server().in_flight() == 1);
  test.made.reset();
  test.loop.turn(milliseconds(1));
  CHECK_FALSE(called);
}
