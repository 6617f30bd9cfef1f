#include "io/signals.h"

#include <asio/signal_set.hpp>
#include <utility>

namespace slipgate {

struct Signals::State : std::enable_shared_from_this<State> {
  State(Loop &loop, std::function<void(int)> told) : signals(loop.context()), handler(std::move(told)) {}

  void wait() {
    signals.async_wait([self = shared_from_this()](const asio::error_code &failed, int signal) {
      if (failed) return;
      self->wait();
      self->handler(signal);
    });
  }

  asio::signal_set signals;
  std::function<void(int)> handler;
};

Signals::Signals(Loop &loop, std::initializer_list<int> signals, std::function<void(int)> handler)
    : state_(std::make_shared<State>(loop, std::move(handler))) {
  for (int signal : signals) state_->signals.add(signal);
  state_->wait();
}

Signals::~Signals() {
  asio::error_code ignored;
  state_->signals.clear(ignored);
  state_->signals.cancel(ignored);
}

}  // namespace slipgate
