#include "dns/cache.h"

#include "fake_upstream.h"

using namespace slipgate;
using namespace slipgate::dns;

namespace {

Query question(const std::string &name, Type type = Type::A) {
  return ServerTest::question(name, type);
}

Answer answer_to(const Query &query, Made &made) {
  std::optional<Answer> answer = Answer::of_message(made.bytes(), query.question);
  REQUIRE(answer);
  return *answer;
}

}  // namespace

TEST_CASE("kept answers age, and end") {
  Cache cache;
  Time now = BootClock::now();
  Query query = question("a.example");
  Made made = Made(query).address("192.0.2.1", 100).address("192.0.2.2", 50);
  Answer answer = answer_to(query, made);
  CHECK(answer.lifetime() == seconds(50));
  cache.put(Cache::key(query), answer, now);

  std::optional<Cache::Found> found = cache.find(Cache::key(query), now + seconds(30));
  REQUIRE(found);
  std::vector<uint8_t> message = found->answer->render(query, found->age, kMaxMessage);
  std::optional<Response> response = parse_response(message);
  REQUIRE(response);
  CHECK(response->answers[0].ttl == 70);
  CHECK(response->answers[1].ttl == 20);
  CHECK_FALSE(cache.find(Cache::key(query), now + seconds(50)));
  CHECK(cache.entries() == 0);
  CHECK(cache.bytes() == 0);
}

TEST_CASE("lifetimes follow RFC 2181 and RFC 2308") {
  Query query = question("a.example");
  auto lifetime = [&](Made made) { return answer_to(query, made).lifetime().count(); };
  CHECK(lifetime(Made(query).address("192.0.2.1", 10)) == 10);
  CHECK(lifetime(Made(query).address("192.0.2.1", 0)) == 0);
  CHECK(lifetime(Made(query).address("192.0.2.1", 0x80000001)) == 0);
  CHECK(lifetime(Made(query).address("192.0.2.1", 1000000)) == 86400);
  CHECK(lifetime(Made(query, Code::NXDomain).soa(300, 60)) == 60);
  CHECK(lifetime(Made(query, Code::NXDomain).soa(30, 600)) == 30);
  CHECK(lifetime(Made(query, Code::NXDomain).soa(86400, 86400)) == 3600);
  CHECK(lifetime(Made(query, Code::NXDomain)) == 0);
  CHECK(lifetime(Made(query).soa(300, 60)) == 60);
  CHECK(lifetime(Made(query, Code::ServFail).soa(300, 60)) == 0);
  CHECK(lifetime(Made(query, Code::NoError, TC).address("192.0.2.1", 10)) == 0);
  // NODATA behind a CNAME.
  Name target = *Name::parse("b.example");
  CHECK(lifetime(Made(query).answer(query.question.name, Type::CNAME, 20, target.bytes()).soa(300, 60)) == 20);
}

TEST_CASE("the cache is bounded, and what was used stays [dns-cache-bounded]") {
  Cache cache;
  Time now = BootClock::now();
  Query first = question("first.example");
  for (size_t i = 0; i < Cache::kMostEntries + 500; i++) {
    Query query = i == 0 ? first : question("n" + std::to_string(i) + ".example");
    Made made = Made(query).address("192.0.2.1");
    cache.put(Cache::key(query), answer_to(query, made), now);
    CHECK(cache.find(Cache::key(first), now));
  }
  CHECK(cache.entries() == Cache::kMostEntries);
  CHECK_FALSE(cache.find(Cache::key(question("n1.example")), now));

  std::vector<uint8_t> data(60000, 1);
  for (int i = 0; i < 100; i++) {
    Query query = question("large" + std::to_string(i) + ".example", Type::TXT);
    Made made = Made(query).answer(query.question.name, Type::TXT, 60, data);
    cache.put(Cache::key(query), answer_to(query, made), now);
  }
  CHECK(cache.bytes() <= Cache::kMostBytes);
  CHECK(cache.entries() < 100);
  CHECK(cache.entries() > 50);
}

TEST_CASE("messages that are not to the question are no answers") {
  Query query = question("a.example"), other = question("b.example");
  std::vector<uint8_t> good = Made(query).address("192.0.2.1").bytes();
  CHECK(Answer::of_message(good, query.question));
  CHECK_FALSE(Answer::of_message(good, other.question));
  CHECK_FALSE(Answer::of_message(good, question("a.example", Type::AAAA).question));
  CHECK_FALSE(Answer::of_message({}, query.question));
  // The question's name by a pointer into the header ("\0" at byte 4 would be the root): offsets would shift.
  Query root = question(".");
  std::vector<uint8_t> pointed(12 + 6);
  ByteWriter writer{MutableBytes(pointed)};
  write_header(writer, 0, QR, 1, 0, 0, 0);
  writer.u16(0xc004);
  writer.u16(1);
  writer.u16(1);
  REQUIRE(parse_response(pointed));
  CHECK_FALSE(Answer::of_message(pointed, root.question));
}

TEST_CASE("records behind an OPT go with it") {
  Query query = question("a.example");
  std::vector<uint8_t> message = Made(query).address("192.0.2.1").with_opt().bytes();
  std::vector<uint8_t> tsig{0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 1, 9};
  message.insert(message.end(), tsig.begin(), tsig.end());
  message[11] = 2;
  std::optional<Answer> answer = Answer::of_message(message, query.question);
  REQUIRE(answer);
  std::optional<Response> response = parse_response(answer->render(query, seconds(0), kMaxMessage));
  REQUIRE(response);
  CHECK(response->answers.size() == 1);
  CHECK(response->additionals.empty());
}
