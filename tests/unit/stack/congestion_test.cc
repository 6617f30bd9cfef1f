// The algorithms alone, fed with what a path would have said.
#include <array>
#include <cmath>

#include "stack/bbr.h"
#include "stack/cubic.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

constexpr uint32_t kMss = 1000;

// Everything that is in flight arrives, a window per round trip.
Delivery whole_window(const CongestionControl &control, Time now, Duration round_trip, uint32_t &sequence) {
  Delivery delivery;
  delivery.now = now;
  delivery.newly_delivered = delivery.prior_in_flight = control.window();
  delivery.acknowledgments = 10;
  delivery.round_trip = delivery.smoothed = delivery.minimum = round_trip;
  delivery.window_limited = delivery.advanced = true;
  sequence += control.window();
  delivery.acknowledged = sequence;
  delivery.window_end = sequence + control.window();
  return delivery;
}

// A path of so much bandwidth, delay and buffer that one BBR flow has to itself, by round trips.
struct Path {
  Bbr bbr;
  double bandwidth;
  Duration delay;
  Time now{seconds(1000)};
  uint64_t delivered = 0, lost = 0;
  Duration queue{};
  bool policed = false;  // what is too much makes no queue

  Path(double bytes_per_second, Duration round_trip)
      : bbr(kMss, round_trip, Time(seconds(1000)), 7), bandwidth(bytes_per_second), delay(round_trip) {}

  // One round trip; `loss` of what is sent is lost, in so many places.
  void round(double loss = 0, int ranges = 1) {
    double seconds_of = std::chrono::duration<double>(delay).count();
    double offered = std::min<double>(bbr.window(), bbr.pacing_rate() * seconds_of);
    double carried = std::min(offered, bandwidth * seconds_of);
    queue = policed ? Duration() : Duration(static_cast<int64_t>((offered - carried) / bandwidth * 1e9));
    uint64_t before = delivered, lost_before = lost;
    uint32_t lost_now = static_cast<uint32_t>(offered * loss);
    now += delay + queue;
    if (lost_now > 0) {
      lost += lost_now;
      for (int i = 1; i <= ranges; i++) {
        bbr.on_lost({.size = lost_now / ranges,
                     .sent_in_flight = static_cast<uint32_t>(offered),
                     .lost_since = lost_now / ranges * i,
                     .delivered_total = delivered});
      }
    }
    uint32_t arrived = static_cast<uint32_t>(carried) - std::min(lost_now, static_cast<uint32_t>(carried));
    delivered += arrived;
    Delivery rs;
    rs.now = now;
    rs.newly_delivered = rs.sampled = arrived;
    rs.newly_lost = lost_now;
    rs.in_flight = static_cast<uint32_t>(std::min(offered, bandwidth * seconds_of));
    rs.prior_in_flight = static_cast<uint32_t>(offered);
    rs.acknowledgments = 1;
    rs.round_trip = rs.smoothed = delay + queue;
    rs.minimum = delay;
    rs.delivered_total = delivered;
    rs.prior_delivered = before;
    rs.rate = arrived / std::chrono::duration<double>(delay).count();
    rs.sent_in_flight = static_cast<uint32_t>(offered);
    rs.lost_since = lost - lost_before;
    rs.window_limited = offered >= bbr.window();
    bbr.on_delivery(rs);
  }
  void rounds(int count, double loss = 0) {
    for (int i = 0; i < count; i++) round(loss);
  }
};

}  // namespace

// --- CUBIC ---

TEST_CASE("RFC 6928: ten segments at first, and slow start doubles them each round trip") {
  Cubic cubic(kMss, milliseconds(50));
  CHECK(cubic.window() == 10 * kMss);
  uint32_t sequence = 0;
  cubic.on_delivery(whole_window(cubic, Time(seconds(1)), milliseconds(50), sequence));
  CHECK(cubic.window() == 20 * kMss);
}

TEST_CASE(
    "RFC 9438 section 4.6: a loss takes three tenths of the window, and section 4.7 remembers less the second time") {
  Cubic cubic(kMss, milliseconds(50));
  Time now(seconds(1));
  uint32_t sequence = 0;
  for (int i = 0; i < 4; i++)
    cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
  CHECK(cubic.window() == 160 * kMss);
  cubic.on_recovery(160 * kMss, now);
  cubic.on_recovered(0);
  CHECK(cubic.window() == 112 * kMss);
}

TEST_CASE("RFC 9438 section 4.8: after a timeout slow start goes on [cubic-slow-start-after-timeout]") {
  Cubic cubic(kMss, milliseconds(50));
  Time now(seconds(1));
  uint32_t sequence = 0;
  for (int i = 0; i < 4; i++)
    cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
  cubic.on_timeout(160 * kMss, false, now);
  CHECK(cubic.window() == kMss);
  cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
  cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
  const uint32_t grown = cubic.window();
  CHECK(grown <= 4 * kMss);
  cubic.on_recovered(0);  // what was lost has arrived
  CHECK(cubic.window() == grown);
}

TEST_CASE("RFC 9438 section 4.2: the window is back at the last loss after K seconds, and then grows beyond") {
  Cubic cubic(kMss, milliseconds(50));
  Time now(seconds(1));
  uint32_t sequence = 0;
  for (int i = 0; i < 7; i++)
    cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
  double most = cubic.segments();
  cubic.on_recovery(cubic.window(), now);
  cubic.on_recovered(0);
  double start = cubic.segments();
  double k = std::cbrt((most - start) / 0.4);
  Time epoch = now + milliseconds(50);
  double half_way = 0;
  while (now - epoch < Duration(static_cast<int64_t>(k * 1e9))) {
    cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
    if (half_way == 0 && now - epoch > Duration(static_cast<int64_t>(k * 5e8))) half_way = cubic.segments();
  }
  CHECK(cubic.segments() == Approx(most).epsilon(0.03));
  CHECK(half_way - start > (most - half_way) * 3);  // fast first, slow near the last loss
  for (int i = 0; i < 100; i++) {
    cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
  }
  CHECK(cubic.segments() > most * 1.02);
}

TEST_CASE("RFC 9438 section 4.3: on short paths it is no slower than Reno") {
  Cubic cubic(kMss, milliseconds(5));
  Time now(seconds(1));
  uint32_t sequence = 0;
  cubic.on_recovery(10 * kMss, now);
  cubic.on_recovered(0);
  double start = cubic.segments();
  for (int i = 0; i < 40; i++)
    cubic.on_delivery(whole_window(cubic, now += milliseconds(5), milliseconds(5), sequence));
  CHECK(cubic.segments() >= start + 40 * 0.5);
}

TEST_CASE("RFC 9438 section 4.9: a loss that was none is taken back") {
  Cubic cubic(kMss, milliseconds(50));
  Time now(seconds(1));
  uint32_t sequence = 0;
  for (int i = 0; i < 4; i++)
    cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
  uint32_t window = cubic.window();
  cubic.on_recovery(window, now);
  cubic.on_spurious(now);
  CHECK(cubic.window() == window);
}

TEST_CASE("RFC 9438 section 5.8: a window that is not used does not grow") {
  Cubic cubic(kMss, milliseconds(50));
  Time now(seconds(1));
  uint32_t sequence = 0;
  for (int i = 0; i < 20; i++) {
    Delivery delivery = whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence);
    delivery.newly_delivered = delivery.prior_in_flight = kMss;
    delivery.window_limited = false;
    cubic.on_delivery(delivery);
  }
  CHECK(cubic.window() == 10 * kMss);
}

TEST_CASE("RFC 5681 section 4.1: after an idle timeout the path is probed anew") {
  Cubic cubic(kMss, milliseconds(50));
  Time now(seconds(1));
  uint32_t sequence = 0;
  for (int i = 0; i < 4; i++)
    cubic.on_delivery(whole_window(cubic, now += milliseconds(50), milliseconds(50), sequence));
  cubic.on_restart(now, milliseconds(100), milliseconds(200));
  CHECK(cubic.window() == 160 * kMss);
  cubic.on_restart(now, milliseconds(300), milliseconds(200));
  CHECK(cubic.window() == 10 * kMss);
}

TEST_CASE("RFC 9406: slow start ends when round trips grow, not before [hystart]") {
  for (bool queue : {false, true}) {
    Cubic cubic(kMss, milliseconds(50));
    Time now(seconds(1));
    uint32_t sequence = 0;
    for (int i = 0; i < 12; i++) {
      Duration round_trip = milliseconds(50) + (queue && i > 4 ? (i - 4) * milliseconds(10) : Duration{});
      cubic.on_delivery(whole_window(cubic, now += round_trip, round_trip, sequence));
    }
    CHECK(cubic.in_slow_start() == !queue);
  }
}

TEST_CASE(
    "RFC 9406: a queue within a round slows slow start down, one that stands for a round ends it [hystart-round]") {
  Cubic cubic(kMss, milliseconds(50));
  Time now(seconds(1));
  uint32_t acknowledged = 0;
  // A window's acknowledgments in four parts.
  auto round = [&](std::array<int, 4> round_trips) {
    const uint32_t part = cubic.window() / 4;
    for (int round_trip : round_trips) {
      Delivery delivery;
      delivery.now = now += milliseconds(12);
      delivery.newly_delivered = part;
      delivery.prior_in_flight = cubic.window();
      delivery.acknowledgments = 10;
      delivery.round_trip = delivery.smoothed = delivery.minimum = milliseconds(round_trip);
      delivery.window_limited = delivery.advanced = true;
      delivery.acknowledged = acknowledged += part;
      delivery.window_end = acknowledged + cubic.window();
      cubic.on_delivery(delivery);
    }
  };
  for (int i = 0; i < 4; i++) round({50, 50, 50, 50});
  double before = cubic.segments();
  round({50, 60, 60, 60});
  CHECK(cubic.segments() < 1.6 * before);
  CHECK(cubic.in_slow_start());
  before = cubic.segments();
  round({50, 50, 50, 50});  // it was the burst's own
  CHECK(cubic.segments() > 1.9 * before);
  before = cubic.segments();
  for (int i = 0; i < 3; i++) round({60, 60, 60, 60});
  CHECK_FALSE(cubic.in_slow_start());
  CHECK(cubic.segments() < 2.5 * before);
}

TEST_CASE("RFC 6937 section 3.1: what leaves in recovery is in proportion to what arrives [prr]") {
  ProportionalRateReduction reduction;
  reduction.begin(100 * kMss);
  uint32_t in_flight = 99 * kMss, sent = 0, threshold = 70 * kMss;
  for (int i = 0; i < 95; i++) {
    in_flight -= kMss;
    Delivery delivery;
    delivery.newly_delivered = kMss;
    delivery.in_flight = in_flight;
    delivery.advanced = true;
    uint32_t window = reduction.on_delivery(delivery, threshold, kMss);
    while (in_flight + kMss <= window) {
      in_flight += kMss;
      sent++;
      reduction.on_sent(kMss);
    }
  }
  CHECK(sent >= 63);
  CHECK(sent <= 70);
  CHECK(in_flight <= threshold);
  CHECK(in_flight >= threshold - 3 * kMss);
}

// --- BBR ---

TEST_CASE("draft-ietf-ccwg-bbr section 5.3.1: startup finds the bandwidth, drain empties the queue, then it probes") {
  Path path(5e6, milliseconds(40));
  CHECK(path.bbr.state() == Bbr::State::startup);
  CHECK(path.bbr.pacing_rate() == Approx(2.77 * 10 * kMss / 0.04));  // section 5.6.2
  path.rounds(30);
  CHECK(path.bbr.state() >= Bbr::State::probe_down);
  CHECK(path.bbr.max_bandwidth() == Approx(5e6).epsilon(0.05));
  CHECK(path.bbr.window() <= 3.25 * 5e6 * 0.04);
  CHECK(path.bbr.window() >= 5e6 * 0.04);
}

TEST_CASE("draft-ietf-ccwg-bbr section 5.3.1.3: two lossy rounds end startup, one is a burst's [bbr-startup-burst]") {
  for (int lossy : {1, 2}) {
    Path path(100e6, milliseconds(40));
    path.rounds(3);
    path.bbr.on_recovery(0, path.now);
    for (int i = 0; i < lossy; i++) path.round(0.3, 8);
    CHECK((path.bbr.inflight_longterm() < UINT32_MAX) == (lossy == 2));
    if (lossy == 1) CHECK(path.bbr.state() == Bbr::State::startup);
    // What startup lost is no sign of less bandwidth than it found.
    if (lossy == 2) {
      double found = path.bbr.bandwidth();
      path.round(0.3, 8);
      CHECK(path.bbr.bandwidth() >= found);
    }
  }
}

TEST_CASE("draft-ietf-ccwg-bbr section 5.3.4: the shortest round trip is measured anew every five seconds") {
  Path path(5e6, milliseconds(40));
  bool probed = false;
  uint32_t least = UINT32_MAX;
  for (int i = 0; i < 200; i++) {
    path.round();
    if (path.bbr.state() == Bbr::State::probe_rtt) {
      probed = true;
      least = std::min(least, path.bbr.window());
    }
  }
  CHECK(probed);
  CHECK(least <= 5e6 * 0.04 * 0.6);
  CHECK(path.bbr.min_rtt() == milliseconds(40));
}

TEST_CASE("draft-ietf-ccwg-bbr section 5.5.3: the bandwidth filter follows a path that became slower") {
  Path path(5e6, milliseconds(40));
  path.rounds(40);
  path.bandwidth = 2e6;
  path.rounds(400);
  CHECK(path.bbr.max_bandwidth() <= 2.6e6);
}

TEST_CASE("loss without a queue does not slow it down, more than a tenth does [bbr-loss-without-queue]") {
  Path path(5e6, milliseconds(40));
  path.rounds(40);
  double before = path.bbr.bandwidth();
  path.rounds(60, 0.03);
  CHECK(path.bbr.bandwidth() >= before * 0.9);
  path.rounds(60, 0.15);
  CHECK(path.bbr.bandwidth() < before * 0.9);
}

TEST_CASE("a path that delivers much less than the pace, without a queue, slows it down [bbr-behind-its-pace]") {
  Path path(5e6, milliseconds(40));
  path.rounds(40);
  double before = path.bbr.bandwidth();
  path.policed = true;
  path.bandwidth = 3e6;
  path.rounds(5, 0.03);  // the bandwidth filter remembers the 5 MB/s longer than this
  CHECK(path.bbr.max_bandwidth() >= before);
  CHECK(path.bbr.bandwidth() <= before * 0.75);
  CHECK(path.bbr.bandwidth() >= 3e6 * 0.9);
}

TEST_CASE("a mark of congestion bounds the window, and no loss has to say so") {
  Path path(5e6, milliseconds(40));
  path.bbr.on_marked(0, 0, path.now);
  path.round();
  CHECK(path.bbr.state() != Bbr::State::startup);
  Path settled(5e6, milliseconds(40));
  settled.rounds(40);
  double before = settled.bbr.bandwidth();
  for (int i = 0; i < 4; i++) {
    settled.bbr.on_marked(200'000, settled.delivered, settled.now);
    settled.round();
  }
  CHECK(settled.bbr.bandwidth() < before);

  Cubic cubic(kMss, milliseconds(50));
  cubic.on_marked(10 * kMss, 0, Time(seconds(1)));
  CHECK(cubic.window() == 7 * kMss);
}

TEST_CASE("draft-ietf-ccwg-bbr section 5.6.4.4: after a timeout one packet, and the window comes back") {
  Path path(5e6, milliseconds(40));
  path.rounds(40);
  uint32_t window = path.bbr.window();
  path.bbr.on_timeout(0, false, path.now);
  CHECK(path.bbr.window() == kMss);
  path.bbr.on_recovered(0);
  CHECK(path.bbr.window() == window);
}
