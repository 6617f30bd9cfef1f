// The process's signals as events of a loop: one of these per process, made before other threads are (they inherit that
// the signals are blocked).
#pragma once

#include <signal.h>

#include <functional>
#include <initializer_list>

#include "io/fd.h"
#include "io/loop.h"

namespace slipgate {

class Signals final : Pollable {
 public:
  Signals(Loop &loop, std::initializer_list<int> signals, std::function<void(int signal)> handler);
  ~Signals();  // they have their former effect again
  Signals(const Signals &) = delete;
  Signals &operator=(const Signals &) = delete;

 private:
  void on_events(uint32_t events) override;

  Loop &loop_;
  const std::function<void(int)> handler_;
  sigset_t former_;  // what was blocked before
  Fd descriptor_;    // a signalfd
};

// While it stands, no signal reaches the thread that made it, nor ever those that it starts: signals are for the thread
// that controls the process. But for SIGSYS, which tells a thread of its own system call (control/sandbox.h): blocked,
// it would be deadly.
class SignalsHeld {
 public:
  SignalsHeld();
  ~SignalsHeld();
  SignalsHeld(const SignalsHeld &) = delete;
  SignalsHeld &operator=(const SignalsHeld &) = delete;

 private:
  sigset_t before_;
};

}  // namespace slipgate
