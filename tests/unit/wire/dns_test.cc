#include "wire/dns.h"

#include <algorithm>
#include <random>

#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::dns;

namespace {

std::vector<uint8_t> bytes(std::initializer_list<int> values) {
  std::vector<uint8_t> made;
  for (int value : values) made.push_back(static_cast<uint8_t>(value));
  return made;
}

// A query for "a.example" of type A, with what `more` says behind the question.
std::vector<uint8_t> query_bytes(uint16_t flags = RD, uint16_t additionals = 0, std::vector<uint8_t> more = {}) {
  std::vector<uint8_t> message(12);
  ByteWriter writer{MutableBytes(message)};
  write_header(writer, 0x1234, flags, 1, 0, 0, additionals);
  for (int value : std::initializer_list<int>{1, 'a', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1}) {
    message.push_back(static_cast<uint8_t>(value));
  }
  message.insert(message.end(), more.begin(), more.end());
  return message;
}

const std::vector<uint8_t> kOpt = bytes({0, 0, 41, 0x10, 0x00, 0, 0, 0x80, 0, 0, 0});

std::optional<Name> read_at(const std::vector<uint8_t> &message, size_t position, size_t *after = nullptr) {
  ByteReader reader{Bytes(message)};
  reader.seek(position);
  std::optional<Name> name = Name::read(reader);
  if (after) *after = reader.position();
  return name;
}

Name name(std::string_view text) {
  std::optional<Name> parsed = Name::parse(text);
  REQUIRE(parsed);
  return *parsed;
}

}  // namespace

TEST_CASE("names go to text and back") {
  CHECK(name("www.Example.org").to_string() == "www.Example.org");
  CHECK(name("www.example.org.").to_string() == "www.example.org");
  CHECK(name(".").is_root());
  CHECK(name(".").to_string() == ".");
  CHECK(name("a\\.b.c").to_string() == "a\\.b.c");
  CHECK(name("a\\.b.c").bytes()[0] == 3);
  CHECK(name("\\032\\200x.y").to_string() == "\\032\\200x.y");

  CHECK_FALSE(Name::parse(""));
  CHECK_FALSE(Name::parse("a..b"));
  CHECK_FALSE(Name::parse(".a"));
  CHECK_FALSE(Name::parse("a.."));
  CHECK_FALSE(Name::parse("a\\"));
  CHECK_FALSE(Name::parse("a\\25"));
  CHECK_FALSE(Name::parse("a\\256"));
}

TEST_CASE("names have the lengths that RFC 1035 gives them") {
  std::string label(63, 'a');
  CHECK(Name::parse(label));
  CHECK_FALSE(Name::parse(label + "a"));
  // 4 labels: 64 + 64 + 64 + 62 and the root are 255.
  std::string longest = label + "." + label + "." + label + "." + std::string(61, 'b');
  REQUIRE(Name::parse(longest));
  CHECK(Name::parse(longest)->bytes().size() == 255);
  CHECK(Name::parse(longest)->to_string() == longest);
  CHECK_FALSE(Name::parse(longest + "b"));
}

TEST_CASE("names are equal whatever their case") {
  CHECK(name("WWW.example.ORG") == name("www.EXAMPLE.org"));
  CHECK_FALSE(name("www.example.org") == name("ww.wexample.org"));
  CHECK(name("WWW.example.ORG").key() == name("www.EXAMPLE.org").key());
  CHECK(name("A.b.localhost").is_within(name("LOCALhost")));
  CHECK(name("localhost").is_within(name("localhost")));
  CHECK_FALSE(name("notlocalhost").is_within(name("localhost")));
  CHECK_FALSE(name("localhost.example").is_within(name("localhost")));
  CHECK(name("x.y").is_within(name(".")));
}

TEST_CASE("reverse names stand for addresses") {
  IpAddress v4 = *IpAddress::parse("192.0.2.10"), v6 = *IpAddress::parse("2001:db8::567:89ab");
  CHECK(Name::reverse(v4).to_string() == "10.2.0.192.in-addr.arpa");
  CHECK(Name::reverse(v6).to_string() == "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
  CHECK(Name::reverse(v4).reversed_address() == v4);
  CHECK(Name::reverse(v6).reversed_address() == v6);
  CHECK(name("10.2.0.192.IN-ADDR.arpa").reversed_address() == v4);
  for (std::string_view odd :
       {"in-addr.arpa", "2.0.192.in-addr.arpa", "1.10.2.0.192.in-addr.arpa", "256.2.0.192.in-addr.arpa",
        "010.2.0.192.in-addr.arpa", "x.2.0.192.in-addr.arpa", "1.ip6.arpa", "example.org", "."}) {
    INFO(odd);
    CHECK_FALSE(name(odd).reversed_address());
  }
}

TEST_CASE("compressed names are put together") {
  // At 0 "example"; at 9 "a" and a pointer to 0; at 13 a pointer to 9.
  std::vector<uint8_t> message = bytes({7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 1, 'a', 0xc0, 0, 0xc0, 9, 99});
  size_t after = 0;
  CHECK(read_at(message, 9, &after)->to_string() == "a.example");
  CHECK(after == 13);
  CHECK(read_at(message, 13, &after)->to_string() == "a.example");
  CHECK(after == 15);
}

TEST_CASE("compression that goes round or forward is refused [dns-pointer-loop]") {
  REQUIRE_FALSE(read_at(bytes({0xc0, 4, 0, 0, 1, 'a', 0}), 0));  // forward: first, for what follows would not end
  CHECK_FALSE(read_at(bytes({0xc0, 0}), 0));                     // itself
  CHECK_FALSE(read_at(bytes({0xc0, 2, 0xc0, 0}), 0));            // forward, and back
  CHECK_FALSE(read_at(bytes({0xc0, 2, 0xc0, 0}), 2));            // back, and forward
  CHECK_FALSE(read_at(bytes({1, 'a', 0xc0, 0}), 0));             // its own beginning
}

TEST_CASE("malformed names are refused") {
  CHECK_FALSE(read_at({}, 0));
  CHECK_FALSE(read_at(bytes({3, 'a', 'b'}), 0));  // label past the end
  CHECK_FALSE(read_at(bytes({1, 'a'}), 0));       // no root
  CHECK_FALSE(read_at(bytes({0xc0}), 0));         // half a pointer
  CHECK_FALSE(read_at(bytes({0x40, 0}), 0));      // label types that nobody uses
  CHECK_FALSE(read_at(bytes({0x80, 0}), 0));
  // Pointers that make a name of more than 255 bytes.
  std::vector<uint8_t> message;
  size_t previous = 0;
  for (int i = 0; i < 5; i++) {
    size_t start = message.size();
    message.push_back(63);
    message.insert(message.end(), 63, 'x');
    if (i == 0) message.push_back(0);
    if (i > 0)
      message.insert(message.end(), {static_cast<uint8_t>(0xc0 | previous >> 8), static_cast<uint8_t>(previous)});
    if (i < 3) CHECK(read_at(message, start));
    if (i >= 3) CHECK_FALSE(read_at(message, start));
    previous = start;
  }
}

TEST_CASE("queries are read") {
  std::vector<uint8_t> message = query_bytes(RD | CD);
  std::variant<Query, BadQuery> parsed = parse_query(message);
  const Query *query = std::get_if<Query>(&parsed);
  REQUIRE(query);
  CHECK(query->id == 0x1234);
  CHECK(query->recursion_desired);
  CHECK(query->checking_disabled);
  CHECK_FALSE(query->authentic_data);
  CHECK(query->question.name == name("a.example"));
  CHECK(query->question.is(Type::A));
  CHECK_FALSE(query->edns);
  CHECK(query->udp_limit() == 512);

  std::variant<Query, BadQuery> extended = parse_query(query_bytes(RD, 1, kOpt));
  query = std::get_if<Query>(&extended);
  REQUIRE(query);
  REQUIRE(query->edns);
  CHECK(query->edns->udp_size == 4096);
  CHECK(query->edns->dnssec_ok);
  CHECK(query->udp_limit() == 4096);

  std::vector<uint8_t> small = kOpt;
  small[3] = 0, small[4] = 100;
  std::variant<Query, BadQuery> tiny = parse_query(query_bytes(RD, 1, small));
  CHECK(std::get<Query>(tiny).udp_limit() == 512);  // RFC 6891 section 6.2.3
}

TEST_CASE("what is no query gets the answer that it deserves") {
  auto bad = [](const std::vector<uint8_t> &message) {
    std::variant<Query, BadQuery> parsed = parse_query(message);
    REQUIRE(std::holds_alternative<BadQuery>(parsed));
    return std::get<BadQuery>(parsed);
  };
  CHECK_FALSE(bad({}).answerable);
  CHECK_FALSE(bad(bytes({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})).answerable);
  CHECK_FALSE(bad(query_bytes(QR)).answerable);  // a response: two servers must not talk for ever

  BadQuery update = bad(query_bytes(5 << kOpcodeShift));
  CHECK(update.answerable);
  CHECK(update.code == Code::NotImp);
  CHECK(update.id == 0x1234);

  std::vector<uint8_t> cut = query_bytes();
  cut.pop_back();
  CHECK(bad(cut).code == Code::FormErr);
  CHECK(bad(cut).answerable);
  std::vector<uint8_t> none = query_bytes();
  none[5] = 0;
  CHECK(bad(none).code == Code::FormErr);
  std::vector<uint8_t> two = query_bytes();
  two[5] = 2;
  CHECK(bad(two).code == Code::FormErr);
  std::vector<uint8_t> twice = kOpt;
  twice.insert(twice.end(), kOpt.begin(), kOpt.end());
  CHECK(bad(query_bytes(RD, 2, twice)).code == Code::FormErr);  // RFC 6891 section 6.1.1
  CHECK(bad(query_bytes(RD, 1)).code == Code::FormErr);         // promised and not there

  std::array<uint8_t, 12> refusal = make_refusal(update);
  CHECK(refusal[0] == 0x12);
  CHECK(refusal[2] == (0x80 | 5 << 3));
  CHECK((refusal[3] & 0xf) == 4);
  CHECK(std::all_of(refusal.begin() + 4, refusal.end(), [](uint8_t byte) { return byte == 0; }));
}

TEST_CASE("queries that are made are read back") {
  Query query;
  query.id = 77;
  query.recursion_desired = true;
  query.authentic_data = true;
  query.question = {name("x.example.org"), 65, 1};
  query.edns = Edns{1232, 0, 0, true};
  std::vector<uint8_t> message = make_query(query);
  std::variant<Query, BadQuery> parsed = parse_query(message);
  const Query &read = std::get<Query>(parsed);
  CHECK(read.id == 77);
  CHECK(read.authentic_data);
  CHECK(read.question == query.question);
  REQUIRE(read.edns);
  CHECK(read.edns->udp_size == 1232);
  CHECK(read.edns->dnssec_ok);
}

TEST_CASE("responses are read with their records") {
  Question question{name("a.example"), 1, 1};
  std::vector<uint8_t> message(512);
  ByteWriter writer{MutableBytes(message)};
  write_header(writer, 9, QR | RA | 3, 1, 1, 1, 1);
  write_question(writer, question);
  write_record(writer, question, question.name, Type::CNAME, 60, name("b.example").bytes());
  write_record(writer, question, name("example"), Type::TXT, 30, bytes({1, 'x'}));
  write_opt(writer, {4096, 1, 0, true});
  message.resize(writer.size());

  std::optional<Response> response = parse_response(message);
  REQUIRE(response);
  CHECK(response->code() == Code::NXDomain);
  CHECK(response->question == question);
  REQUIRE(response->answers.size() == 1);
  CHECK(response->answers[0].is(Type::CNAME));
  CHECK(response->answers[0].ttl == 60);
  CHECK(message[response->answers[0].start] == 0xc0);  // the owner is the question's name
  CHECK(response->authorities.size() == 1);
  REQUIRE(response->opt());
  CHECK(read_opt(*response->opt()).extended_code == 1);

  for (size_t size = 0; size < message.size(); size++) {
    INFO(size);
    CHECK_FALSE(parse_response(Bytes(message).first(size)));
  }
  message[2] &= 0x7f;
  CHECK_FALSE(parse_response(message));
}

TEST_CASE("random bytes never lead a reader astray") {
  std::mt19937 random(20240517);
  std::vector<uint8_t> seed = query_bytes(RD, 1, kOpt);
  size_t good = 0;
  for (int i = 0; i < 20000; i++) {
    std::vector<uint8_t> message = seed;
    for (unsigned n = random() % 4; n > 0; n--) message[random() % message.size()] = static_cast<uint8_t>(random());
    message.resize(message.size() - random() % 3);
    std::variant<Query, BadQuery> parsed = parse_query(message);
    if (const Query *query = std::get_if<Query>(&parsed)) {
      good++;
      CHECK(Name::parse(query->question.name.to_string()) == query->question.name);
    }
    message.size() > 2 ? message[2] |= 0x80 : 0;
    if (std::optional<Response> response = parse_response(message)) {
      for (const Record &record : response->additionals) CHECK(record.end() <= message.size());
    }
  }
  CHECK(good > 1000);
}
