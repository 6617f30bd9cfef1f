#include "io/relay.h"

#include <malloc.h>

#include <cerrno>

#include "io/pace.h"
#include "io/stream_pair.h"
#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

// Reads one end of a pair: everything that comes, as far as it may.
struct Reader final : StreamWatcher {
  Reader(Stream &from, bool read) : stream(from), reading(read) { stream.watch(this); }
  void on_readable() override {
    while (reading) {
      Peeked peeked = stream.peek(100000);
      ended |= peeked.end;
      if (peeked.error) error = peeked.error;
      if (peeked.size == 0) return;
      for (const iovec &piece : peeked.pieces) {
        text.append(static_cast<const char *>(piece.iov_base), piece.iov_len);
      }
      stream.consume(peeked.size);
    }
  }
  void on_writable() override {}

  Stream &stream;
  bool reading;
  std::string text;
  bool ended = false;
  int error = 0;
};

size_t put(Stream &stream, std::string_view text) {
  iovec piece{const_cast<char *>(text.data()), text.size()};
  Result<size_t> written = stream.write_some({&piece, 1});
  return written ? *written : 0;
}

// client <-> inside == relay == outside <-> server
struct Joined {
  explicit Joined(Duration idle = minutes(1), size_t capacity = 65536) {
    auto [a, b] = make_stream_pair(loop, capacity);
    auto [c, d] = make_stream_pair(loop, capacity);
    client = std::move(a);
    server = std::move(d);
    test::relay_to(loop, std::move(b), std::move(c), idle, &result);
  }

  Loop loop;
  StreamPtr client, server;
  std::optional<test::Relayed> result;
};

}  // namespace

TEST_CASE("relay: bytes go both ways, each end passes on, and the relay ends when both did") {
  Joined joined;
  Reader client(*joined.client, true), server(*joined.server, true);
  CHECK(put(*joined.client, "request") == 7);
  REQUIRE(test::run_until(joined.loop, [&] { return server.text == "request"; }));
  joined.client->shutdown_write();
  REQUIRE(test::run_until(joined.loop, [&] { return server.ended; }));
  // Half-closed: the other direction is still open.
  CHECK(!joined.result);
  put(*joined.server, "late answer");
  joined.server->shutdown_write();
  REQUIRE(test::run_until(joined.loop, [&] { return joined.result.has_value(); }));
  REQUIRE(test::run_until(joined.loop, [&] { return client.ended; }));
  CHECK(client.text == "late answer");
  CHECK(joined.result->bytes_up == 7);
  CHECK(joined.result->bytes_down == 11);
  CHECK(joined.result->inside_error == 0);
  CHECK(joined.result->outside_error == 0);
}

TEST_CASE("relay: the server may finish first and the client go on sending") {
  Joined joined;
  Reader client(*joined.client, true), server(*joined.server, true);
  joined.server->shutdown_write();
  REQUIRE(test::run_until(joined.loop, [&] { return client.ended; }));
  std::string all(1000000, 'u');
  size_t sent = 0;
  REQUIRE(test::run_until(joined.loop, [&] {
    sent += put(*joined.client, std::string_view(all).substr(sent));
    return sent == all.size();
  }));
  joined.client->shutdown_write();
  REQUIRE(test::run_until(joined.loop, [&] { return joined.result.has_value(); }));
  test::run_ready(joined.loop);
  CHECK(server.text == all);
}

TEST_CASE("relay: who does not read stops who writes, within the buffers") {
  Joined joined;
  Reader server(*joined.server, false);
  std::string piece(10000, 'x');
  size_t sent = 0;
  for (int i = 0; i < 200; i++) {
    sent += put(*joined.client, piece);
    joined.loop.turn(milliseconds(0));
  }
  CHECK(sent == 2 * 65536);
  server.reading = true;
  server.on_readable();
  REQUIRE(test::run_until(joined.loop, [&] { return server.text.size() == sent; }));
}

TEST_CASE("relay: each direction keeps to its pace, and what is left of a turn's share goes in the next") {
  struct Paced final : RelayEnd {
    Paced(Loop &loop, Traffic &counts) : up(loop.timers()), traffic_(counts) {}
    Traffic &traffic() override { return traffic_; }
    Pace *pace(Way way) override { return way == Way::up ? &up : nullptr; }
    size_t share(Way) override { return 1000; }
    void moved(Way, size_t bytes) override { CHECK(bytes <= 1000); }
    void on_relay_end(const RelayResult &) override {}
    Pace up;
    Traffic &traffic_;
  };
  Loop loop;
  Traffic traffic;
  auto [client, b] = make_stream_pair(loop, 1 << 20);
  auto [c, server] = make_stream_pair(loop, 1 << 20);
  auto end = std::make_unique<Paced>(loop, traffic);
  Pace &pace = end->up;
  pace.set_rate(1'000'000);
  relay(loop, std::move(b), std::move(c), minutes(1), std::move(end));
  Reader reader(*server, true), back(*client, true);
  const std::string much(300'000, 'x');
  CHECK(put(*client, much) == much.size());
  CHECK(put(*server, much) == much.size());
  const Time start = loop.now();
  REQUIRE(test::run_until(loop, [&] { return back.text.size() == much.size(); }));
  CHECK(reader.text.size() < much.size());  // the other direction has no limit
  REQUIRE(test::run_until(loop, [&] { return reader.text.size() == much.size(); }));
  CHECK(loop.now() - start > milliseconds(180));  // 300 ms, less the 100 that had gathered
  pace.set_rate(Pace::kNoLimit);
  CHECK(put(*client, much) == much.size());
  REQUIRE(test::run_until(loop, [&] { return reader.text.size() == 2 * much.size(); }));
}

TEST_CASE("relay: a reset on one side is a reset on the other") {
  for (bool from_client : {true, false}) {
    Joined joined;
    Reader client(*joined.client, true), server(*joined.server, true);
    test::run_ready(joined.loop);
    (from_client ? joined.client : joined.server)->abort();
    REQUIRE(test::run_until(joined.loop, [&] { return joined.result.has_value(); }));
    test::run_ready(joined.loop);
    CHECK((from_client ? server : client).error == ECONNRESET);
    CHECK((from_client ? joined.result->inside_error : joined.result->outside_error) == ECONNRESET);
  }
}

TEST_CASE("relay: a reset is passed on even while the other side takes nothing") {
  Joined joined;
  Reader server(*joined.server, false);
  std::string piece(200000, 'x');
  for (int i = 0; i < 20; i++) {
    put(*joined.client, piece);
    joined.loop.turn(milliseconds(0));
  }
  joined.client->abort();
  REQUIRE(test::run_until(joined.loop, [&] { return joined.result.has_value(); }));
  CHECK(joined.result->inside_error == ECONNRESET);
}

TEST_CASE("relay: ends after the idle time, which every byte renews") {
  Joined joined(milliseconds(60));
  Reader client(*joined.client, true), server(*joined.server, true);
  Time begin = BootClock::now();
  int sent = 0;
  Time next = begin;
  REQUIRE(test::run_until(joined.loop, [&] {
    if (sent < 5 && BootClock::now() >= next) {
      sent += static_cast<int>(put(*joined.client, "x"));
      next = BootClock::now() + milliseconds(30);
    }
    return joined.result.has_value();
  }));
  CHECK(sent == 5);
  CHECK(joined.result->idle);
  CHECK(BootClock::now() - begin >= milliseconds(4 * 30 + 60));
  test::run_ready(joined.loop);
  CHECK(server.error == ECONNRESET);
}

TEST_CASE("relay: an idle one takes little memory") {
  struct Idle final : Stream {
    Peeked peek(size_t) override { return {}; }
    void consume(size_t) override {}
    size_t writable() override { return 65536; }
    Result<size_t> write_some(std::span<const iovec>) override { return size_t{0}; }
    void shutdown_write() override {}
    void abort() override {}
    void watch(StreamWatcher *) override {}
  };
  constexpr size_t kRelays = 1000;
  Loop loop;
  std::vector<std::optional<test::Relayed>> results(kRelays);
  std::vector<StreamPtr> streams;
  for (size_t i = 0; i < 2 * kRelays; i++) streams.push_back(std::make_unique<Idle>());
  size_t before = ::mallinfo2().uordblks;
  for (auto &result : results) {
    StreamPtr one = std::move(streams.back());
    streams.pop_back();
    StreamPtr two = std::move(streams.back());
    streams.pop_back();
    test::relay_to(loop, std::move(one), std::move(two), minutes(1), &result);
  }
  test::run_ready(loop);
  size_t each = (::mallinfo2().uordblks - before) / kRelays;
  INFO("bytes per idle relay: " << each);  // 0 under AddressSanitizer, whose heap is another
  CHECK(each < 400);
}

TEST_CASE("relay: many idle ones go with their loop") {
  std::vector<StreamPtr> ends;
  auto loop = std::make_unique<Loop>();
  std::vector<std::optional<test::Relayed>> results(100);
  for (auto &result : results) {
    auto [a, b] = make_stream_pair(*loop);
    auto [c, d] = make_stream_pair(*loop);
    ends.push_back(std::move(a));
    ends.push_back(std::move(d));
    test::relay_to(*loop, std::move(b), std::move(c), minutes(1), &result);
  }
  test::run_ready(*loop);
  ends.clear();
  loop.reset();
  CHECK(ends.empty());
}

}  // namespace slipgate
