#include "stack/scoreboard.h"

#include <algorithm>

namespace slipgate {

bool Scoreboard::split(size_t at, uint32_t size) {
  if (this->size() >= kMostRuns) return false;
  SentRun behind = (*this)[at];
  behind.begin += size;
  SentRun &before = (*this)[at];
  before.end = behind.begin;
  // They left one after the other.
  before.in_flight -= std::min(before.in_flight, behind.size());
  runs_.insert(runs_.begin() + static_cast<ptrdiff_t>(first_ + at + 1), behind);
  return true;
}

// Of what the peer holds nothing but its extent matters: neighbours become one run. All of them at once: one SACK may
// be of thousands.
void Scoreboard::merge_sacked(size_t from, size_t to) {
  to = std::min(to, size());
  if (from >= to) return;
  size_t last = from;
  for (size_t at = from + 1; at < to; at++) {
    if ((*this)[last].sacked && (*this)[at].sacked) {
      (*this)[last].end = (*this)[at].end;
    } else if (++last != at) {
      (*this)[last] = (*this)[at];
    }
  }
  runs_.erase(runs_.begin() + static_cast<ptrdiff_t>(first_ + last + 1),
              runs_.begin() + static_cast<ptrdiff_t>(first_ + to));
}

void Scoreboard::forget_sacked() {
  for (size_t at = 0; at < size(); at++) (*this)[at].sacked = false;
  sacked_bytes_ = 0;
}

void Scoreboard::release_memory() {
  if (!empty()) return;
  runs_ = {};
  first_ = 0;
}

}  // namespace slipgate
