// Starting coroutines, and calling them off.
//
// Lives on one shard. A task owns what was moved into it; what it refers to outlives it (Loop::abandon() ends those
// that still wait).
#pragma once

#include <memory>

#include "io/loop.h"

namespace slipgate {

// Starts a task that nobody waits for. It handles its own errors.
void spawn(Loop &loop, Task<> task);

// What calls one task off: what it waits for ends as cancelled (waits, relays, dials). Made first, given to spawn(),
// which lets it live as long as the task; whoever may have to cancel keeps a weak pointer.
class TaskCancel {
 public:
  static std::shared_ptr<TaskCancel> make();
  virtual ~TaskCancel() = default;
  // Not from within a call that the task is waiting in: post it.
  virtual void cancel() = 0;
};

void spawn(Loop &loop, Task<> task, std::shared_ptr<TaskCancel> cancel);

}  // namespace slipgate
