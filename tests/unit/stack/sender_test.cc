// The sender in virtual time: what it sends again and when, by the sections of the documents that say so.
#include "stack/sender.h"

#include <map>
#include <random>

#include "unit/stack/harness.h"

using namespace slipgate;
using namespace slipgate::stack_test;

namespace {

constexpr uint32_t kMss = 1000;

// A sender, and a clock that only this test moves.
struct Line {
  explicit Line(Congestion kind = Congestion::cubic, bool sack = true, Duration round_trip = milliseconds(100)) {
    RoundTrip measured;
    measured.add(round_trip, round_trip, now);
    sender = std::make_unique<Sender>(kind, kMss, sack, measured, 0, now);
  }
  // Sends `packets` of new data.
  void send(uint32_t packets) {
    sender->sent(end, end + packets * kMss, now);
    end += packets * kMss;
    sender->finished(true, false);
  }
  void acknowledge(uint32_t up_to, std::vector<SackBlock> blocks = {}, bool duplicate = false) {
    if (up_to > accepted) accepted = up_to;
    sender->acknowledged(accepted, up_to, blocks, duplicate, now);
    sender->update(now);
  }
  // What it sends again now, packet by packet.
  std::vector<uint32_t> resends() {
    std::vector<uint32_t> result;
    while (auto range = sender->next_resend(now)) result.push_back(range->from);
    sender->finished(true, false);
    return result;
  }
  // Waits for what is due next.
  Sender::Due wait() {
    now = std::max(now, sender->deadline());
    return sender->expired(now);
  }

  Time now{seconds(1000)};
  uint32_t end = 0, accepted = 0;
  std::unique_ptr<Sender> sender;
};

// A connection whose handshake took so long.
void open_over(Harness &h, Duration round_trip) {
  h.send({.flags = SYN, .sequence = 1000, .options = Harness::usual_options()});
  h.stream = h.request->accept();
  h.request.reset();
  h.theirs = h.next().tcp().sequence + 1;
  h.ours = 1001;
  h.pass(round_trip);
  h.send({.sequence = h.ours, .acknowledgment = h.theirs});
  REQUIRE(h.quiet());
}

std::vector<uint8_t> sack_option(std::vector<SackBlock> blocks) {
  std::vector<uint8_t> option{1, 1, 5, static_cast<uint8_t>(2 + blocks.size() * 8)};
  for (const SackBlock &block : blocks) {
    for (uint32_t edge : {block.left, block.right}) {
      for (int shift = 24; shift >= 0; shift -= 8) option.push_back(static_cast<uint8_t>(edge >> shift));
    }
  }
  return option;
}

}  // namespace

// --- what leaves lwIP in one piece ---

TEST_CASE("large segments leave as packets of the MSS [tso-cut-to-size]") {
  for (bool v4 : {true, false}) {
    Harness h(v4);
    h.open();
    std::string text;
    for (int i = 0; i < 10'000; i++) text += static_cast<char>('a' + i % 26);
    h.write(text);
    h.stream->shutdown_write();
    std::vector<Sent> sent = h.all();  // the harness verifies every checksum
    REQUIRE(sent.size() == 8);
    const size_t mss = v4 ? 1380 : 1360;
    std::string got;
    for (const Sent &one : sent) {
      CHECK(one.tcp().sequence == h.theirs + static_cast<uint32_t>(got.size()));
      got += one.payload();
      bool last = &one == &sent.back();
      CHECK(one.payload().size() == (last ? 10'000 - 7 * mss : mss));
      CHECK(((one.tcp().flags & FIN) != 0) == last);
      CHECK(((one.tcp().flags & PSH) != 0) == last);
      CHECK(one.parsed.length == one.packet.size());
    }
    CHECK(got == text);
  }
}

TEST_CASE("a segment that no buffer is left for is sent whole, later") {
  Harness h;
  h.open();
  h.output_exhausted = true;
  h.write(std::string(10'000, 'x'));
  CHECK(h.quiet());
  h.output_exhausted = false;
  h.pass(milliseconds(105));
  size_t bytes = 0;
  for (const Sent &one : h.all()) bytes += one.payload().size();
  CHECK(bytes == 10'000);
}

// --- RFC 6298 ---

TEST_CASE("RFC 6298 section 2: the timeout follows the round trips") {
  RoundTrip round_trip;
  CHECK(round_trip.timeout() == seconds(1));  // 2.1
  Time now(seconds(1));
  round_trip.add(milliseconds(400), milliseconds(400), now);  // 2.2
  CHECK(round_trip.smoothed() == milliseconds(400));
  CHECK(round_trip.timeout() == milliseconds(1200));
  round_trip.add(milliseconds(480), milliseconds(480), now);  // 2.3
  CHECK(round_trip.smoothed() == milliseconds(410));
  CHECK(round_trip.variation() == milliseconds(170));
  RoundTrip fast;
  fast.add(microseconds(300), microseconds(300), now);
  CHECK(fast.timeout() == milliseconds(200));
  CHECK(fast.minimum() == microseconds(300));
}

TEST_CASE("RFC 6298 section 5: each timeout in a row waits twice as long, up to a minute, and twelve are the end") {
  Line line(Congestion::cubic, false);
  line.send(1);
  Duration before{};
  for (int i = 0; i < Sender::kMostTimeouts; i++) {
    Time start = line.now;
    REQUIRE(line.wait() == Sender::Due::timeout);
    Duration waited = line.now - start;
    if (i > 0) CHECK((waited == 2 * before || waited == seconds(60)));
    before = waited;
    REQUIRE(line.sender->timed_out(line.now));
    CHECK(line.resends() == std::vector<uint32_t>{0});
  }
  REQUIRE(line.wait() == Sender::Due::timeout);
  CHECK_FALSE(line.sender->timed_out(line.now));
}

TEST_CASE("RFC 5681 section 3.1: after a timeout one segment, then slow start over what is unacknowledged") {
  Line line;
  line.send(8);
  REQUIRE(line.wait() == Sender::Due::probe);
  line.sender->last_packet(line.now);
  line.sender->probed(true, line.now);
  REQUIRE(line.wait() == Sender::Due::timeout);
  REQUIRE(line.sender->timed_out(line.now));
  CHECK(line.resends() == std::vector<uint32_t>{0});
  line.now += milliseconds(100);
  line.acknowledge(1000);
  CHECK(line.resends() == std::vector<uint32_t>{1000, 2000});
}

// --- RFC 6675, RFC 8985 ---

TEST_CASE("RFC 6675 section 5: three segments behind a hole: the hole and nothing else is sent again [rack-resends]") {
  Harness h;
  open_over(h, milliseconds(1));
  h.write(std::string(10 * 1380, 'x'));
  REQUIRE(h.all().size() == 10);
  h.pass(milliseconds(1));
  auto edge = [&](uint32_t packet) { return h.theirs + packet * 1380; };
  h.send({.sequence = h.ours, .acknowledgment = edge(2), .options = sack_option({{edge(3), edge(4)}})});
  h.send({.sequence = h.ours, .acknowledgment = edge(2), .options = sack_option({{edge(3), edge(6)}})});
  std::vector<Sent> again = h.all();
  REQUIRE(again.size() == 1);
  CHECK(again[0].tcp().sequence.value() == edge(2));
  CHECK(again[0].payload().size() == 1380);
  h.send({.sequence = h.ours, .acknowledgment = edge(2), .options = sack_option({{edge(3), edge(10)}})});
  CHECK(h.quiet());
}

TEST_CASE("RFC 8985 section 6.2: fewer than three wait a quarter of a round trip for a late packet") {
  Line line;
  line.send(4);
  line.now += milliseconds(100);
  line.acknowledge(0, {{1000, 2000}});
  CHECK(line.resends().empty());
  CHECK(line.sender->deadline() == line.now + milliseconds(25));
  line.now += milliseconds(25);
  line.sender->update(line.now);
  CHECK(line.resends() == std::vector<uint32_t>{0});
}

TEST_CASE("RFC 8985 section 6.2: once packets overtook each other, three behind a hole wait, too") {
  Line line;
  line.send(8);
  line.now += milliseconds(100);
  line.acknowledge(0, {{1000, 2000}});
  line.acknowledge(2000);  // it was late
  line.acknowledge(2000, {{3000, 7000}});
  CHECK(line.resends().empty());
  line.now += milliseconds(25);
  line.sender->update(line.now);
  CHECK(line.resends() == std::vector<uint32_t>{2000});
}

TEST_CASE("RFC 8985 section 6: a repetition that is lost is sent again without a timeout") {
  Line line;
  line.send(10);
  line.now += milliseconds(100);
  line.acknowledge(0, {{1000, 5000}});
  REQUIRE(line.resends() == std::vector<uint32_t>{0});
  line.send(1);
  line.now += milliseconds(100);
  line.acknowledge(0, {{1000, 11000}});  // what left behind the repetition arrived
  line.now += milliseconds(100);
  line.sender->update(line.now);
  CHECK(line.resends() == std::vector<uint32_t>{0});
}

TEST_CASE("RFC 8985 section 7: the end of a flight is probed after two round trips [tail-probe]") {
  Harness h;
  open_over(h, milliseconds(40));
  h.write(std::string(4 * 1380, 'x'));
  h.pass(milliseconds(5));  // paced
  REQUIRE(h.all().size() == 4);
  h.pass(milliseconds(35));
  h.send({.sequence = h.ours, .acknowledgment = h.theirs + 1380});
  CHECK(h.quiet());
  h.pass(milliseconds(60));
  CHECK(h.quiet());
  h.pass(milliseconds(60));
  std::vector<Sent> probe = h.all();
  REQUIRE(probe.size() == 1);
  CHECK(probe[0].tcp().sequence == h.theirs + 3 * 1380);
  // Its answer shows the hole, and that is repaired without a timeout.
  h.pass(milliseconds(40));
  h.send({.sequence = h.ours,
          .acknowledgment = h.theirs + 1380,
          .options = sack_option({{h.theirs + 3 * 1380, h.theirs + 4 * 1380}})});
  h.pass(milliseconds(15));
  std::vector<Sent> hole = h.all();
  REQUIRE_FALSE(hole.empty());
  CHECK(hole[0].tcp().sequence == h.theirs + 1380);
}

TEST_CASE("RFC 8985 section 7.4: a probe that repaired a loss halves nothing twice, a needless one nothing at all") {
  for (bool needless : {false, true}) {
    Line line;
    line.send(10);
    REQUIRE(line.wait() == Sender::Due::probe);
    CHECK(line.sender->last_packet(line.now).from == 9000);
    line.sender->probed(true, line.now);
    uint32_t window = line.sender->window();
    line.now += milliseconds(100);
    if (needless) {
      line.acknowledge(10'000, {{9000, 10'000}});  // RFC 2883
      line.send(1);
      line.acknowledge(11'000);
      CHECK(line.sender->window() >= window);
    } else {
      line.acknowledge(10'000);
      line.send(1);
      line.now += milliseconds(100);
      line.acknowledge(11'000);
      CHECK(line.sender->window() < window + 10'000);
      CHECK(line.sender->window() >= window * 7 / 10);
    }
  }
}

TEST_CASE("RFC 6582: without SACK the third duplicate sends the first packet again, a partial answer the next") {
  Line line(Congestion::cubic, false);
  line.send(10);
  line.now += milliseconds(100);
  for (int i = 0; i < 2; i++) line.acknowledge(0, {}, true);
  CHECK(line.resends().empty());
  line.acknowledge(0, {}, true);
  CHECK(line.resends() == std::vector<uint32_t>{0});
  line.now += milliseconds(100);
  line.acknowledge(3000);
  CHECK(line.resends() == std::vector<uint32_t>{3000});
  line.now += milliseconds(100);
  line.acknowledge(10'000);
  CHECK_FALSE(line.sender->recovering());
}

TEST_CASE("RFC 2018 section 8: what a peer forgot after a timeout is sent again") {
  Line line;
  line.send(5);
  line.now += milliseconds(100);
  line.acknowledge(0, {{2000, 5000}});
  CHECK(line.resends() == std::vector<uint32_t>{0, 1000});
  for (int i = 0; i < 10 && line.wait() != Sender::Due::timeout; i++) {
    line.sender->update(line.now);
    line.resends();
  }
  REQUIRE(line.sender->timed_out(line.now));
  line.resends();
  line.now += milliseconds(100);
  line.acknowledge(2000);  // behind which it has nothing any more
  for (int i = 0; i < 4 && line.sender->in_flight() == 0; i++) {
    line.now = std::max(line.now, line.sender->deadline());
    if (line.sender->expired(line.now) == Sender::Due::timeout) REQUIRE(line.sender->timed_out(line.now));
    line.resends();
  }
  CHECK(line.sender->in_flight() > 0);
}

TEST_CASE("RFC 2883: when every repetition was a duplicate, the window is what it was [undo]") {
  Line line;
  line.send(10);
  uint32_t window = line.sender->window();
  line.now += milliseconds(100);
  line.acknowledge(0, {{1000, 5000}});
  REQUIRE(line.resends() == std::vector<uint32_t>{0});
  CHECK(line.sender->window() < window);
  line.now += milliseconds(50);
  line.acknowledge(10'000);
  line.now += milliseconds(50);
  line.send(1);
  line.acknowledge(10'000, {{0, 1000}}, true);
  CHECK(line.sender->window() >= window);
  CHECK_FALSE(line.sender->recovering());
}

TEST_CASE("RFC 8985 section 6.2 step 4: a round trip with a duplicate adds a quarter of a round trip of patience") {
  Line line;
  for (int step = 1; step <= 3; step++) {
    const uint32_t begin = line.end;
    line.send(8);
    line.now += milliseconds(100);
    line.acknowledge(begin, {{begin + 1000, begin + 8000}});
    if (step > 1) {
      CHECK(line.resends().empty());
      CHECK(line.sender->deadline() == line.now + step * milliseconds(25));
      line.now += step * milliseconds(25);
      line.sender->update(line.now);
    }
    REQUIRE(line.resends() == std::vector<uint32_t>{begin});
    line.now += milliseconds(1);
    line.acknowledge(begin + 8000);
    line.acknowledge(begin + 8000, {{begin, begin + 1000}}, true);
  }
}

TEST_CASE("a scoreboard says what a naive one says") {
  std::mt19937 random(7);
  for (int round = 0; round < 300; round++) {
    Scoreboard board(kMss);
    std::map<uint32_t, char> naive;  // packet: 's' sacked, 'f' in flight
    uint32_t base = random(), end = base, una = base;
    auto ignore = [](const SentRun &) {};
    for (int step = 0; step < 60; step++) {
      uint32_t packets = (end - una) / kMss;
      switch (random() % 3) {
        case 0: {
          uint32_t count = 1 + random() % 8;
          SentRun run{};
          run.begin = end;
          run.end = end + count * kMss;
          for (uint32_t i = 0; i < count; i++) naive[(end - base) / kMss + i] = 'f';
          end = run.end;
          board.append(run);
          break;
        }
        case 1: {
          if (packets < 2) break;
          uint32_t left = una + (1 + random() % (packets - 1)) * kMss;
          uint32_t right = left + (1 + random() % 4) * kMss;
          if (sequence_before(end, right)) right = end;
          // Edges within packets: those count only when whole.
          uint32_t odd_left = left - random() % 3, odd_right = right + random() % 3;
          if (sequence_before(end, odd_right)) odd_right = end;
          board.sack(odd_left, odd_right, ignore);
          for (uint32_t at = left; at != right; at += kMss) naive[(at - base) / kMss] = 's';
          break;
        }
        case 2: {
          if (packets == 0) break;
          una += (random() % packets) * kMss;
          board.acknowledge(una, ignore);
          naive.erase(naive.begin(), naive.lower_bound((una - base) / kMss));
          break;
        }
      }
      uint32_t sacked = 0;
      for (auto [packet, state] : naive) sacked += state == 's' ? kMss : 0;
      REQUIRE(board.sacked_bytes() == sacked);
      REQUIRE(board.outstanding() == naive.size() * kMss);
      uint32_t at = una;
      for (size_t i = 0; i < board.size(); i++) {
        REQUIRE(board[i].begin == at);
        at = board[i].end;
      }
    }
  }
}

TEST_CASE("whatever a peer reports, the sender keeps within what it sent, and goes on") {
  std::mt19937 random(11);
  for (int round = 0; round < 200; round++) {
    Congestion kind = round % 2 ? Congestion::cubic : Congestion::bbr;
    Line line(kind, round % 3 != 0, milliseconds(1 + random() % 100));
    for (int step = 0; step < 300; step++) {
      uint32_t una = line.accepted;
      switch (random() % 6) {
        case 0:
        case 1:
          if (uint32_t packets = std::min(line.sender->room(line.now) / kMss, 40u)) line.send(packets);
          break;
        case 2: {
          std::vector<SackBlock> blocks;
          for (uint32_t i = random() % 5; i > 0; i--) {
            uint32_t left = una + random() % 60'000 - 5'000;
            blocks.push_back({left, left + random() % 30'000 - 3'000});
          }
          uint32_t up_to = una + (line.end > una ? random() % (line.end - una + 1) : 0);
          line.acknowledge(random() % 2 ? una : up_to, blocks, random() % 2);
          break;
        }
        case 3:
          for (int i = 0; i < 5; i++) line.acknowledge(una, {}, true);
          break;
        case 4:
          for (uint32_t from : line.resends()) {
            REQUIRE_FALSE(sequence_before(from, una));
            REQUIRE(sequence_before(from, line.end));
          }
          break;
        case 5:
          line.now += milliseconds(random() % 300);
          if (line.sender->expired(line.now) == Sender::Due::probe) {
            Sender::Range last = line.sender->last_packet(line.now);
            REQUIRE(last.to == line.end);
            line.sender->probed(true, line.now);
          } else if (line.sender->expired(line.now) == Sender::Due::timeout && !line.sender->timed_out(line.now)) {
            step = 300;  // the connection would be over
          }
          line.sender->update(line.now);
          break;
      }
      REQUIRE(line.sender->outstanding() == line.end - line.accepted);
      REQUIRE(line.sender->in_flight() <= line.sender->outstanding());
      REQUIRE(line.sender->window() >= kMss);
      REQUIRE(line.sender->window() <= 1'000'000'000);
      if (!line.sender->idle()) REQUIRE(line.sender->deadline() != kNever);
    }
    // An honest peer from here on: everything arrives.
    for (int i = 0; i < 200 && !line.sender->idle(); i++) {
      line.now = std::max(line.now, std::min(line.sender->deadline(), line.now + seconds(60)));
      if (line.sender->expired(line.now) == Sender::Due::timeout && !line.sender->timed_out(line.now)) break;
      line.resends();
      line.acknowledge(line.end);
    }
    CHECK(line.sender->idle());
  }
}
