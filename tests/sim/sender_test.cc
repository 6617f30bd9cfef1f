// The sender over paths that lose, delay and reorder: goodput in virtual time against what is stored here.
#include <cstdio>
#include <cstdlib>

#include "sim/network.h"
#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::sim;

namespace {

// Mbit/s of what the gateway sends down for `time`.
double goodput(const WireOptions &down, Congestion congestion, Duration time, uint32_t seed) {
  WireOptions up{.delay = down.delay, .bits_per_second = 1e9};
  StackConfig config;
  config.congestion = congestion;
  Network network(up, down, seed, config);
  auto session = open_session(network, 40000, 0, uint64_t{1} << 40);
  network.run_for(time);
  REQUIRE(session->client);
  CHECK(session->client->corrupt == 0);
  return static_cast<double>(session->client->received) * 8 / std::chrono::duration<double>(time).count() / 1e6;
}

}  // namespace

TEST_CASE("goodput over paths that lose, delay and reorder [sack-recovery]") {
  struct Row {
    const char *name;
    WireOptions wire;
    double cubic, bbr;  // Mbit/s, at least
  };
  const Row rows[] = {
      {"clean 20 ms 100 Mbit", {.delay = milliseconds(10), .bits_per_second = 100e6, .queue_bytes = 250000}, 80, 80},
      {"1 % 20 ms", {.delay = milliseconds(10), .loss = 0.01, .bits_per_second = 200e6}, 5, 40},
      {"0.1 % 50 ms", {.delay = milliseconds(25), .loss = 0.001, .bits_per_second = 200e6}, 5, 80},
      {"0.01 % 100 ms", {.delay = milliseconds(50), .loss = 0.0001, .bits_per_second = 200e6}, 10, 80},
      {"50 ms queue", {.delay = milliseconds(25), .bits_per_second = 50e6, .queue_bytes = 312500}, 40, 40},
      {"2 % 15 ms", {.delay = microseconds(7500), .loss = 0.02, .bits_per_second = 400e6}, 1, 100},
      {"shallow 50 ms", {.delay = milliseconds(25), .bits_per_second = 100e6, .queue_bytes = 60000}, 40, 40},
      {"reorder",
       {.delay = milliseconds(25), .bits_per_second = 100e6, .reorder = 0.01, .reorder_by = milliseconds(5)},
       30,
       30},
  };
  for (const Row &row : rows) {
    for (Congestion kind : {Congestion::cubic, Congestion::bbr}) {
      double total = 0;
      for (uint32_t seed = 1; seed <= 2; seed++) total += goodput(row.wire, kind, seconds(8), seed);
      total /= 2;
      bool cubic = kind == Congestion::cubic;
      INFO(row.name << (cubic ? " cubic" : " bbr"));
      if (std::getenv("SLIPGATE_SIM_PRINT"))
        std::printf("%-24s %-6s %8.1f\n", row.name, cubic ? "cubic" : "bbr", total);
      CHECK(total >= (cubic ? row.cubic : row.bbr));
    }
  }
}
