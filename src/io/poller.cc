#include "io/poller.h"

#include <sys/timerfd.h>

#include <cerrno>
#include <system_error>

namespace slipgate {

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  alarm_.descriptor = Fd(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!alarm_.descriptor) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  if (Result<void> added = add(alarm_.descriptor.get(), alarm_, Interest::reading); !added) {
    throw std::system_error(added.error().code, std::generic_category(), "epoll_ctl");
  }
}

Result<void> Poller::add(int descriptor, Pollable &pollable, Interest interest) {
  epoll_event event{.events = static_cast<uint32_t>(interest), .data = {.ptr = &pollable}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return Error::from_errno(errno, "cannot watch a descriptor");
  }
  return {};
}

void Poller::remove(int descriptor, Pollable &pollable) {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
  forget(pollable);
}

void Poller::forget(Pollable &pollable) {
  // Events of the batch at hand may still name it.
  for (int i = next_; i < count_; i++) {
    if (events_[i].data.ptr == &pollable) events_[i].data.ptr = nullptr;  // lesson: host-removed-not-told
  }
}

void Poller::rearm(int descriptor, Pollable &pollable, Interest interest) {
  epoll_event event{.events = static_cast<uint32_t>(interest), .data = {.ptr = &pollable}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor, &event);
}

void Poller::wait() {
  take(::epoll_wait(epoll_.get(), events_.data(), kBatch, 0));
}

// An alarm that rings too early is left standing: what waits is mostly cancelled and armed again further away, packet
// by packet, and a system call or a programmed hardware timer for each would be most of its cost.
void Poller::wait_until(Time deadline) {
  if (deadline < alarm_.at) {
    auto since = deadline.time_since_epoch();
    itimerspec when{.it_interval = {}, .it_value = {since / seconds(1), (since % seconds(1)).count()}};
    ::timerfd_settime(alarm_.descriptor.get(), TFD_TIMER_ABSTIME, &when, nullptr);
    alarm_.at = deadline;
  }
  take(::epoll_wait(epoll_.get(), events_.data(), kBatch, -1));
}

void Poller::take(int count) {
  next_ = 0;
  count_ = count > 0 ? count : 0;  // a signal's interruption is a turn in which nothing happened
}

void Poller::dispatch() {
  while (next_ < count_) {
    const epoll_event &event = events_[next_++];
    if (event.data.ptr) static_cast<Pollable *>(event.data.ptr)->on_events(event.events);
  }
}

}  // namespace slipgate
