#include "dns/serve_stream.h"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>

#include "fake_upstream.h"
#include "io/stream_pair.h"

using namespace slipgate;
using namespace slipgate::dns;

namespace {

struct StreamTest : ServerTest {
  StreamTest() {
    auto [ours, theirs] = make_stream_pair(loop);
    client = std::move(ours);
    asio::co_spawn(loop.context(), serve_stream(loop, server(), std::move(theirs), 1),
                   [this](std::exception_ptr failure) {
                     CHECK_FALSE(failure);
                     ended = true;
                   });
  }
  ~StreamTest() { loop.abandon(); }

  void send(Bytes bytes) {
    iovec piece{const_cast<uint8_t *>(bytes.data()), bytes.size()};
    Result<size_t> taken = client->write_some({&piece, 1});
    REQUIRE(taken);
    REQUIRE(*taken == bytes.size());
  }
  static std::vector<uint8_t> framed(const std::vector<uint8_t> &message) {
    std::vector<uint8_t> frame{static_cast<uint8_t>(message.size() >> 8), static_cast<uint8_t>(message.size())};
    frame.insert(frame.end(), message.begin(), message.end());
    return frame;
  }
  // What has come: true when something did.
  bool take() {
    Peeked peeked = client->peek(65536);
    for (const iovec &piece : peeked.pieces) {
      const uint8_t *bytes = static_cast<const uint8_t *>(piece.iov_base);
      received.insert(received.end(), bytes, bytes + piece.iov_len);
    }
    client->consume(peeked.size);
    closed = closed || peeked.end || peeked.error;
    failed = failed || peeked.error;
    return peeked.size > 0;
  }
  std::vector<uint8_t> next_answer() {
    auto whole = [&] {
      if (client) take();
      return received.size() >= 2 && received.size() >= 2 + (static_cast<size_t>(received[0]) << 8 | received[1]);
    };
    REQUIRE(turn_until(loop, whole));
    size_t size = static_cast<size_t>(received[0]) << 8 | received[1];
    std::vector<uint8_t> message(received.begin() + 2, received.begin() + 2 + static_cast<ptrdiff_t>(size));
    received.erase(received.begin(), received.begin() + 2 + static_cast<ptrdiff_t>(size));
    return message;
  }

  StreamPtr client;
  std::vector<uint8_t> received;
  bool ended = false, closed = false, failed = false;
};

}  // namespace

TEST_CASE("questions on a stream are answered, also one after the other") {
  StreamTest test;
  test.send(StreamTest::framed(make_query(ServerTest::question("box.example", Type::A, 1))));
  CHECK(parse_response(test.next_answer())->id == 1);
  test.send(StreamTest::framed(make_query(ServerTest::question("box.example", Type::AAAA, 2))));
  CHECK(parse_response(test.next_answer())->id == 2);

  // The client's end: ours follows.
  test.client->shutdown_write();
  REQUIRE(turn_until(test.loop, [&] { return test.take() || (test.closed && test.ended); }));
  CHECK(test.closed);
  CHECK_FALSE(test.failed);
}

TEST_CASE("a question may come byte by byte") {
  StreamTest test;
  for (uint8_t byte : StreamTest::framed(make_query(ServerTest::question("box.example", Type::A, 3)))) {
    test.send({&byte, 1});
    test.loop.turn(milliseconds(1));
  }
  CHECK(parse_response(test.next_answer())->id == 3);
}

TEST_CASE("a slow answer does not hold up the next, and the end waits for it") {
  StreamTest test;
  bool slow_asked = false;
  test.upstream.handle([&](const Query &query, bool) {
    bool slow = query.question.name == *Name::parse("slow.example");
    bool first = slow && !slow_asked;
    slow_asked = slow_asked || slow;
    // Silence at first: c-ares asks again after its timeout.
    return first ? std::vector<uint8_t>() : Made(query).address("192.0.2.1").bytes();
  });
  std::vector<uint8_t> both = StreamTest::framed(make_query(ServerTest::question("slow.example", Type::A, 1)));
  std::vector<uint8_t> second = StreamTest::framed(make_query(ServerTest::question("fast.example", Type::A, 2)));
  both.insert(both.end(), second.begin(), second.end());
  test.send(both);
  test.client->shutdown_write();
  CHECK(parse_response(test.next_answer())->id == 2);
  CHECK(parse_response(test.next_answer())->id == 1);
  REQUIRE(turn_until(test.loop, [&] { return test.take() || (test.closed && test.ended); }));
  CHECK_FALSE(test.failed);
}

TEST_CASE("questions under way on one stream are bounded, and all are answered [dns-pipeline-bounded]") {
  StreamTest test;
  bool silent = true;
  test.upstream.handle([&](const Query &query, bool) {
    return silent ? std::vector<uint8_t>() : Made(query).address("192.0.2.1").bytes();
  });
  for (uint16_t i = 0; i < 100; i++) {
    test.send(StreamTest::framed(make_query(ServerTest::question("n" + std::to_string(i) + ".example", Type::A, i))));
  }
  REQUIRE(turn_until(test.loop, [&] { return test.upstream.queries.size() >= kMostPipelined; }));
  CHECK(test.server().in_flight() == kMostPipelined);
  silent = false;
  std::vector<bool> answered(100);
  for (int i = 0; i < 100; i++) {
    uint16_t id = parse_response(test.next_answer())->id;
    REQUIRE(id < 100);
    CHECK_FALSE(answered[id]);
    answered[id] = true;
  }
}

TEST_CASE("an answer of 60 kB comes whole") {
  StreamTest test;
  std::vector<uint8_t> data(60000, 7);
  test.upstream.handle([&](const Query &query, bool tcp) {
    if (!tcp) return Made(query, Code::NoError, TC).bytes();
    return Made(query).answer(query.question.name, Type::TXT, 60, data).bytes();
  });
  test.send(StreamTest::framed(make_query(ServerTest::question("large.example", Type::TXT))));
  std::vector<uint8_t> message = test.next_answer();
  std::optional<Response> response = parse_response(message);
  REQUIRE(response);
  REQUIRE(response->answers.size() == 1);
  CHECK(response->answers[0].data_size == 60000);
}

TEST_CASE("who does not speak DNS is cut off") {
  StreamTest test;
  test.send(StreamTest::framed({'G', 'E', 'T', ' '}));
  REQUIRE(turn_until(test.loop, [&] { return test.ended; }));
  test.take();
  CHECK(test.closed);
}

TEST_CASE("a client that goes while its question waits is forgotten") {
  StreamTest test;
  test.send(StreamTest::framed(make_query(ServerTest::question("www.example", Type::A))));
  REQUIRE(turn_until(test.loop, [&] { return test.server().in_flight() == 1; }));
  test.client.reset();
  REQUIRE(turn_until(test.loop, [&] { return test.ended; }));
  REQUIRE(turn_until(test.loop, [&] { return test.server().in_flight() == 0; }));
}

TEST_CASE("streams of one client are bounded, others are served [dns-streams-bounded]") {
  StreamTest test;
  Server &server = test.server();
  for (size_t i = 0; i < Server::kMostStreamsPerClient; i++) REQUIRE(server.begin_stream(2));
  CHECK_FALSE(server.begin_stream(2));
  CHECK(server.begin_stream(3));
  server.end_stream(2);
  CHECK(server.begin_stream(2));

  auto [ours, theirs] = make_stream_pair(test.loop);
  bool ended = false;
  asio::co_spawn(test.loop.context(), serve_stream(test.loop, server, std::move(theirs), 2),
                 [&](std::exception_ptr) { ended = true; });
  REQUIRE(turn_until(test.loop, [&] { return ended; }));
}
