#include "wire/firecracker.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>
#include <string_view>

namespace slipgate {

std::vector<uint8_t> make_firecracker_request(uint32_t port) {
  std::vector<uint8_t> request;
  fmt::format_to(std::back_inserter(request), "CONNECT {}\n", port);
  return request;
}

FirecrackerAnswer parse_firecracker_answer(Bytes bytes) {
  using State = FirecrackerAnswer::State;
  constexpr std::string_view kStart = "OK ";
  constexpr size_t kMost = kStart.size() + std::string_view("4294967295\n").size();
  const std::string_view text = text_of(bytes), known = text.substr(0, kStart.size());
  if (known != kStart.substr(0, known.size())) return {};
  const size_t end = text.substr(0, kMost).find('\n');
  if (end == std::string_view::npos) return {.state = text.size() < kMost ? State::incomplete : State::malformed};
  FirecrackerAnswer answer{.state = State::complete, .size = end + 1};
  const char *last = text.data() + end;
  auto [stop, error] = std::from_chars(text.data() + kStart.size(), last, answer.port);
  if (error != std::errc() || stop != last) return {};
  return answer;
}

}  // namespace slipgate
