// The process's signals as events of a loop: one of these per process.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "io/loop.h"

namespace slipgate {

class Signals {
 public:
  Signals(Loop &loop, std::initializer_list<int> signals, std::function<void(int signal)> handler);
  ~Signals();  // they have their default effect again
  Signals(const Signals &) = delete;
  Signals &operator=(const Signals &) = delete;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace slipgate
