#include "stack/scoreboard.h"

namespace slipgate {

bool Scoreboard::split(size_t at, uint32_t size) {
  if (this->size() >= kMostRuns) return false;
  SentRun behind = (*this)[at];
  behind.begin += size;
  SentRun &before = (*this)[at];
  before.end = behind.begin;
  // They left one after the other.
  before.in_flight -= behind.size();
  runs_.insert(runs_.begin() + static_cast<ptrdiff_t>(first_ + at + 1), behind);
  return true;
}

// Of what the peer holds nothing but its extent matters: one run of what were two.
void Scoreboard::merge_sacked(size_t at) {
  (*this)[at].end = (*this)[at + 1].end;
  runs_.erase(runs_.begin() + static_cast<ptrdiff_t>(first_ + at + 1));
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
