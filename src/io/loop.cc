#include "io/loop.h"

#include <algorithm>
#include <asio/post.hpp>
#include <chrono>

#include "io/poller.h"

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

Loop::Loop() : work_(context_.get_executor()), timers_(BootClock::now()), poller_(std::make_unique<Poller>(*this)) {}

Loop::~Loop() {
  abandon();
}

void Loop::run() {
  while (!context_.stopped()) turn(hours(1));
  context_.restart();
}

void Loop::stop() {
  context_.stop();
}

// Asio does the waiting, with the wheel's next deadline as its timeout: no timer of its own is armed and cancelled
// again every turn.
void Loop::turn(Duration longest) {
  timers_.advance(BootClock::now());
  Duration wait = std::clamp(timers_.next_deadline() - timers_.now(), Duration(0), longest);
  for (const auto &rank : waiting_) {
    if (!rank.empty()) wait = Duration(0);
  }
  poller_->begin_turn();
  awake_ = false;
  size_t handled = wait > Duration(0) ? context_.run_one_for(wait) : context_.poll_one();
  // Asking Asio for more costs a system call: only when there is something.
  for (int i = 1; posted_ && handled && i < kHandlersPerTurn; i++) handled = context_.poll_one();
  posted_ = false;
  awake_ = true;
  timers_.advance(BootClock::now());
  turn_end();
}

void Loop::abandon() {
  // Asio unwinds the coroutine of a handler that is dropped in a posted handler; what it held may drop others in turn.
  do {
    while (parked_) delete parked_;
    context_.restart();
    context_.poll();
  } while (parked_);
}

Time Loop::now() {
  return awake_ ? timers_.now() : BootClock::now();
}

void Loop::wake() {
  if (awake_) return;
  awake_ = true;
  timers_.advance(BootClock::now());
}

void Loop::post(std::function<void()> work) {
  asio::post(context_, [this, work = std::move(work)] {
    wake();
    work();
  });
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
