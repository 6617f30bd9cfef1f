// TCP between two stacks over a simulated wire.
#include "sim/network.h"
#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::sim;

namespace {

void check_transfer(const WireOptions &up, const WireOptions &down, uint64_t bytes, Duration limit, bool v4 = true,
                    uint32_t seed = 1) {
  Network network(up, down, seed);
  auto session = open_session(network, 40000, bytes, bytes, v4);
  bool done = network.run_until([&] { return session->done(); }, limit);
  REQUIRE(session->client);
  REQUIRE(session->gateway);
  CHECK(session->client->received == bytes);
  CHECK(session->gateway->received == bytes);
  CHECK(session->client->corrupt == 0);
  CHECK(session->gateway->corrupt == 0);
  CHECK(done);
}

}  // namespace

TEST_CASE("bulk both ways over a clean wire") {
  for (bool v4 : {true, false}) check_transfer({}, {}, 20'000'000, seconds(20), v4);
}
