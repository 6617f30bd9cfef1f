// Bytes both ways: acknowledgments, windows, merging, what is out of order.
#include <algorithm>
#include <cerrno>

#include "unit/stack/harness.h"

using namespace slipgate;
using namespace slipgate::stack_test;

namespace {

struct Watcher final : StreamWatcher {
  int readable = 0;
  int writable = 0;
  void on_readable() override { readable++; }
  void on_writable() override { writable++; }
};

}  // namespace

TEST_CASE("data in, one acknowledgment for a batch") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.open();
    Watcher watcher;
    h.stream->watch(&watcher);
    std::vector<Segment> batch;
    for (int i = 0; i < 10; i++) batch.push_back(h.data(std::string(1000, static_cast<char>('a' + i)), ACK));
    h.send(batch);
    CHECK(watcher.readable > 0);
    Sent ack = h.next();
    CHECK(ack.tcp().flags == ACK);
    CHECK(ack.tcp().acknowledgment.value() == h.ours);
    CHECK(h.quiet());
    std::string got = h.read();
    REQUIRE(got.size() == 10'000);
    for (int i = 0; i < 10; i++) CHECK(got[static_cast<size_t>(i) * 1000] == 'a' + i);
  }
}

TEST_CASE("what a link proved authentic is taken without its checksum [stack-authentic-not-summed]") {
  Harness h;
  h.open();
  Segment segment = h.data("hello");
  segment.spoil_checksum = true;
  Packet packet = h.make(segment);
  packet.authentic = true;
  h.input(std::move(packet));
  CHECK(h.read() == "hello");
  CHECK(h.counters.dropped(DropReason::bad_checksum) == 0);
}

TEST_CASE("a bad checksum is dropped and counted [tcp-checksum-verified]") {
  Harness h;
  h.open();
  Segment segment = h.data("hello");
  segment.spoil_checksum = true;
  h.send(segment);
  CHECK(h.read().empty());
  CHECK(h.counters.dropped(DropReason::bad_checksum) == 1);
  segment.spoil_checksum = false;
  h.send(segment);
  CHECK(h.read() == "hello");
}

TEST_CASE("ten segments before the first acknowledgment [tcp-initial-window-ten]") {
  Harness h;
  h.open();
  std::string text(100'000, 'x');
  CHECK(h.write(text) > 30'000);
  std::vector<Sent> sent = h.all();
  REQUIRE(sent.size() == 10);
  for (const Sent &one : sent) CHECK(one.payload().size() == 1380);
  CHECK(h.quiet());
}

TEST_CASE("segments fit the client's MSS and the link's MTU") {
  Harness h;
  h.open({2, 4, 2, 24});  // MSS 536
  h.write(std::string(3000, 'x'));
  for (const Sent &one : h.all()) CHECK(one.payload().size() <= 536);
  Harness small(true, {.mtu = 1000});
  small.open({2, 4, 5, 180});
  small.write(std::string(3000, 'x'));
  std::vector<Sent> sent = small.all();
  CHECK(sent.size() == 4);
  for (const Sent &one : sent) CHECK(one.packet.size() <= 1000);
}

TEST_CASE("an MSS option behind the handshake changes nothing [stack-mss-of-the-handshake]") {
  Harness h;
  h.open({2, 4, 5, 100});  // MSS 1380
  Segment late = h.data("x");
  late.options = {2, 4, 0x64, 1};  // MSS 25601
  h.send(late);
  CHECK(h.read() == "x");
  h.all();
  h.write(std::string(5000, 'x'));
  std::vector<Sent> sent = h.all();
  CHECK(sent.size() == 4);
  for (const Sent &one : sent) CHECK(one.packet.size() <= 1420);
}

TEST_CASE("a small write leaves at once, behind unacknowledged ones too") {
  Harness h;
  h.open();
  h.write("one");
  Sent first = h.next();
  CHECK(first.payload() == "one");
  CHECK((first.tcp().flags & PSH));
  h.write("two");
  CHECK(h.next().payload() == "two");
}

TEST_CASE("writes are bounded by the buffer, and the writer is told when there is room") {
  Harness h;
  h.open();
  Watcher watcher;
  h.stream->watch(&watcher);
  std::string block(16'384, 'x');
  size_t total = 0;
  while (size_t count = h.write(block)) total += count;
  CHECK(total >= 64 * 1024);
  CHECK(total <= StackConfig().tcp_buffer_size);
  CHECK(h.stream->writable() == 0);
  for (int turn = 0; turn < 20; turn++) {
    for (const Sent &one : h.all()) h.theirs = one.tcp().sequence + static_cast<uint32_t>(one.payload().size());
    h.send({.sequence = h.ours, .acknowledgment = h.theirs});
  }
  CHECK(watcher.writable > 0);
  CHECK(h.stream->writable() > 0);
}

TEST_CASE("a send buffer smaller than a segment is sent all the same [tcp-small-buffer-sends]") {
  StackConfig config;
  config.tcp_buffer_size = 1024;
  Harness h(true, config);
  h.open();
  for (int i = 0; i < 3; i++) {
    CHECK(h.write(std::string(2000, 'x')) == 1024);
    Sent one = h.next();
    CHECK(one.payload().size() == 1024);
    h.theirs = one.tcp().sequence + 1024;
    h.send({.sequence = h.ours, .acknowledgment = h.theirs});
  }
}

TEST_CASE("bytes that nobody reads close the window and are not lost [tcp-unread-bytes-withhold-window]") {
  Harness h;
  h.open();
  size_t sent_bytes = 0;
  for (int i = 0; i < 100; i++) {
    h.send(h.data(std::string(1000, 'x')));
    h.pass(milliseconds(25));  // less than a segment: its acknowledgment may wait
    std::vector<Sent> answers = h.all();
    REQUIRE_FALSE(answers.empty());
    const TcpHeader &ack = answers.back().tcp();
    uint32_t edge = ack.acknowledgment + (uint32_t{ack.window} << 7);
    CHECK(edge - 1001 <= 65'535 + 127);  // does not grow while nothing is read
    if (ack.acknowledgment.value() != h.ours) break;
    sent_bytes += 1000;
  }
  CHECK(sent_bytes >= 60'000);
  CHECK(sent_bytes <= 66'000);
  CHECK(h.read().size() >= sent_bytes);
  // Reading opens it again, and says so unasked.
  Sent update = h.next();
  CHECK(update.tcp().flags == ACK);
  CHECK((uint32_t{update.tcp().window} << 7) >= 60'000);
}

TEST_CASE("a request's acknowledgment goes with its answer, or alone a little later") {
  Harness h;
  h.open();
  h.send(h.data("ping"));
  CHECK(h.all().empty());
  h.write("pong");
  h.stack.flush();
  std::vector<Sent> answer = h.all();
  REQUIRE(answer.size() == 1);
  CHECK(answer[0].tcp().acknowledgment.value() == h.ours);
  h.pass(milliseconds(50));
  CHECK(h.all().empty());  // said once

  h.send(h.data("no answer"));
  CHECK(h.all().empty());
  h.pass(milliseconds(25));
  std::vector<Sent> alone = h.all();
  REQUIRE(alone.size() == 1);
  CHECK(alone[0].tcp().acknowledgment.value() == h.ours);
}

TEST_CASE("the receive window grows for a fast reader, up to the buffer size") {
  StackConfig config;
  config.tcp_buffer_size = 1 << 20;
  Harness h(true, config);
  h.open();
  uint32_t window = 0;
  for (int i = 0; i < 3000; i++) {
    h.send(h.data(std::string(1380, 'x')));
    h.read();
    for (const Sent &one : h.all()) window = uint32_t{one.tcp().window} << 7;
    if (i % 10 == 0) h.pass(milliseconds(1));
  }
  CHECK(window > 900'000);
  CHECK(window <= 1 << 20);
}

TEST_CASE("without window scaling the window stays within 65535") {
  Harness h;
  h.open({2, 4, 5, 100});
  for (int i = 0; i < 500; i++) {
    h.send(h.data(std::string(1380, 'x')));
    h.read();
  }
  for (const Sent &one : h.all()) CHECK(one.tcp().acknowledgment.value() <= h.ours);
  h.send(h.data("end"));
  CHECK(h.read() == "end");
}

TEST_CASE("out of order, then whole; SACK says what is there") {
  Harness h;
  h.open();
  Segment a = h.data("aaaa"), b = h.data("bbbb"), c = h.data("cccc");
  h.send(b);
  Sent first = h.next();
  CHECK(first.tcp().acknowledgment.value() == a.sequence);
  REQUIRE(first.options().sack().size() == 1);
  CHECK(first.options().sack()[0] == SackBlock{b.sequence, c.sequence});
  h.send(c);
  CHECK(h.next().options().sack()[0] == SackBlock{b.sequence, h.ours});
  CHECK(h.read().empty());
  h.send(a);
  CHECK(h.read() == "aaaabbbbcccc");
  CHECK(h.next().tcp().acknowledgment.value() == h.ours);
}

TEST_CASE("out-of-order data of one flow is bounded [tcp-out-of-order-bounded]") {
  Harness h;
  h.open();
  // Holes everywhere: the window is the bound, and what is beyond it is not kept.
  size_t before = h.input_pool.alive();
  for (uint32_t i = 0; i < 5000; i++) {
    h.send({.sequence = h.ours + 100 + i * 200, .acknowledgment = h.theirs, .payload = std::string(100, 'x')});
    h.all();
  }
  CHECK(h.input_pool.alive() - before <= 700);
  h.send({.flags = RST, .sequence = h.ours});
  CHECK(h.input_pool.alive() == before);
}

TEST_CASE("a small segment does not hold a large buffer past the turn [tcp-held-small-copied]") {
  Harness h;
  h.open();
  BufferPool large(65536, 64, 0);
  auto in_large = [&](const Segment &segment) {
    Packet small = h.make(segment);
    Packet packet = large.allocate(small.size());
    std::copy(small.data(), small.data() + small.size(), packet.data());
    packet.client = 1;
    h.input(std::move(packet));
  };
  in_large(h.data("tiny"));
  CHECK(large.alive() == 1);
  h.stack.flush();
  CHECK(large.alive() == 0);
  // Out of order, too.
  Segment hole = h.data("hole");
  in_large(h.data("behind it"));
  CHECK(large.alive() == 1);
  h.stack.flush();
  CHECK(large.alive() == 0);
  in_large(hole);
  h.stack.flush();
  CHECK(h.read() == "tinyholebehind it");
}

TEST_CASE("a keepalive probe of an old sequence number is answered [tcp-keepalive-answered]") {
  Harness h;
  h.open();
  h.send(h.data("x"));
  h.read();
  h.all();
  h.send({.sequence = h.ours - 1, .acknowledgment = h.theirs});
  CHECK(h.next().tcp().acknowledgment.value() == h.ours);
  h.send({.sequence = h.ours - 1, .acknowledgment = h.theirs, .payload = "x"});
  CHECK(h.next().tcp().acknowledgment.value() == h.ours);
  CHECK(h.read().empty());
}

TEST_CASE("the urgent pointer is not followed [tcp-urgent-pointer-ignored]") {
  Harness h;
  h.open();
  Segment segment = h.data("urgent", ACK | PSH | URG);
  for (int pointer : {3, 6, 7, 60'000, 65'535}) {
    segment.urgent = static_cast<uint16_t>(pointer);
    h.send(segment);
    CHECK(h.read() == "urgent");
    segment.sequence = h.ours;
    h.ours += 6;
  }
}

TEST_CASE("SACK blocks that lie change nothing [tcp-sack-lies]") {
  Harness h;
  h.open();
  h.write(std::string(5 * 1380, 'x'));
  std::vector<Sent> sent = h.all();
  REQUIRE(sent.size() == 5);
  auto number = [](std::vector<uint8_t> &to, uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) to.push_back(static_cast<uint8_t>(value >> shift));
  };
  uint32_t lies[][2] = {{h.theirs + 100'000, h.theirs + 200'000},
                        {h.theirs - 5000, h.theirs - 1000},
                        {h.theirs + 2000, h.theirs + 1000},
                        {0, 0xffffffff},
                        {h.theirs, h.theirs + 5 * 1380}};
  for (auto &lie : lies) {
    std::vector<uint8_t> options{1, 1, 5, 10};
    number(options, lie[0]);
    number(options, lie[1]);
    h.send({.sequence = h.ours, .acknowledgment = h.theirs, .options = options});
  }
  h.all();
  // Everything is still delivered: unacknowledged bytes are sent again in the end.
  h.pass(seconds(10));
  CHECK_FALSE(h.all().empty());
  h.send({.sequence = h.ours, .acknowledgment = h.theirs + 5 * 1380});
  h.pass(seconds(10));
  CHECK(h.quiet());
}

TEST_CASE("an acknowledgment of what was never sent is answered, not believed") {
  Harness h;
  h.open();
  h.write("hello");
  h.all();
  h.send({.sequence = h.ours, .acknowledgment = h.theirs + 100'000});
  CHECK(h.next().tcp().acknowledgment.value() == h.ours);
  h.pass(seconds(5));
  CHECK_FALSE(h.all().empty());  // still waits for the real one
}

TEST_CASE("a window that shrinks to nothing is probed, and sending goes on when it opens [tcp-window-shrinks]") {
  Harness h;
  h.open();
  h.write(std::string(3000, 'x'));
  h.all();
  h.send({.sequence = h.ours, .acknowledgment = h.theirs + 3000, .window = 0});
  h.theirs += 3000;
  h.write("behind a closed window");
  CHECK(h.quiet());
  h.pass(seconds(20));
  std::vector<Sent> probes = h.all();
  CHECK(probes.size() >= 3);
  CHECK(probes.size() < 40);
  for (const Sent &probe : probes) CHECK(probe.payload().size() <= 1);
  h.send({.sequence = h.ours, .acknowledgment = h.theirs, .window = 65535});
  CHECK(h.next().payload() == "behind a closed window");
}

TEST_CASE(
    "a window closed over what is in flight is asked for as long as the peer answers [closed-window-is-patience]") {
  Harness h;
  h.open();
  h.write(std::string(3000, 'x'));
  REQUIRE(h.all().size() == 3);
  // RFC 9293 section 3.8.6.1: far more than the twelve that nobody answers.
  for (int i = 0; i < 40; i++) {
    h.pass(seconds(61));
    REQUIRE_FALSE(h.all().empty());
    h.send({.sequence = h.ours, .acknowledgment = h.theirs, .window = 0});
    h.all();
  }
  CHECK(h.write_error() == 0);
  // Open again: not a minute later, which the timer had come to.
  h.send({.sequence = h.ours, .acknowledgment = h.theirs, .window = 65535});
  h.pass(milliseconds(1100));
  std::vector<Sent> again = h.all();
  CHECK(std::any_of(again.begin(), again.end(),
                    [&](const Sent &one) { return one.tcp().sequence == h.theirs && one.payload().size() == 1380; }));
  // And one that has gone silent is given up as ever.
  h.pass(minutes(15));
  CHECK(h.write_error() == ETIMEDOUT);
}

TEST_CASE("RFC 2883 section 4: what came twice is the first block of one acknowledgment [duplicates-reported]") {
  Harness h;
  h.open();
  Segment a = h.data(std::string(1000, 'a')), b = h.data(std::string(1000, 'b'));
  h.send({a, b});
  CHECK(h.next().options().sack().empty());
  auto report = [&] {
    Sent answer = h.next();
    CHECK(answer.tcp().acknowledgment.value() == b.sequence + 1000);
    CHECK(answer.payload().empty());
    const TcpOptions options = answer.options();
    return std::vector<SackBlock>(options.sack().begin(), options.sack().end());
  };
  SECTION("below the acknowledgment, once (4.1.1)") {
    h.send(a);
    CHECK(report() == std::vector<SackBlock>{{a.sequence, b.sequence}});
    CHECK(h.quiet());
    h.send(h.data("c"));
    h.pass(milliseconds(30));
    CHECK(h.next().options().sack().empty());
  }
  SECTION("a repetition of two is one range, two apart are two acknowledgments") {
    h.send({a, b});
    CHECK(report() == std::vector<SackBlock>{{a.sequence, b.sequence + 1000}});
    CHECK(h.quiet());
    h.send({b, a});
    CHECK(report() == std::vector<SackBlock>{{b.sequence, b.sequence + 1000}});
    CHECK(report() == std::vector<SackBlock>{{a.sequence, b.sequence}});
    CHECK(h.quiet());
  }
  SECTION("before what is held out of order, and within it (4.1.2, 4.1.3)") {
    h.data("lost");
    Segment behind = h.data(std::string(1000, 'd'));
    const SackBlock held{behind.sequence, behind.sequence + 1000};
    h.send(behind);
    CHECK(report() == std::vector<SackBlock>{held});
    h.send(a);
    CHECK(report() == std::vector<SackBlock>{{a.sequence, b.sequence}, held});
    h.send(behind);
    CHECK(report() == std::vector<SackBlock>{held, held});
  }
  SECTION("in part (4.2)") {
    Segment longer = b;
    longer.payload += std::string(500, 'e');
    h.send(longer);
    Sent answer = h.next();
    CHECK(answer.tcp().acknowledgment.value() == b.sequence + 1500);
    REQUIRE(answer.options().sack().size() == 1);
    CHECK(answer.options().sack()[0] == SackBlock{b.sequence, b.sequence + 1000});
  }
  SECTION("not what no window ever reached") {
    Segment ancient = a;
    ancient.sequence -= 1u << 30;
    h.send(ancient);
    CHECK(report().empty());
  }
}

TEST_CASE("RFC 3168 section 6.1.3: a mark is echoed until the peer has reduced its window") {
  for (bool agreed : {true, false}) {
    for (bool v4 : {true, false}) {
      Harness h(v4);
      h.open(Harness::usual_options(), 65535, agreed ? ECE | CWR : 0);
      auto echoes = [&](Segment segment, uint8_t flags = 0, uint8_t ecn = kEcnCapable) {
        segment.flags |= flags;
        segment.traffic_class = ecn;
        h.send(segment);
        h.pass(milliseconds(30));
        return (h.next().tcp().flags & ECE) != 0;
      };
      CHECK_FALSE(echoes(h.data("plain")));
      CHECK(echoes(h.data("marked"), 0, kCongestionExperienced) == agreed);
      CHECK(echoes(h.data("still")) == agreed);
      CHECK_FALSE(echoes(h.data("reduced"), CWR));
      CHECK(echoes(h.data("and marked again"), CWR, kCongestionExperienced) == agreed);
    }
  }
}

TEST_CASE("RFC 3168 section 6.1.2: an echo reduces the window once a round trip, and new data says so [ecn-reduces]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.open(Harness::usual_options(), 65535, ECE | CWR);
    auto ecn_of = [](const Sent &one) { return one.parsed.traffic_class & kEcnMask; };
    h.write(std::string(2000, 'x'));
    uint32_t up_to = h.theirs;
    for (const Sent &one : h.all()) {
      CHECK(ecn_of(one) == kEcnCapable);
      CHECK_FALSE(one.tcp().flags & CWR);
      up_to += static_cast<uint32_t>(one.payload().size());
    }
    h.send({.flags = ACK | ECE, .sequence = h.ours, .acknowledgment = up_to - 500});
    h.send({.flags = ACK | ECE, .sequence = h.ours, .acknowledgment = up_to - 400});
    h.write(std::string(100, 'y'));
    CHECK((h.next().tcp().flags & CWR) != 0);
    h.write(std::string(100, 'z'));
    CHECK_FALSE(h.next().tcp().flags & CWR);
    // Neither a repetition (6.1.5) nor an acknowledgment alone (6.1.4) may be marked.
    h.pass(seconds(3));
    std::vector<Sent> again = h.all();
    REQUIRE_FALSE(again.empty());
    for (const Sent &one : again) CHECK(ecn_of(one) == 0);
    h.send(h.data("data"));
    h.pass(milliseconds(30));
    for (const Sent &one : h.all()) CHECK(ecn_of(one) == 0);
  }
}

TEST_CASE("RFC 2883 section 2: duplicates are reported where SACK was agreed on") {
  Harness h;
  h.open({2, 4, 5, 100});
  Segment a = h.data(std::string(1000, 'a'));
  h.send({a, h.data(std::string(1000, 'b'))});
  h.all();
  h.send(a);
  CHECK(h.next().options().sack().empty());
}

TEST_CASE("what nobody acknowledges is sent again, ever more slowly, and fails in the end") {
  Harness h;
  h.open();
  h.write("hello");
  h.all();
  h.pass(seconds(3));
  std::vector<Sent> early = h.all();
  REQUIRE(early.size() >= 1);
  CHECK(early.size() <= 8);
  for (const Sent &one : early) CHECK(one.payload() == "hello");
  h.pass(minutes(60));
  CHECK(h.all().size() < 20);
  CHECK(h.stream->peek(1).error == ETIMEDOUT);
  CHECK(h.write_error() == ETIMEDOUT);
  CHECK(h.stack.connections() == 0);
}

TEST_CASE("buffers that are exhausted delay, they do not lose") {
  Harness h;
  h.open();
  h.output_exhausted = true;
  h.write("hello");
  h.send(h.data("data"));
  CHECK(h.quiet());
  CHECK(h.counters.dropped(DropReason::buffers_exhausted) > 0);
  h.output_exhausted = false;
  h.pass(seconds(2));
  std::vector<Sent> sent = h.all();
  REQUIRE_FALSE(sent.empty());
  CHECK(sent.front().payload() == "hello");
  CHECK(sent.front().tcp().acknowledgment.value() == h.ours);
}

TEST_CASE(
    "runs are merged only where nobody can tell [gro-push-ends-a-run] [gro-no-fin] [gro-no-ip-options] "
    "[gro-same-ttl-and-tos]") {
  auto run = [](auto change) {
    Harness h;
    h.open();
    std::vector<Segment> batch;
    for (int i = 0; i < 6; i++) batch.push_back(h.data(std::string(100, static_cast<char>('a' + i)), ACK));
    change(h, batch);
    h.counters.tcp_segments = h.counters.tcp_segments_merged = 0;
    h.send(batch);
    std::string all;
    for (const Segment &segment : batch) all += segment.payload;
    CHECK(h.read() == all);
    return h.counters.tcp_segments - h.counters.tcp_segments_merged;  // what lwIP was given
  };
  CHECK(run([](Harness &, auto &) {}) == 1);
  CHECK(run([](Harness &, auto &batch) { batch[2].flags = ACK | PSH; }) == 2);
  CHECK(run([](Harness &, auto &batch) { batch[5].flags = ACK | FIN; }) == 2);
  CHECK(run([](Harness &, auto &batch) { batch[2].flags = ACK | URG; }) == 3);
  CHECK(run([](Harness &, auto &batch) { batch[3].ttl = 63; }) == 3);
  CHECK(run([](Harness &, auto &batch) { batch[3].traffic_class = 3; }) == 3);
  CHECK(run([](Harness &, auto &batch) { batch[3].ip_options = {1, 1, 1, 1}; }) == 3);
  CHECK(run([](Harness &, auto &batch) { batch[3].options = {1, 1, 1, 1}; }) == 3);
  CHECK(run([](Harness &h, auto &batch) {
          batch[3].payload = batch[3].payload + "more";  // longer than the first: a new run
          batch[4].sequence += 4;
          batch[5].sequence += 4;
          h.ours += 4;
        }) >= 2);
}

TEST_CASE("a merged run carries the newest acknowledgment and window") {
  Harness h;
  h.open();
  h.write("hello");
  h.all();
  Segment a = h.data("aaaa", ACK), b = h.data("bbbb", ACK);
  b.acknowledgment = h.theirs + 5;
  b.window = 1234;
  h.send({a, b});
  h.theirs += 5;
  h.pass(seconds(10));
  CHECK(h.all().size() == 1);  // the acknowledgment of both; "hello" is not sent again
  CHECK(h.read() == "aaaabbbb");
}

TEST_CASE("two flows in one batch stay apart") {
  Harness h;
  h.open();
  StreamPtr first = std::move(h.stream);
  FlowKey first_key = h.key;
  uint32_t first_ours = h.ours, first_theirs = h.theirs;
  h.key.inside.port = 41000;
  h.open();
  std::vector<Packet> batch;
  for (int i = 0; i < 4; i++) {
    batch.push_back(h.make(
        first_key,
        {.sequence = first_ours + static_cast<uint32_t>(i) * 5, .acknowledgment = first_theirs, .payload = "first"}));
    batch.push_back(h.make(h.data("other", ACK)));
  }
  h.input(std::move(batch));
  CHECK(h.read() == "otherotherotherother");
  h.stream = std::move(first);
  CHECK(h.read() == "firstfirstfirstfirst");
}
