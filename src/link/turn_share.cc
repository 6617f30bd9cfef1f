#include "link/turn_share.h"

#include <algorithm>
#include <iterator>

namespace slipgate {

namespace {

size_t end_of_run(std::span<Datagram> datagrams, size_t at) {
  size_t end = at + 1;
  while (end < datagrams.size() && datagrams[end].path.remote == datagrams[at].path.remote) end++;
  return end;
}

}  // namespace

bool TurnShare::in_company(std::span<Datagram> datagrams, Time now) {
  for (const Datagram &datagram : datagrams) {
    if (datagram.path.remote == last_) continue;
    if (last_.port != 0) company_until_ = now + kCompany;
    last_ = datagram.path.remote;
  }
  return now < company_until_;
}

// The slot of one that is counted or has a queue, else a free one; null: there is none.
TurnShare::Sender *TurnShare::sender_of(const Endpoint &remote) {
  Sender *free = nullptr;
  for (Sender &sender : senders_) {
    const bool taken = sender.came > 0 || !sender.queue.empty();
    if (taken && sender.remote == remote) return &sender;
    if (!taken && !free) free = &sender;
  }
  if (free) free->remote = remote;
  return free;
}

std::span<Datagram> TurnShare::arrived(std::span<Datagram> datagrams, Time now) {
  const bool company = in_company(datagrams, now);
  if (waiting_ == 0 && (!company || datagrams.size() <= kLittle)) return datagrams;
  served_.clear();
  for (Sender &sender : senders_) {
    sender.came = 0;
    if (company) continue;
    // Alone again.
    std::move(sender.queue.begin(), sender.queue.end(), std::back_inserter(served_));
    waiting_ -= sender.queue.size();
    sender.queue.clear();
  }
  // By runs of one sender: most come in runs.
  for (size_t at = 0; at < datagrams.size();) {
    const size_t end = end_of_run(datagrams, at);
    if (Sender *sender = sender_of(datagrams[at].path.remote)) sender->came += end - at;
    at = end;
  }
  for (size_t at = 0; at < datagrams.size();) {
    const size_t end = end_of_run(datagrams, at);
    Sender *sender = company ? sender_of(datagrams[at].path.remote) : nullptr;
    // What has a queue keeps its order.
    const bool waits = sender && (!sender->queue.empty() || sender->came > kLittle);
    for (; at < end; at++) {
      if (!waits) {
        served_.push_back(std::move(datagrams[at]));
      } else if (sender->queue.size() < kMostWaiting) {  // lesson: turn-share-bounded
        sender->queue.push_back(std::move(datagrams[at]));
        waiting_++;
      } else {
        counters_.drop(DropReason::sender_too_fast);
        datagrams[at].packet.reset();
      }
    }
  }
  return served_;
}

std::span<Datagram> TurnShare::waiting() {
  served_.clear();
  while (waiting_ > 0 && served_.size() < kServed) {
    Sender &sender = senders_[next_];
    for (size_t i = 0; i < kRound && !sender.queue.empty() && served_.size() < kServed; i++) {
      served_.push_back(std::move(sender.queue.front()));
      sender.queue.pop_front();
      waiting_--;
    }
    next_ = (next_ + 1) % senders_.size();
  }
  return served_;
}

}  // namespace slipgate
