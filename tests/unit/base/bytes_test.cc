#include "base/bytes.h"

#include <array>

#include "support/catch.h"

using namespace slipgate;

TEST_CASE("wire integers keep their order at any alignment") {
  std::array<uint8_t, 16> memory{};
  auto &big = *reinterpret_cast<be32 *>(memory.data() + 1);
  big = 0x01020304;
  CHECK(memory[1] == 1);
  CHECK(memory[4] == 4);
  CHECK(big.value() == 0x01020304);
  auto &little = *reinterpret_cast<le64 *>(memory.data() + 5);
  little = 0x0102030405060708;
  CHECK(memory[5] == 8);
  CHECK(memory[12] == 1);
  CHECK(little == 0x0102030405060708u);
  CHECK(byte_swap(uint16_t{0x1234}) == 0x3412);
}

TEST_CASE("a view is null when there are too few bytes") {
  std::array<uint8_t, 8> memory{0, 1, 2, 3, 4, 5, 6, 7};
  CHECK(view_as<be64>(Bytes(memory)));
  CHECK(view_as<be64>(Bytes(memory))->value() == 0x0001020304050607u);
  CHECK_FALSE(view_as<be64>(Bytes(memory).first(7)));
  CHECK_FALSE(view_as<be16>(Bytes()));
}

TEST_CASE("a reader past the end gives zeros and stays failed") {
  std::array<uint8_t, 7> memory{1, 2, 3, 4, 5, 6, 7};
  ByteReader reader{Bytes(memory)};
  CHECK(reader.u8() == 1);
  CHECK(reader.u16() == 0x0203);
  CHECK(reader.remaining() == 4);
  CHECK(reader.u64() == 0);
  CHECK_FALSE(reader.ok());
  CHECK(reader.u8() == 0);
  CHECK(reader.remaining() == 0);
  CHECK(reader.take(0).empty());
  CHECK(reader.rest().empty());
}

TEST_CASE("a reader seeks inside its bytes only") {
  std::array<uint8_t, 4> memory{1, 2, 3, 4};
  ByteReader reader{Bytes(memory)};
  reader.seek(2);
  CHECK(reader.u16() == 0x0304);
  reader.seek(0);
  CHECK(reader.u32() == 0x01020304);
  reader.seek(4);
  CHECK(reader.ok());
  reader.seek(5);
  CHECK_FALSE(reader.ok());
  reader.seek(0);
  CHECK_FALSE(reader.ok());
}

TEST_CASE("a reader takes a count that wraps for too many") {
  std::array<uint8_t, 4> memory{1, 2, 3, 4};
  ByteReader reader{Bytes(memory)};
  reader.skip(3);
  CHECK(reader.take(SIZE_MAX).empty());
  CHECK_FALSE(reader.ok());
}

TEST_CASE("a writer writes all of a value or nothing") {
  std::array<uint8_t, 7> room{};
  ByteWriter writer{MutableBytes(room)};
  writer.u32(0x01020304);
  writer.u32(0x05060708);
  CHECK_FALSE(writer.ok());
  CHECK(writer.size() == 4);
  CHECK(room[4] == 0);
  writer.u8(9);
  CHECK(writer.size() == 4);
  CHECK(writer.written().size() == 4);
}

TEST_CASE("a writer reserves room to be filled in later") {
  std::array<uint8_t, 12> room{};
  ByteWriter writer{MutableBytes(room)};
  MutableBytes length = writer.reserve(2);
  writer.put(bytes_of(std::string_view("abc")));
  REQUIRE(length.size() == 2);
  length[1] = 3;
  CHECK(text_of(writer.written()) == std::string_view("\0\3abc", 5));
  writer.truncate(2);
  CHECK(writer.size() == 2);
  writer.truncate(9);
  CHECK(writer.size() == 2);
  writer.u64(1);
  CHECK(writer.ok());
  writer.put({});
  CHECK(writer.ok());
}
