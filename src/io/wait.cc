#include "io/wait.h"

#include <asio/associated_cancellation_slot.hpp>
#include <asio/async_result.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <utility>

namespace slipgate {

namespace {

constexpr asio::use_awaitable_t<asio::io_context::executor_type> kAwait;

}  // namespace

// The suspended coroutine.
class Event::Waiter : public Parked {
 public:
  using Parked::Parked;
  virtual void finish(Woken woken) = 0;  // and destroys itself
};

// The same for whatever Asio's handler is called in this version.
template <typename Handler>
class Event::HandlerWaiter final : public Waiter {
 public:
  HandlerWaiter(Event &event, Handler handler)
      : Waiter(event.loop_), event_(event), loop_(event.loop_), handler_(std::move(handler)) {}
  // The loop may abandon the coroutine while the event, a member of something else, stays: nobody waits then. Here and
  // not in the base: the handler owns the coroutine, and that may own the event.
  ~HandlerWaiter() override {
    if (event_.waiter_ != this) return;
    event_.waiter_ = nullptr;
    event_.timer_.cancel();
  }

  Handler &handler() { return handler_; }

  void finish(Woken woken) override {
    asio::post(loop_.context(), [handler = std::move(handler_), woken]() mutable {
      // Not earlier: finish() may have been called from within the slot's own handler.
      asio::get_associated_cancellation_slot(handler).clear();
      std::move(handler)(woken);
    });
    delete this;
  }

 private:
  Event &event_;
  Loop &loop_;
  Handler handler_;
};

void Event::notify() {
  if (waiter_) {
    finish(Woken::notified);
  } else {
    notified_ = true;
  }
}

Task<Woken> Event::wait(Time deadline) {
  return asio::async_initiate<decltype(kAwait), void(Woken)>(
      [this, deadline](auto handler) {
        using Handler = decltype(handler);
        auto *waiter = new HandlerWaiter<Handler>(*this, std::move(handler));
        waiter_ = waiter;
        if (std::exchange(notified_, false)) {
          finish(Woken::notified);
          return;
        }
        if (deadline != kNever) loop_.timers().arm(timer_, deadline);
        auto slot = asio::get_associated_cancellation_slot(waiter->handler());
        if (slot.is_connected()) slot.assign([this](asio::cancellation_type) { finish(Woken::cancelled); });
      },
      kAwait);
}

void Event::finish(Woken woken) {
  timer_.cancel();
  if (Waiter *waiter = std::exchange(waiter_, nullptr)) waiter->finish(woken);
}

void Event::on_timer(Timer &, Time) {
  finish(Woken::timed_out);
}

}  // namespace slipgate
