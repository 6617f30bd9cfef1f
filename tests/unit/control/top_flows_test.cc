#include "control/top_flows.h"

#include <cmath>

#include "support/catch.h"
#include "unit/io/run_until.h"

using namespace slipgate;

namespace {

FlowStatus flow(uint16_t port, uint64_t up, uint64_t down, Time opened) {
  FlowStatus status;
  status.key.inside.port = port;
  status.bytes_up = up;
  status.bytes_down = down;
  status.opened = opened;
  return status;
}

bool near(double value, double wanted) {
  return std::abs(value - wanted) < 1e-6 * wanted;
}

}  // namespace

TEST_CASE("the busiest flows come first, by what moved since the look before") {
  Loop loop;
  loop.turn(Duration{});
  const Time start = loop.now();
  std::vector<FlowStatus> flows{flow(1, 1000000, 0, start), flow(2, 500, 500, start), flow(3, 0, 0, start)};
  int looks = 0;
  TopFlows top(loop, [&] {
    looks++;
    return flows;
  });
  size_t total = 0;
  std::vector<FlowRate> first = top.busiest(10, total);
  CHECK(total == 3);
  for (const FlowRate &rate : first) CHECK(rate.up + rate.down == 0);  // nothing is known yet
  flows[1].bytes_down += 700;
  flows[2].bytes_up += 60000;
  // The port of the first is used again: another flow, all of whose bytes are new.
  flows[0] = flow(1, 100, 0, start + seconds(1));
  CHECK(top.busiest(10, total).size() == 3);
  CHECK(looks == 1);  // too soon for another look

  test::run_until(loop, [&] { return loop.now() >= start + milliseconds(510); });
  std::vector<FlowRate> rates = top.busiest(2, total);
  CHECK(looks == 2);
  CHECK(total == 3);
  REQUIRE(rates.size() == 2);
  const double elapsed = std::chrono::duration<double>(loop.now() - start).count();
  CHECK(rates[0].flow.key.inside.port == 3);
  CHECK(near(rates[0].up, 60000 / elapsed));
  CHECK(rates[1].flow.key.inside.port == 2);
  CHECK(near(rates[1].down, 700 / elapsed));
  CHECK(rates[1].up == 0);
  rates = top.busiest(3, total);
  CHECK(near(rates[2].up, 100 / elapsed));
}
