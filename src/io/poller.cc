#include "io/poller.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

#include "io/loop.h"

namespace slipgate {

namespace {

constexpr uint32_t kWatched = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;  // lesson: host-hangup-told-once

}  // namespace

struct Poller::State {
  static constexpr int kBatch = 256;

  explicit State(Loop &owner) : loop(owner), descriptor(owner.context()) {
    int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
    descriptor.assign(epoll);
  }

  void wait() {
    if (std::exchange(waiting, true)) return;
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code &error) {
      if (error) return;
      waiting = false;
      loop.wake();
      dispatch();
    });
  }

  // One batch a turn, so that its end comes soon. What is left keeps the epoll descriptor readable: the next wait ends
  // at once.
  void dispatch() {
    count = ::epoll_wait(descriptor.native_handle(), events.data(), kBatch, 0);
    for (next = 0; next < count;) {
      const epoll_event &event = events[next++];
      if (event.data.ptr) static_cast<Pollable *>(event.data.ptr)->on_events(event.events);
    }
    next = count = 0;
  }

  Loop &loop;
  asio::posix::stream_descriptor descriptor;
  std::array<epoll_event, kBatch> events;
  int next = 0;  // of the batch that is being handed out
  int count = 0;
  bool waiting = false;
};

Poller::Poller(Loop &loop) : state_(std::make_unique<State>(loop)) {}
Poller::~Poller() = default;

void Poller::begin_turn() {
  state_->wait();
}

Result<void> Poller::add(int descriptor, Pollable &pollable) {
  epoll_event event{.events = kWatched, .data = {.ptr = &pollable}};
  if (::epoll_ctl(state_->descriptor.native_handle(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return Error::from_errno(errno, "cannot watch a descriptor");
  }
  return {};
}

void Poller::remove(int descriptor, Pollable &pollable) {
  ::epoll_ctl(state_->descriptor.native_handle(), EPOLL_CTL_DEL, descriptor, nullptr);
  // Events of the batch at hand may still name it.
  for (int i = state_->next; i < state_->count; i++) {
    if (state_->events[i].data.ptr == &pollable) state_->events[i].data.ptr = nullptr;  // lesson: host-removed-not-told
  }
}

void Poller::rearm(int descriptor, Pollable &pollable) {
  epoll_event event{.events = kWatched, .data = {.ptr = &pollable}};
  ::epoll_ctl(state_->descriptor.native_handle(), EPOLL_CTL_MOD, descriptor, &event);
}

}  // namespace slipgate
