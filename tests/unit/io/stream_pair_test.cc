#include "io/stream_pair.h"

#include <cerrno>

#include "support/catch.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

struct Counting final : StreamWatcher {
  void on_readable() override {
    readable++;
    if (then) then();
  }
  void on_writable() override { writable++; }
  int readable = 0, writable = 0;
  std::function<void()> then;
};

iovec piece_of(std::string_view text) {
  return {const_cast<char *>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("stream pair: bounded, in order, and tells both sides") {
  Loop loop;
  auto [one, two] = make_stream_pair(loop, 8);
  Counting reader, writer;
  two->watch(&reader);
  one->watch(&writer);
  iovec pieces[] = {piece_of("hello"), piece_of("world")};
  CHECK(*one->write_some(pieces) == 8);
  CHECK(one->writable() == 0);
  CHECK(*one->write_some(pieces) == 0);
  CHECK(reader.readable == 0);
  test::run_ready(loop);
  CHECK(reader.readable == 1);
  Peeked peeked = two->peek(3);
  CHECK(peeked.size == 3);
  two->consume(3);
  CHECK(one->writable() == 3);
  test::run_ready(loop);
  CHECK(writer.writable == 1);
  peeked = two->peek(100);
  CHECK(std::string(static_cast<const char *>(peeked.pieces[0].iov_base), peeked.size) == "lowor");
}

TEST_CASE("stream pair: the end comes behind the bytes, a reset before them") {
  Loop loop;
  auto [one, two] = make_stream_pair(loop);
  iovec piece = piece_of("last");
  CHECK(*one->write_some({&piece, 1}) == 4);
  one->shutdown_write();
  CHECK(!one->write_some({&piece, 1}));
  CHECK(two->peek(10).size == 4);
  CHECK(!two->peek(10).end);
  two->consume(4);
  CHECK(two->peek(10).end);
  CHECK(*two->write_some({&piece, 1}) == 4);
  two.reset();  // it had not finished writing
  CHECK(one->peek(10).error == ECONNRESET);
  Result<size_t> written = one->write_some({&piece, 1});
  REQUIRE(!written);
}

TEST_CASE("stream pair: finished both ways, it may go while the other side still reads") {
  Loop loop;
  auto [one, two] = make_stream_pair(loop);
  iovec piece = piece_of("tail");
  two->shutdown_write();
  CHECK(one->peek(1).end);
  CHECK(*one->write_some({&piece, 1}) == 4);
  one->shutdown_write();
  one.reset();
  CHECK(two->peek(10).size == 4);
  two->consume(4);
  CHECK(two->peek(10).end);
}

TEST_CASE("stream pair: the watcher may destroy the stream") {
  Loop loop;
  auto [one, two] = make_stream_pair(loop);
  Counting watcher;
  StreamPtr &end = two;
  watcher.then = [&end] { end.reset(); };
  two->watch(&watcher);
  one->abort();
  test::run_ready(loop);
  CHECK(watcher.readable == 1);
  CHECK(watcher.writable == 0);
}

}  // namespace slipgate
