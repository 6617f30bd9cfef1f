// The sender over paths that lose, delay and reorder: goodput and what is sent again, in virtual time, against what is
// stored here; and its share of a bottleneck.
//
// SLIPGATE_SIM_PRINT=1 prints what each row comes to.
#include <cstdio>
#include <cstdlib>

#include "sim/network.h"
#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::sim;

namespace {

const char *name_of(Congestion kind) {
  return kind == Congestion::cubic ? "cubic" : "bbr";
}

template <typename... Values>
void print(const char *format, Values... values) {
  if (std::getenv("SLIPGATE_SIM_PRINT")) std::printf(format, values...);
}

double megabits(uint64_t bytes, Duration time) {
  return static_cast<double>(bytes) * 8 / std::chrono::duration<double>(time).count() / 1e6;
}

struct Measured {
  double goodput = 0;     // Mbit/s
  double sent_again = 0;  // of the bytes that arrived
};

// What the gateway sends down for `time`.
Measured send_down(const WireOptions &down, Congestion congestion, Duration time, uint32_t seed) {
  WireOptions up{.delay = down.delay, .bits_per_second = 1e9};
  StackConfig config;
  config.congestion = congestion;
  Network network(up, down, seed, config);
  auto session = open_session(network, 40000, 0, uint64_t{1} << 40);
  network.run_for(time);
  REQUIRE(session->client);
  CHECK(session->client->corrupt == 0);
  uint64_t received = session->client->received;
  return {megabits(received, time),
          static_cast<double>(network.gateway.counters.tcp_bytes_resent) / static_cast<double>(received)};
}

constexpr size_t queue_of(Duration time, double bits_per_second) {
  return static_cast<size_t>(std::chrono::duration<double>(time).count() * bits_per_second / 8);
}

}  // namespace

TEST_CASE("goodput over paths that lose, delay and reorder [sack-recovery]") {
  struct Row {
    const char *name;
    WireOptions wire;
    double cubic, bbr;              // Mbit/s, at least
    double cubic_again, bbr_again;  // of what arrives, at most
  };
  // clang-format off
  const Row rows[] = {
      {"clean 20 ms 100 Mbit", {.delay = milliseconds(10), .bits_per_second = 100e6, .queue_bytes = 250000},
       90, 88, 0.003, 0.003},
      {"1 % 20 ms", {.delay = milliseconds(10), .loss = 0.01, .bits_per_second = 200e6},
       7, 160, 0.012, 0.012},
      {"0.1 % 50 ms", {.delay = milliseconds(25), .loss = 0.001, .bits_per_second = 200e6},
       15, 155, 0.0015, 0.007},
      {"0.1 % 50 ms 450 Mbit",
       {.delay = milliseconds(25), .loss = 0.001, .bits_per_second = 450e6,
        .queue_bytes = queue_of(milliseconds(5), 450e6)},
       15, 280, 0.0015, 0.009},
      {"0.01 % 100 ms", {.delay = milliseconds(50), .loss = 0.0001, .bits_per_second = 200e6},
       90, 140, 0.008, 0.005},
      {"50 ms queue", {.delay = milliseconds(25), .bits_per_second = 50e6, .queue_bytes = 312500},
       44, 42, 0.003, 0.003},
      {"50 ms 100 Mbit, 50 ms queue",
       {.delay = milliseconds(25), .bits_per_second = 100e6, .queue_bytes = queue_of(milliseconds(50), 100e6)},
       88, 84, 0.003, 0.006},
      {"2 % 15 ms", {.delay = microseconds(7500), .loss = 0.02, .bits_per_second = 400e6},
       6, 300, 0.026, 0.026},
      {"shallow 50 ms", {.delay = milliseconds(25), .bits_per_second = 100e6, .queue_bytes = 60000},
       64, 75, 0.004, 0.011},
      {"1 % by 5 ms, 50 ms 100 Mbit",
       {.delay = milliseconds(25), .bits_per_second = 100e6, .queue_bytes = queue_of(milliseconds(100), 100e6),
        .reorder = 0.01, .reorder_by = milliseconds(5)},
       88, 86, 0.001, 0.001},
  };
  // clang-format on
  for (const Row &row : rows) {
    for (Congestion kind : {Congestion::cubic, Congestion::bbr}) {
      Measured mean;
      for (uint32_t seed = 1; seed <= 2; seed++) {
        Measured one = send_down(row.wire, kind, seconds(8), seed);
        mean.goodput += one.goodput / 2;
        mean.sent_again += one.sent_again / 2;
      }
      bool cubic = kind == Congestion::cubic;
      INFO(row.name << ' ' << name_of(kind));
      print("%-28s %-6s %8.1f Mbit/s %7.3f %% again\n", row.name, name_of(kind), mean.goodput, 100 * mean.sent_again);
      CHECK(mean.goodput >= (cubic ? row.cubic : row.bbr));
      CHECK(mean.sent_again <= (cubic ? row.cubic_again : row.bbr_again));
    }
  }
}

TEST_CASE("a bottleneck is shared with a CUBIC flow of another gateway") {
  for (Congestion kind : {Congestion::cubic, Congestion::bbr}) {
    double ours = 0, theirs = 0;
    for (uint32_t seed = 1; seed <= 4; seed++) {
      const double rate = 50e6;
      WireOptions down{
          .delay = milliseconds(20), .bits_per_second = rate, .queue_bytes = queue_of(milliseconds(50), rate)};
      StackConfig config;
      config.congestion = kind;
      Network network({.delay = milliseconds(20)}, down, seed, config);
      config.congestion = Congestion::cubic;
      network.add_rival(config);
      auto theirs_session = open_rival_session(network, 40001, 0, uint64_t{1} << 40);
      network.run_for(milliseconds(20 * seed));
      auto session = open_session(network, 40000, 0, uint64_t{1} << 40);
      network.run_for(seconds(20));
      REQUIRE(session->client);
      REQUIRE(theirs_session->client);
      ours += megabits(session->client->received, seconds(20)) / 4;
      theirs += megabits(theirs_session->client->received, seconds(20)) / 4;
    }
    double share = ours / (ours + theirs);
    INFO(name_of(kind) << " has " << 100 * share << " %");
    print("%s beside cubic: %.1f and %.1f Mbit/s, %.0f %%\n", name_of(kind), ours, theirs, 100 * share);
    CHECK(share >= 0.35);
    CHECK(share <= 0.65);
    CHECK(ours + theirs >= 40);
  }
}
