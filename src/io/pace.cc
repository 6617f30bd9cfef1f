#include "io/pace.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace slipgate {

PaceWaiter::~PaceWaiter() {
  if (pace_) pace_->remove(*this);
}

Pace::~Pace() {
  rate_ = kNoLimit;
  while (first_) wake(*first_, 0);
}

double Pace::depth() const {
  constexpr double kLeast = 16 * 1024;
  return std::max(static_cast<double>(rate_) / 10, kLeast);
}

double Pace::quantum() const {
  constexpr double kLeast = 512;
  return std::max(static_cast<double>(rate_) / 200, kLeast);
}

Duration Pace::time_for(double bytes) const {
  return Duration(static_cast<int64_t>(std::max(bytes, 1.0) / static_cast<double>(rate_) * 1e9));
}

void Pace::set_rate(uint64_t rate) {
  if (rate == rate_) return;
  fill();
  const bool was_none = rate_ == kNoLimit;
  rate_ = rate;
  if (rate_ == kNoLimit) {
    timer_.cancel();
    while (first_) wake(*first_, 0);
    return;
  }
  left_ = was_none ? depth() : std::min(left_, depth());
  if (first_) timers_.arm(timer_, timers_.now());
}

void Pace::fill() {
  const Time now = timers_.now();
  const double passed = std::chrono::duration<double>(now - std::exchange(filled_, now)).count();
  if (rate_ != kNoLimit) left_ = std::min(left_ + passed * static_cast<double>(rate_), depth());
}

size_t Pace::grant(PaceWaiter &who) {
  if (rate_ == kNoLimit) return std::numeric_limits<size_t>::max();
  if (who.pace_ == this) return 0;
  if (const size_t granted = std::exchange(who.granted_, 0)) return granted;
  fill();
  // Whoever waits was there before.
  if (!first_ && left_ >= std::min(quantum(), 1500.0)) return static_cast<size_t>(left_);
  enqueue(who);
  return 0;
}

void Pace::charge(size_t bytes) {
  if (rate_ != kNoLimit) left_ -= static_cast<double>(bytes);
}

bool Pace::admit(size_t bytes) {
  if (rate_ == kNoLimit) return true;
  fill();
  if (left_ <= 0) return false;  // lesson: pace-admits-within-rate
  charge(bytes);
  return true;
}

void Pace::enqueue(PaceWaiter &who) {
  who.pace_ = this;
  who.previous_ = last_;
  (last_ ? last_->next_ : first_) = &who;
  last_ = &who;
  if (waiting_++ > 0) return;
  if (woken_ < timers_.now() - time_for(quantum())) woken_ = timers_.now() - time_for(quantum());
  timers_.arm(timer_, timers_.now() + time_for(quantum() - left_));
}

void Pace::remove(PaceWaiter &who) {
  (who.previous_ ? who.previous_->next_ : first_) = who.next_;
  (who.next_ ? who.next_->previous_ : last_) = who.previous_;
  who.next_ = who.previous_ = nullptr;
  who.pace_ = nullptr;
  if (--waiting_ == 0) timer_.cancel();
}

void Pace::wake(PaceWaiter &who, size_t granted) {
  remove(who);
  who.granted_ = granted;
  who.on_pace();
}

void Pace::on_timer(Timer &timer, Time now) {
  fill();
  // Packets that nobody holds back may take all that comes: then who waits borrows, at half the rate.
  const Time overdue = woken_ + time_for(2 * quantum());
  if (left_ < quantum() && now < overdue) {  // lesson: pace-waiters-get-half
    timers_.arm(timer, std::min(overdue, now + time_for(quantum() - left_)));
    return;
  }
  woken_ = now;
  double budget = std::max(left_, quantum());
  const double share = std::max(quantum(), budget / static_cast<double>(waiting_));
  for (int woken = 0; first_ && woken < kWokenAtOnce && budget > 0; woken++) {
    wake(*first_, static_cast<size_t>(share));
    budget -= share;
  }
  if (first_) timers_.arm(timer, now + time_for(quantum()));
}

}  // namespace slipgate
