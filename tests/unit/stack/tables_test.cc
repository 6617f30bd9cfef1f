// The parts of the stack that can be tested alone: the hash, the table, the buffers.
#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include "stack/connection_table.h"
#include "stack/send_buffer.h"
#include "stack/siphash.h"
#include "support/catch.h"

using namespace slipgate;

TEST_CASE("SipHash-1-3, values of an independent implementation") {
  // Key 00 01 ... 0f, message 00 01 ... (n-1), as the paper's vectors are made. The independent implementation gives
  // the paper's value for SipHash-2-4 of 15 bytes.
  const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  uint8_t message[16];
  for (uint8_t i = 0; i < 16; i++) message[i] = i;
  CHECK(siphash(key, Bytes(message, 0)) == 0xabac0158050fc4dc);
  CHECK(siphash(key, Bytes(message, 1)) == 0xc9f49bf37d57ca93);
  CHECK(siphash(key, Bytes(message, 8)) == 0x369095118d299a8e);
  CHECK(siphash(key, Bytes(message, 15)) == 0xd320d86d2a519956);
}

TEST_CASE("the table against a naive twin [tcp-demultiplexed-by-hash]") {
  const uint64_t secret[2] = {1, 2};
  ConnectionTable table(secret);
  std::vector<std::unique_ptr<TcpEntry>> twin;
  std::mt19937 random(1);
  auto key_of = [](uint32_t number) {
    FlowKey key;
    key.inside = {IpAddress::v4(10, 0, 0, static_cast<uint8_t>(number % 3)), static_cast<uint16_t>(number)};
    key.outside = {IpAddress::v4(192, 0, 2, 1), 80};
    key.link = static_cast<uint16_t>(number % 2);
    return key;
  };
  for (int step = 0; step < 20'000; step++) {
    FlowKey key = key_of(random() % 3000);
    auto known = std::find_if(twin.begin(), twin.end(), [&](auto &entry) { return entry->key == key; });
    TcpEntry *found = table.find(key);
    REQUIRE((known == twin.end() ? nullptr : known->get()) == found);
    if (!found) {
      twin.push_back(std::make_unique<TcpEntry>(TcpEntry::Kind::connection, key, 1));
      table.insert(*twin.back());
    } else if (random() % 2) {
      table.remove(*found);
      twin.erase(known);
    }
    REQUIRE(table.size() == twin.size());
  }
  // Where an entry is, it is found at once: few have far to go, whatever their keys.
  size_t far = 0;
  for (auto &entry : twin) far = std::max(far, table.distance(*entry));
  CHECK(far < 64);
  for (auto &entry : twin) table.remove(*entry);
  CHECK(table.any() == nullptr);
}

TEST_CASE("a send buffer against a string") {
  ChunkPool pool;
  SendBuffer buffer(pool);
  std::string twin;  // not acknowledged
  size_t given = 0;  // of it
  std::mt19937 random(7);
  uint8_t next = 0;
  for (int step = 0; step < 20'000; step++) {
    switch (random() % 3) {
      case 0: {
        std::string text(random() % 5000, ' ');
        for (char &c : text) c = static_cast<char>(next++);
        size_t half = text.size() / 2;
        iovec pieces[2] = {{text.data(), half}, {text.data() + half, text.size() - half}};
        size_t count = text.empty() ? 0 : random() % text.size();
        buffer.append(pieces, count);
        next = static_cast<uint8_t>(next - (text.size() - count));
        twin += text.substr(0, count);
        break;
      }
      case 1: {
        Bytes piece = buffer.next(1 + random() % 40'000);
        REQUIRE(text_of(piece) == twin.substr(given, piece.size()));
        REQUIRE((piece.empty() == (given == twin.size())));
        size_t taken = piece.empty() ? 0 : 1 + random() % piece.size();
        buffer.give(taken);
        given += taken;
        break;
      }
      case 2: {
        size_t count = given ? random() % (given + 1) : 0;
        buffer.release(count);
        twin.erase(0, count);
        given -= count;
        break;
      }
    }
    REQUIRE(buffer.size() == twin.size());
    REQUIRE(buffer.waiting() == twin.size() - given);
    if (given > 0 && step % 10 == 0) {
      size_t offset = random() % given;
      std::vector<uint8_t> copy(std::min<size_t>(given - offset, 1400));
      buffer.copy(offset, copy);
      REQUIRE(text_of(copy) == twin.substr(offset, copy.size()));
    }
    if (twin.size() > 400'000) {
      buffer.give(twin.size() - given);
      buffer.release(twin.size());
      twin.clear();
      given = 0;
    }
  }
}
