#include "io/task.h"

#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <exception>
#include <utility>

namespace slipgate {

namespace {

struct Signal final : TaskCancel {
  void cancel() override { signal.emit(asio::cancellation_type::terminal); }
  asio::cancellation_signal signal;
};

}  // namespace

std::shared_ptr<TaskCancel> TaskCancel::make() {
  return std::make_shared<Signal>();
}

void spawn(Loop &loop, Task<> task) {
  asio::co_spawn(loop.context(), std::move(task), asio::detached);
}

void spawn(Loop &loop, Task<> task, std::shared_ptr<TaskCancel> cancel) {
  asio::cancellation_slot slot = static_cast<Signal &>(*cancel).signal.slot();
  asio::co_spawn(loop.context(), std::move(task),
                 asio::bind_cancellation_slot(slot, [cancel = std::move(cancel)](std::exception_ptr) {}));
}

}  // namespace slipgate
