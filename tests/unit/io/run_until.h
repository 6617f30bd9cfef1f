// Turning a loop in a test until something is so, and running a task to its result.
#pragma once

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <functional>
#include <optional>

#include "io/loop.h"

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

}  // namespace slipgate::test
