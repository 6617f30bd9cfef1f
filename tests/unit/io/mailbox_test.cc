#include "io/mailbox.h"

#include <atomic>
#include <string>
#include <thread>

#include "support/catch.h"

using namespace slipgate;

TEST_CASE("parcels arrive in order, on the receiver's loop") {
  Loop loop;
  std::vector<int> got;
  Mailbox<int> box(loop, 100, [&](int parcel) { got.push_back(parcel); });
  REQUIRE(box.put(1, 1));
  REQUIRE(box.put(2, 1));
  REQUIRE(got.empty());
  loop.turn(seconds(1));
  REQUIRE(got == std::vector<int>{1, 2});
  REQUIRE(box.put(3, 1));
  loop.turn(seconds(1));
  REQUIRE(got == std::vector<int>{1, 2, 3});
}

TEST_CASE("a mailbox takes no more than its capacity until somebody empties it") {
  Loop loop;
  size_t bytes = 0;
  Mailbox<std::string> box(loop, 10, [&](const std::string &parcel) { bytes += parcel.size(); });
  REQUIRE(box.put("sevenss", 7));
  REQUIRE_FALSE(box.put("four", 4));
  REQUIRE(box.put("3rd", 3));
  REQUIRE_FALSE(box.put("!", 1));
  loop.turn(seconds(1));
  REQUIRE(bytes == 10);
  REQUIRE(box.put("sevenss", 7));
}

TEST_CASE("a mailbox takes parcels from other threads while its loop sleeps") {
  constexpr int kSenders = 3, kParcels = 2000;
  Loop loop;
  int last[kSenders] = {}, count = 0;
  Mailbox<std::pair<int, int>> box(loop, kParcels * kSenders, [&](const std::pair<int, int> &parcel) {
    REQUIRE(parcel.second == last[parcel.first] + 1);  // each sender's in order
    last[parcel.first] = parcel.second;
    if (++count == kParcels * kSenders) loop.stop();
  });
  std::vector<std::thread> senders;
  for (int sender = 0; sender < kSenders; sender++) {
    senders.emplace_back([&box, sender] {
      for (int i = 1; i <= kParcels; i++) {
        if (!box.put({sender, i}, 1)) std::abort();
      }
    });
  }
  loop.run();
  for (std::thread &sender : senders) sender.join();
  REQUIRE(count == kParcels * kSenders);
}
