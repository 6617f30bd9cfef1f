#include "base/packet.h"

#include <cstring>
#include <vector>

#include "support/catch.h"

using namespace slipgate;

TEST_CASE("a packet has its room round it") {
  BufferPool pool(2048, 4, 4);
  Packet packet = pool.allocate(1000);
  REQUIRE(packet);
  CHECK(packet.size() == 1000);
  CHECK(packet.headroom() == Packet::kHeadroom);
  CHECK(packet.tailroom() == 2048 - 1000 - Packet::kHeadroom);
  std::memset(packet.data(), 7, packet.size());
  packet.grow_front(16);
  packet.grow_back(16);
  CHECK(packet.size() == 1032);
  CHECK(packet.data()[16] == 7);
  packet.shrink_front(16);
  packet.shrink_back(16);
  CHECK(packet.size() == 1000);
  CHECK(packet.headroom() == Packet::kHeadroom);
  packet.resize(10);
  CHECK(packet.bytes().size() == 10);
  packet.resize(1000);
  CHECK(packet.data()[999] == 7);
}

TEST_CASE("the last handle gives the buffer back") {
  BufferPool pool(256, 4, 4);
  Packet whole = pool.allocate(100, 0);
  whole.client = 5;
  whole.link = 2;
  Packet part = whole.slice(10, 20);
  CHECK(part.client == 5);
  CHECK(part.link == 2);
  CHECK(part.headroom() == 0);
  CHECK(part.tailroom() == 0);
  whole.data()[10] = 42;
  CHECK(part.data()[0] == 42);
  whole.reset();
  CHECK_FALSE(whole);
  CHECK(pool.alive() == 1);
  CHECK(part.held_bytes() == 256);
  part = Packet();
  CHECK(pool.alive() == 0);
}

TEST_CASE("moving a packet leaves nothing behind") {
  BufferPool pool(256, 4, 4);
  Packet first = pool.allocate(100, 0);
  Packet second = std::move(first);
  CHECK_FALSE(first);
  CHECK(first.bytes().empty());
  Packet third = pool.allocate(50, 0);
  third = std::move(second);
  CHECK(third.size() == 100);
  CHECK(pool.alive() == 1);
  Packet &self = third;
  third = std::move(self);
  CHECK(third.size() == 100);
}

TEST_CASE("packet-pool-bounded: a pool gives no more buffers than it may") {
  BufferPool pool(64, 3, 1);
  std::vector<Packet> held;
  for (int i = 0; i < 3; i++) held.push_back(pool.allocate(8, 0));
  CHECK(pool.alive() == 3);
  CHECK_FALSE(pool.allocate(8, 0));
  held.pop_back();
  CHECK(pool.allocate(8, 0));
  held.clear();
  CHECK(pool.alive() == 0);
}

TEST_CASE("a carved packet may write where its parent's neighbours do not") {
  BufferPool pool(512, 2, 2);
  Packet whole = pool.allocate(300, 32);
  Packet part = carve(whole, 100, 50, 20, 30);
  CHECK(part.headroom() == 20);
  CHECK(part.tailroom() == 30);
  part.grow_front(20);
  CHECK(part.data() == whole.data() + 80);
}
