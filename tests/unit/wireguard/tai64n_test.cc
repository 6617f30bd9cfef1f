#include "wireguard/tai64n.h"

#include "crypto/key_text.h"
#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::wireguard;

TEST_CASE("a timestamp is TAI64N, its fine part hidden") {
  Tai64nClock clock(seconds(1'700'000'000));
  // 1,700,000,100.5 s: label 2^62 + 10 + seconds; 0x1dcd6500 ns with 24 bits cleared.
  REQUIRE(to_hex(clock.next(Time(milliseconds(100'500)))) ==
          "400000006553f16e"
          "1d000000");
}

TEST_CASE("timestamps only grow, whatever the clock does [wg-timestamp-grows]") {
  Tai64nClock clock(seconds(1'700'000'000));
  Tai64n last{};
  for (Duration since : {Duration(hours(1)), Duration(hours(1)), Duration(hours(1)) + nanoseconds(1),
                         Duration(minutes(5)), Duration(hours(1)), Duration(hours(2)), Duration(seconds(0))}) {
    const Tai64n next = clock.next(Time(since));
    REQUIRE(next > last);
    last = next;
  }
}
