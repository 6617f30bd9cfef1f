#include "base/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace slipgate {

// Level L holds the timers whose tick differs from the current one first in its L-th group of six bits: level 0 the
// next 64 ticks one slot each, level 1 the next 64 x 64, and so on. When the current tick enters a slot of a higher
// level, that slot's timers are placed again, one level or more lower.

void Timer::cancel() {
  if (armed()) wheel_->unlink(*this);
}

TimerWheel::TimerWheel(Time now) : now_(now), tick_(tick_of(now)) {}

TimerWheel::~TimerWheel() {
  for (auto &level : slots_) {
    for (Timer *&slot : level) {
      while (slot) unlink(*slot);
    }
  }
}

uint64_t TimerWheel::tick_of(Time time) {
  auto since = time.time_since_epoch();
  return since.count() <= 0 ? 0 : static_cast<uint64_t>((since.count() - 1) / kTick.count() + 1);
}

void TimerWheel::arm(Timer &timer, Time deadline) {
  if (timer.armed()) unlink(timer);
  timer.wheel_ = this;
  timer.deadline_ = deadline;
  place(timer);
}

void TimerWheel::place(Timer &timer) {
  uint64_t horizon = tick_ + (uint64_t{1} << (kBits * kLevels)) - 1;
  uint64_t tick = std::clamp(timer.deadline_ == kNever ? horizon : tick_of(timer.deadline_), tick_, horizon);
  uint64_t difference = tick ^ tick_;
  int level = difference == 0 ? 0 : (63 - std::countl_zero(difference)) / kBits;
  // A carry may reach past the top level; such a timer waits in the last slot and is placed again from there.
  level = std::min(level, kLevels - 1);
  int slot = static_cast<int>(tick >> (kBits * level)) & (kSlots - 1);
  Timer *&head = slots_[level][slot];
  timer.next_ = head;
  if (head) head->previous_ = &timer.next_;
  head = &timer;
  timer.previous_ = &head;
  occupied_[level] |= uint64_t{1} << slot;
  armed_++;
}

void TimerWheel::unlink(Timer &timer) {
  Timer **head = timer.previous_;  // a slot's, when it is the first there
  Timer **const first = &slots_[0][0];
  *timer.previous_ = timer.next_;
  if (timer.next_) timer.next_->previous_ = timer.previous_;
  timer.next_ = nullptr;
  timer.previous_ = nullptr;
  timer.deadline_ = kNever;
  armed_--;
  // An emptied slot is no reason to wake: timers that are armed and cancelled with every packet would be one every
  // tick.
  if (*head || std::less<Timer **>()(head, first) || !std::less<Timer **>()(head, first + kLevels * kSlots)) return;
  size_t slot = static_cast<size_t>(head - first);
  occupied_[slot / kSlots] &= ~(uint64_t{1} << (slot % kSlots));
}

void TimerWheel::advance(Time now) {
  now_ = std::max(now_, now);
  // Rounded down: a timer fires once its whole tick has passed.
  uint64_t target = static_cast<uint64_t>(std::max<int64_t>(now_.time_since_epoch().count(), 0) / kTick.count());
  while (tick_ <= target) {
    // Enter the tick: what higher levels hold for this group of ticks moves down.
    for (int level = kLevels - 1; level > 0; level--) {
      if (tick_ & ((uint64_t{1} << (kBits * level)) - 1)) continue;
      int slot = static_cast<int>(tick_ >> (kBits * level)) & (kSlots - 1);
      occupied_[level] &= ~(uint64_t{1} << slot);
      Timer *list = slots_[level][slot];
      slots_[level][slot] = nullptr;
      while (list) {
        Timer *timer = list;
        list = timer->next_;
        armed_--;
        place(*timer);
      }
    }
    int slot = static_cast<int>(tick_) & (kSlots - 1);
    Timer *due = slots_[0][slot];
    slots_[0][slot] = nullptr;
    occupied_[0] &= ~(uint64_t{1} << slot);
    // What a callback arms for now or earlier belongs to the next tick: one that re-arms itself for ever cannot hold us
    // here.
    tick_++;
    if (due) due->previous_ = &due;
    while (due) {
      Timer &timer = *due;
      unlink(timer);
      timer.target_.on_timer(timer, now_);
    }
    tick_ = std::min(next_tick(), target + 1);
  }
}

// The first tick, from tick_ on, at which there is a slot to visit: its timers fire, or move down.
uint64_t TimerWheel::next_tick() const {
  uint64_t first = ~uint64_t{0};
  for (int level = 0; level < kLevels; level++) {
    uint64_t group = tick_ >> (kBits * level);
    // A higher level's slot that the tick stands inside of was emptied on entry; one that it stands before was not, and
    // may hold timers that are due earlier than those of the levels below.
    bool entered = (tick_ & ((uint64_t{1} << (kBits * level)) - 1)) != 0;
    if (entered) group++;
    // The slots from there on, and round: behind it only the top level has any, placed past its wrap.
    uint64_t ahead = std::rotr(occupied_[level], static_cast<int>(group & (kSlots - 1)));
    if (ahead == 0) continue;
    first = std::min(first, (group + std::countr_zero(ahead)) << (kBits * level));
  }
  return first;
}

Time TimerWheel::next_deadline() const {
  if (armed_ == 0) return kNever;
  uint64_t tick = next_tick();
  bool representable = tick <= static_cast<uint64_t>(kNever.time_since_epoch().count() / kTick.count());
  return representable ? Time(kTick * static_cast<int64_t>(tick)) : kNever;
}

}  // namespace slipgate
