#include "stack/send_buffer.h"

#include <cstring>
#include <random>
#include <string>

#include "support/catch.h"

using namespace slipgate;

namespace {

std::string pattern(size_t from, size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; i++) text[i] = static_cast<char>((from + i) * 131 >> 3);
  return text;
}

std::string all_of(const SendBuffer &buffer) {
  std::string text(buffer.size(), '\0');
  buffer.copy(0, {reinterpret_cast<uint8_t *>(text.data()), text.size()});
  return text;
}

}  // namespace

TEST_CASE("bytes brought into a buffer's room are as those that were copied") {
  ChunkPool pool;
  SendBuffer buffer(pool);
  std::mt19937 random(1);
  size_t written = 0, released = 0;
  for (int round = 0; round < 2000; round++) {
    if (random() % 2 == 0) {
      const size_t most = 1 + random() % 70000;
      const std::span<const iovec> room = buffer.room(most);
      size_t offered = 0;
      for (const iovec &piece : room) offered += piece.iov_len;
      REQUIRE(offered > 0);
      REQUIRE(offered <= most);
      // All, nothing, or a part; what is not filled is not there.
      const size_t brought = random() % 3 == 0 ? offered : random() % (offered + 1);
      const std::string text = pattern(written, brought);
      size_t at = 0;
      for (const iovec &piece : room) {
        const size_t part = std::min(piece.iov_len, brought - at);
        std::memcpy(piece.iov_base, text.data() + at, part);
        at += part;
      }
      buffer.fill(brought);
      written += brought;
    } else {
      std::string text = pattern(written, random() % 5000);
      const iovec piece{text.data(), text.size()};
      buffer.append({&piece, 1}, text.size());
      written += text.size();
    }
    while (buffer.waiting() > 0 && random() % 4) {
      const Bytes next = buffer.next(40000);
      REQUIRE(text_of(next) == pattern(written - buffer.waiting(), next.size()));
      buffer.give(next.size());
    }
    const size_t given = buffer.size() - buffer.waiting();
    if (given > 0) {
      const size_t gone = random() % (given + 1);
      buffer.release(gone);
      released += gone;
    }
    REQUIRE(buffer.size() == written - released);
  }
  REQUIRE(all_of(buffer) == pattern(released, written - released));
}

TEST_CASE("room that is not used holds nothing") {
  ChunkPool pool;
  SendBuffer buffer(pool);
  REQUIRE_FALSE(buffer.room(60000).empty());
  buffer.fill(0);
  REQUIRE(buffer.size() == 0);
  REQUIRE(buffer.next(1).empty());
}
