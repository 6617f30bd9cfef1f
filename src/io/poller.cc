#include "io/poller.h"

#include <cerrno>
#include <ctime>
#include <system_error>

namespace slipgate {

namespace {

int wait_for(int epoll, epoll_event *events, int most, Duration longest) {
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
  static bool has_nanoseconds = true;  // Linux 5.11
  if (has_nanoseconds) {
    timespec limit{.tv_sec = longest / seconds(1), .tv_nsec = (longest % seconds(1)).count()};
    int count = ::epoll_pwait2(epoll, events, most, &limit, nullptr);
    if (count >= 0 || errno != ENOSYS) return count;
    has_nanoseconds = false;
  }
#endif
  return ::epoll_wait(epoll, events, most, static_cast<int>(std::chrono::ceil<milliseconds>(longest).count()));
}

}  // namespace

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
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
  // Events of the batch at hand may still name it.
  for (int i = next_; i < count_; i++) {
    if (events_[i].data.ptr == &pollable) events_[i].data.ptr = nullptr;  // lesson: host-removed-not-told
  }
}

void Poller::rearm(int descriptor, Pollable &pollable, Interest interest) {
  epoll_event event{.events = static_cast<uint32_t>(interest), .data = {.ptr = &pollable}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor, &event);
}

void Poller::wait(Duration longest) {
  int count = wait_for(epoll_.get(), events_.data(), kBatch, longest);
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
