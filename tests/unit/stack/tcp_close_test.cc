// How connections end: FIN either way, RST, and what is left behind.
#include <cerrno>

#include "unit/stack/harness.h"

using namespace slipgate;
using namespace slipgate::stack_test;

namespace {

// The client's FIN; our acknowledgment is taken.
void client_fin(Harness &h) {
  h.send({.flags = FIN | ACK, .sequence = h.ours, .acknowledgment = h.theirs});
  h.ours++;
}

}  // namespace

TEST_CASE("the client ends first, and goes on reading") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.open();
    h.send(h.data("last words"));
    client_fin(h);
    CHECK(h.read() == "last words");
    CHECK(h.stream->peek(1).end);
    h.all();
    h.pass(milliseconds(20));  // no FIN of ours that would have said it
    CHECK(h.next().tcp().acknowledgment == h.ours);
    h.pass(minutes(10));  // half-closed, for as long as it takes
    CHECK(h.quiet());
    CHECK(h.write("answer") == 6);
    Sent answer = h.next();
    CHECK(answer.payload() == "answer");
    h.stream->shutdown_write();
    Sent fin = h.next();
    CHECK((fin.tcp().flags & FIN));
    h.stream.reset();
    h.send({.sequence = h.ours, .acknowledgment = fin.tcp().sequence + 1});
    CHECK(h.stack.connections() == 0);
    CHECK(h.quiet());
  }
}

TEST_CASE("we end first, and the client goes on sending") {
  Harness h;
  h.open();
  h.write("bye");
  h.stream->shutdown_write();
  std::vector<Sent> sent = h.all();
  REQUIRE_FALSE(sent.empty());
  CHECK((sent.back().tcp().flags & FIN));
  CHECK(h.write_error() == EPIPE);
  h.theirs += 4;
  h.send({.sequence = h.ours, .acknowledgment = h.theirs});
  h.pass(minutes(10));
  h.all();
  std::string got;
  for (int i = 0; i < 1000; i++) {
    h.send(h.data(std::string(1000, 'x')));
    got += h.read();
    h.all();
  }
  CHECK(got.size() == 1'000'000);
  client_fin(h);
  CHECK(h.next().tcp().acknowledgment.value() == h.ours);
  CHECK(h.stream->peek(1).end);
  h.stream.reset();
  CHECK(h.stack.connections() == 1);  // TIME_WAIT
  h.pass(seconds(10));
  CHECK(h.stack.connections() == 0);
  CHECK(h.wheel.armed() == 0);
  CHECK(h.quiet());
}

TEST_CASE("FIN comes behind all the data, windows permitting") {
  Harness h;
  h.open(Harness::usual_options(), 20);  // 20 << 7 bytes
  h.write(std::string(10'000, 'x'));
  h.stream->shutdown_write();
  size_t got = 0;
  bool fin = false;
  for (int turn = 0; turn < 100 && !fin; turn++) {
    for (const Sent &one : h.all()) {
      CHECK_FALSE(fin);
      got += one.payload().size();
      fin = one.tcp().flags & FIN;
      h.theirs = one.tcp().sequence + static_cast<uint32_t>(one.payload().size()) + (fin ? 1 : 0);
    }
    h.send({.sequence = h.ours, .acknowledgment = h.theirs, .window = 20});
  }
  CHECK(fin);
  CHECK(got == 10'000);
}

TEST_CASE("both end at once [tcp-simultaneous-close]") {
  Harness h;
  h.open();
  h.stream->shutdown_write();
  Sent fin = h.next();
  client_fin(h);  // does not acknowledge ours yet
  CHECK(h.next().tcp().acknowledgment.value() == h.ours);
  CHECK(h.stream->peek(1).end);
  h.stream.reset();
  h.send({.sequence = h.ours, .acknowledgment = fin.tcp().sequence + 1});
  h.pass(seconds(10));
  CHECK(h.stack.connections() == 0);
}

TEST_CASE("a lost FIN is sent again") {
  Harness h;
  h.open();
  h.stream->shutdown_write();
  h.all();
  h.pass(seconds(3));
  std::vector<Sent> again = h.all();
  REQUIRE_FALSE(again.empty());
  CHECK((again[0].tcp().flags & FIN));
}

TEST_CASE("the client's RST is an error, behind the bytes that came before it") {
  Harness h;
  h.open();
  h.send(h.data("last"));
  h.send({.flags = RST | ACK, .sequence = h.ours, .acknowledgment = h.theirs});
  CHECK(h.stack.connections() == 0);
  CHECK(h.write_error() == ECONNRESET);
  CHECK(h.read() == "last");
  CHECK(h.stream->peek(1).error == ECONNRESET);
  h.all();
  h.stream.reset();
  CHECK(h.quiet());
}

TEST_CASE("an RST counts only where it belongs [tcp-reset-in-window-only]") {
  Harness h;
  h.open();
  h.send({.flags = RST, .sequence = h.ours + 1'000'000});
  h.send({.flags = RST, .sequence = h.ours - 1});
  h.send({.flags = RST, .sequence = h.ours + 100});  // in the window but not exact: RFC 5961 asks again
  CHECK(h.stack.connections() == 1);
  CHECK(h.all().size() == 1);
  h.send(h.data("alive"));
  CHECK(h.read() == "alive");
  h.send({.flags = RST, .sequence = h.ours});
  CHECK(h.stack.connections() == 0);
}

TEST_CASE("abort and an unfinished stream's destruction are RST") {
  for (bool by_abort : {true, false}) {
    Harness h;
    h.open();
    h.write("half a");
    h.all();
    if (by_abort) h.stream->abort();
    h.stream.reset();
    Sent rst = h.next();
    CHECK((rst.tcp().flags & RST));
    CHECK(rst.tcp().sequence.value() == h.theirs + 6);
    CHECK(h.quiet());
    CHECK(h.stack.connections() == 0);
    CHECK(h.wheel.armed() == 0);
  }
}

TEST_CASE("a stream that was read to the end but not finished is reset") {
  Harness h;
  h.open();
  client_fin(h);
  h.all();
  h.stream.reset();
  CHECK((h.next().tcp().flags & RST));
}

TEST_CASE("a finished stream may go: data and FIN follow, and are repeated") {
  Harness h;
  h.open();
  client_fin(h);
  CHECK(h.stream->peek(1).end);
  h.write("the rest");
  h.stream->shutdown_write();
  h.stream.reset();
  std::vector<Sent> sent = h.all();
  std::string text;
  for (const Sent &one : sent) {
    if (one.tcp().flags & RST) FAIL("reset");
    text += one.payload();
  }
  CHECK(text == "the rest");
  h.pass(seconds(3));
  CHECK_FALSE(h.all().empty());
  h.send({.sequence = h.ours, .acknowledgment = h.theirs + 9});
  CHECK(h.stack.connections() == 0);
}

TEST_CASE("a finished stream whose client is silent does not stay for ever [tcp-orphan-bounded]") {
  Harness h;
  h.open();
  client_fin(h);
  h.write("the rest");
  h.stream->shutdown_write();
  h.stream.reset();
  h.pass(seconds(60));
  CHECK(h.stack.connections() == 0);
  CHECK(h.wheel.armed() == 0);

  // With a closed window and much to send lwIP does not even know of our FIN, and would ask for minutes.
  Harness closed;
  closed.open();
  closed.send({.flags = FIN | ACK, .sequence = closed.ours, .acknowledgment = closed.theirs, .window = 0});
  closed.write(std::string(20'000, 'x'));
  closed.stream->shutdown_write();
  closed.stream.reset();
  closed.pass(seconds(60));
  CHECK(closed.stack.connections() == 0);
}

TEST_CASE("a finished stream whose client takes a byte now and then does not stay for ever [tcp-orphan-bounded]") {
  Harness h;
  h.open();
  client_fin(h);
  h.write(std::string(20'000, 'x'));
  h.stream->shutdown_write();
  h.stream.reset();
  int steps = 0;
  for (; h.stack.connections() > 0 && steps < 1000; steps++) {
    h.all();
    h.theirs++;
    h.send({.sequence = h.ours, .acknowledgment = h.theirs});
    h.pass(seconds(20));
  }
  CHECK(steps > 80);   // not at once
  CHECK(steps < 100);  // half an hour
}

TEST_CASE("a client has so many finished streams and no more [tcp-orphans-per-client]") {
  Harness h;
  constexpr int kMost = 4096;
  for (int i = 0; i <= kMost; i++) {
    h.key.inside.port = static_cast<uint16_t>(10'000 + i);
    h.open();
    client_fin(h);
    h.write("the rest");
    h.stream->shutdown_write();
    h.stream.reset();
    h.all();
  }
  CHECK(h.stack.connections() == kMost);
}

TEST_CASE("SYN-ACKs that nobody answers end") {
  Harness h;
  h.send({.flags = SYN, .sequence = 1000});
  h.stream = h.request->accept();
  h.pass(minutes(10));
  CHECK(h.stack.connections() == 0);
  CHECK(h.stream->peek(1).error == ETIMEDOUT);
}

TEST_CASE("a port in TIME_WAIT may be used at once [tcp-time-wait-reuse]") {
  Harness h;
  h.open();
  h.stream->shutdown_write();
  h.all();
  h.theirs++;
  client_fin(h);
  h.all();
  h.stream.reset();
  REQUIRE(h.stack.connections() == 1);
  h.send({.flags = SYN, .sequence = 90'000});
  REQUIRE(h.request);
  h.stream = h.request->accept();
  CHECK(h.next().tcp().acknowledgment.value() == 90'001);
  CHECK(h.stack.connections() == 1);
}

TEST_CASE("TIME_WAIT answers a repeated FIN, ignores RST, and is bounded [tcp-time-wait-bounded]") {
  Harness h;
  auto to_time_wait = [&] {
    h.open();
    h.stream->shutdown_write();
    h.all();
    h.theirs++;
    client_fin(h);
    h.all();
    h.stream.reset();
  };
  to_time_wait();
  h.send({.flags = FIN | ACK, .sequence = h.ours - 1, .acknowledgment = h.theirs});
  CHECK(h.next().tcp().acknowledgment.value() == h.ours);
  h.send({.flags = RST, .sequence = h.ours});
  CHECK(h.stack.connections() == 1);
  for (int i = 0; i < 20'000; i++) {
    h.key.inside.port = static_cast<uint16_t>(i + 1);
    h.key.outside.port = static_cast<uint16_t>(81 + i / 60'000);
    to_time_wait();
  }
  CHECK(h.stack.connections() <= 16'384);
  h.pass(seconds(10));
  CHECK(h.stack.connections() == 0);
}

TEST_CASE("a SYN for a standing connection is challenged [tcp-syn-challenged]") {
  Harness h;
  h.open();
  h.send({.flags = SYN, .sequence = 77'000});
  Sent challenge = h.next();
  CHECK(challenge.tcp().flags == ACK);
  CHECK(challenge.tcp().acknowledgment.value() == h.ours);
  // A client that has forgotten the connection answers with RST; its next SYN opens a new one.
  h.send({.flags = RST, .sequence = h.ours});
  h.send({.flags = SYN, .sequence = 77'000});
  CHECK(h.requests == 2);
}

TEST_CASE("a watcher may destroy its stream from within a call") {
  struct Killer final : StreamWatcher {
    StreamPtr stream;
    void on_readable() override { stream.reset(); }
    void on_writable() override { stream.reset(); }
  };
  Harness h;
  h.open();
  Killer killer;
  killer.stream = std::move(h.stream);
  killer.stream->watch(&killer);
  h.send(h.data("now"));
  CHECK_FALSE(killer.stream);
  CHECK(h.stack.connections() == 0);
  CHECK_FALSE(h.all().empty());
}
