#include "wire/firecracker.h"

#include <string>

#include "support/catch.h"

namespace slipgate {

TEST_CASE("Firecracker: the request") {
  CHECK(text_of(make_firecracker_request(52)) == "CONNECT 52\n");
  CHECK(text_of(make_firecracker_request(4294967295)) == "CONNECT 4294967295\n");
}

TEST_CASE("Firecracker: the answer") {
  using State = FirecrackerAnswer::State;
  struct Row {
    std::string text;
    State state;
  };
  const Row rows[] = {
      {"", State::incomplete},
      {"O", State::incomplete},
      {"OK ", State::incomplete},
      {"OK 4294967295", State::incomplete},
      {"OK 1\n", State::complete},
      {"OK 4294967295\nhello", State::complete},
      {"OK 4294967296\n", State::malformed},
      {"OK \n", State::malformed},
      {"OK 1 \n", State::malformed},
      {"OK 1\r\n", State::malformed},
      {"OK -1\n", State::malformed},
      {"ok 1\n", State::malformed},
      {"NO\n", State::malformed},
      {"OK 00000000001", State::malformed},
  };
  for (const Row &row : rows) {
    INFO(row.text);
    CHECK(parse_firecracker_answer(bytes_of(row.text)).state == row.state);
  }
  const FirecrackerAnswer answer = parse_firecracker_answer(bytes_of("OK 1073741824\nhello"));
  CHECK(answer.size == 14);
  CHECK(answer.port == 1073741824);
}

}  // namespace slipgate
