// Turning a loop in a test until something is so, and running a task to its result.
#pragma once

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <functional>
#include <optional>

#include "io/loop.h"
#include "io/relay.h"

namespace slipgate::test {

// False: it never became so.
inline bool run_until(Loop &loop, const std::function<bool()> &condition, Duration limit = seconds(10)) {
  Time end = BootClock::now() + limit;
  while (!condition()) {
    if (BootClock::now() > end) return false;
    loop.turn(milliseconds(20));
  }
  return true;
}

// Turns as often as it takes for everything that is ready to have been told.
inline void run_ready(Loop &loop, int turns = 20) {
  for (int i = 0; i < turns; i++) loop.turn(milliseconds(1));
}

template <typename T>
Task<> keep_result(Task<T> task, std::optional<T> *result) {
  result->emplace(co_await std::move(task));
}

template <typename T>
void spawn(Loop &loop, Task<T> task, std::optional<T> *result) {
  asio::co_spawn(loop.context(), keep_result(std::move(task), result), asio::detached);
}

// A relay whose result is kept.
struct Relayed : RelayResult {
  uint64_t bytes_up = 0, bytes_down = 0;
};
inline void relay_to(Loop &loop, StreamPtr inside, StreamPtr outside, Duration idle, std::optional<Relayed> *result) {
  struct Keep final : RelayEnd {
    explicit Keep(std::optional<Relayed> *to) : kept(to) {}
    void on_relay_end(const RelayResult &ended) override { *kept = Relayed{ended, moved.bytes_up, moved.bytes_down}; }
    Traffic &traffic() override { return moved; }
    std::optional<Relayed> *kept;
    Traffic moved;
  };
  relay(loop, std::move(inside), std::move(outside), idle, std::make_unique<Keep>(result));
}

}  // namespace slipgate::test
