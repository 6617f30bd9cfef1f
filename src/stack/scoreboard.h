// What is in flight: runs of bytes that were sent together, what the peer said it holds of them (SACK, RFC 2018), what
// is taken for lost, and for each run how the connection stood when it left (draft-ietf-ccwg-bbr section 4.1).
//
// Runs follow each other without gaps from the last acknowledgment to the last byte sent. One is cut only where a
// packet ended, so a peer that reports odd bytes makes nothing grow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "wire/tcp.h"

namespace slipgate {

struct SentRun {
  uint32_t begin, end;   // sequence numbers
  Time sent;             // last
  Time first_sent;       // start of the sampling interval: when the packet that was delivered last then had left
  Time delivered_at;     // when something was last delivered, as this left
  uint64_t delivered;    // the connection's total, as this left
  uint64_t lost_before;  // the same for what was lost
  uint32_t in_flight;    // as this left, it included
  bool sacked : 1;       // the peer has it
  bool lost : 1;         // taken for lost, and not sent again since
  bool resent : 1;       // at least once
  bool app_limited : 1;  // the window had room and there was nothing to send

  uint32_t size() const { return end - begin; }
};

class Scoreboard {
 public:
  // Runs held; what a peer reports beyond is not believed.
  static constexpr size_t kMostRuns = 4096;

  explicit Scoreboard(uint32_t mss) : mss_(mss) {}

  bool empty() const { return first_ == runs_.size(); }
  size_t size() const { return runs_.size() - first_; }
  SentRun &operator[](size_t at) { return runs_[first_ + at]; }
  const SentRun &operator[](size_t at) const { return runs_[first_ + at]; }
  SentRun &front() { return runs_[first_]; }
  SentRun &back() { return runs_.back(); }

  uint32_t sacked_bytes() const { return sacked_bytes_; }
  uint32_t lost_bytes() const { return lost_bytes_; }  // and not sent again yet
  uint32_t outstanding() const { return empty() ? 0 : runs_.back().end - runs_[first_].begin; }
  // RFC 6675 section 4 (SetPipe): what is still in the network.
  uint32_t in_flight() const { return outstanding() - sacked_bytes_ - lost_bytes_; }

  void append(const SentRun &run) { runs_.push_back(run); }
  // Everything before `sequence` is acknowledged: for each part of it that was not reported before, visit(run).
  template <typename Visit>
  void acknowledge(uint32_t sequence, const Visit &visit);
  // The peer has the whole packets in [left, right): visit(run) for what it had not reported before.
  template <typename Visit>
  void sack(uint32_t left, uint32_t right, const Visit &visit);
  // Cuts the run `at` behind `size` bytes (whole packets). False: too many runs.
  bool split(size_t at, uint32_t size);
  void mark_lost(size_t at) {
    runs_[first_ + at].lost = true;
    lost_bytes_ += runs_[first_ + at].size();
  }
  void mark_resent(size_t at) {
    if (runs_[first_ + at].lost) lost_bytes_ -= runs_[first_ + at].size();
    runs_[first_ + at].lost = false;
    runs_[first_ + at].resent = true;
  }
  // The peer forgot what it had reported (RFC 2018 section 8).
  void forget_sacked();
  // Nothing is in flight, and may not be for long.
  void release_memory();

 private:
  void merge_sacked(size_t from, size_t to);

  std::vector<SentRun> runs_;
  size_t first_ = 0;  // those before are gone
  uint32_t sacked_bytes_ = 0;
  uint32_t lost_bytes_ = 0;
  const uint32_t mss_;
};

template <typename Visit>
void Scoreboard::acknowledge(uint32_t sequence, const Visit &visit) {
  while (!empty() && sequence_before(front().begin, sequence)) {
    SentRun run = front();
    bool whole = !sequence_before(sequence, run.end);
    if (!whole) run.end = sequence;
    if (run.sacked) {
      sacked_bytes_ -= run.size();
    } else {
      if (run.lost) lost_bytes_ -= run.size();
      visit(run);
    }
    if (whole) {
      first_++;
    } else {
      front().begin = sequence;
    }
  }
  if (empty()) {
    runs_.clear();
    first_ = 0;
  } else if (first_ >= 64 && first_ * 2 >= runs_.size()) {
    runs_.erase(runs_.begin(), runs_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
}

template <typename Visit>
void Scoreboard::sack(uint32_t left, uint32_t right, const Visit &visit) {
  // The first run that reaches beyond `left`.
  size_t low = 0, high = size();
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (sequence_before(left, (*this)[middle].end)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  size_t at = low;
  for (; at < size() && sequence_before((*this)[at].begin, right); at++) {
    if ((*this)[at].sacked) continue;
    if (sequence_before((*this)[at].begin, left)) {
      uint32_t before = (left - (*this)[at].begin + mss_ - 1) / mss_ * mss_;
      if (before >= (*this)[at].size()) continue;
      if (!split(at, before)) break;
      at++;
    }
    SentRun &here = (*this)[at];
    if (sequence_before(right, here.end)) {
      uint32_t whole = (right - here.begin) / mss_ * mss_;
      if (sequence_before(right, here.begin) || whole == 0) break;
      if (!split(at, whole)) break;
    }
    SentRun &run = (*this)[at];
    if (run.lost) lost_bytes_ -= run.size();
    SentRun seen = run;
    run.sacked = true;
    run.lost = false;
    sacked_bytes_ += run.size();
    visit(seen);
  }
  merge_sacked(low > 0 ? low - 1 : 0, at + 1);
}

}  // namespace slipgate
