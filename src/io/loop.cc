#include "io/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace slipgate {

uint8_t *Scratch::stream(ScratchKeeper *keeper) {
  if (!bytes_) bytes_ = std::make_unique_for_overwrite<uint8_t[]>(kStreamBytes + kDatagramBytes);
  if (keeper_ && keeper_ != keeper) keeper_->on_scratch_wanted();
  keeper_ = keeper;
  return bytes_.get();
}

void Scratch::forget(ScratchKeeper *keeper) {
  if (keeper_ == keeper) keeper_ = nullptr;
}

uint8_t *Scratch::datagrams() {
  if (!bytes_) bytes_ = std::make_unique_for_overwrite<uint8_t[]>(kStreamBytes + kDatagramBytes);
  return bytes_.get() + kStreamBytes;
}

Parked::Parked(Loop &loop) : next_(loop.parked_), previous_(&loop.parked_) {
  if (next_) next_->previous_ = &next_;
  loop.parked_ = this;
}

Parked::~Parked() {
  *previous_ = next_;
  if (next_) next_->previous_ = previous_;
}

Loop::Loop() : work_(context_.get_executor()), timers_(BootClock::now()) {
  waker_.descriptor = Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!waker_.descriptor) throw std::system_error(errno, std::generic_category(), "eventfd");
  if (Result<void> added = poller_.add(waker_.descriptor.get(), waker_, Interest::reading); !added) {
    throw std::system_error(added.error().code, std::generic_category(), "epoll_ctl");
  }
}

Loop::~Loop() {
  abandon();
}

void Loop::run() {
  while (!stopped_) turn(hours(1));
  stopped_ = false;
}

void Loop::stop() {
  stopped_ = true;
  wake();
}

void Loop::turn(Duration longest) {
  timers_.advance(BootClock::now());
  // Of tasks that were started between turns, that the last turn's end woke, or that were beyond its share.
  bool busy = run_handlers();
  for (const auto &rank : waiting_) busy |= !rank.empty();
  {
    std::lock_guard lock(posted_mutex_);
    asleep_ = posted_.empty() && !stopped_;
    busy |= !asleep_;
  }
  Time deadline = std::min(timers_.next_deadline(), timers_.now() + longest);
  if (busy || deadline <= timers_.now()) {
    poller_.wait();
  } else {
    poller_.wait_until(deadline);
  }
  // What is due by now fires before what just happened.
  timers_.advance(BootClock::now());
  poller_.dispatch();
  run_posted();
  run_handlers();
  turn_end();
}

void Loop::abandon() {
  // Asio unwinds the coroutine of a handler that is dropped in a posted handler; what it held may drop others in turn.
  do {
    while (parked_) delete parked_;
    context_.poll();
  } while (parked_);
}

void Loop::post(std::function<void()> work) {
  {
    std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(work));
  }
  wake();
}

void Loop::wake() {
  {
    std::lock_guard lock(posted_mutex_);
    if (!std::exchange(asleep_, false)) return;
  }
  uint64_t one = 1;
  // It fails only when the counter is full, and then an event has been told.
  [[maybe_unused]] ssize_t ignored = ::write(waker_.descriptor.get(), &one, sizeof(one));
}

void Loop::run_posted() {
  std::vector<std::function<void()>> posted;
  {
    std::lock_guard lock(posted_mutex_);
    asleep_ = false;
    posted.swap(posted_);
  }
  for (const std::function<void()> &work : posted) work();
}

// True when there may be more.
bool Loop::run_handlers() {
  for (int handled = 0; handled < kHandlersPerTurn; handled++) {
    if (!context_.poll_one()) return false;
  }
  return true;
}

void Loop::at_turn_end(TurnEnd &part, int rank) {
  uint8_t bit = static_cast<uint8_t>(1 << rank);
  if (part.waiting_ & bit) return;
  part.waiting_ |= bit;
  waiting_[rank].push_back(&part);
}

void Loop::forget(TurnEnd &part) {
  if (!part.waiting_) return;
  std::replace(running_.begin(), running_.end(), &part, static_cast<TurnEnd *>(nullptr));
  for (int rank = 0; rank < kRanks; rank++) {
    if (part.waiting_ & (1 << rank)) std::erase(waiting_[rank], &part);
  }
  part.waiting_ = 0;
}

void Loop::turn_end() {
  for (int rank = 0; rank < kRanks; rank++) {
    running_.swap(waiting_[rank]);
    // By index: a part may forget another (its place becomes null), or itself.
    for (size_t i = 0; i < running_.size(); i++) {
      TurnEnd *part = running_[i];
      if (!part) continue;
      running_[i] = nullptr;
      part->waiting_ &= static_cast<uint8_t>(~(1 << rank));
      part->on_turn_end();
    }
    running_.clear();
  }
}

}  // namespace slipgate
