// Who is served in a turn when several send: a turn is as long as what it serves, and everybody waits for its end.
//
// Alone, a sender has all of every turn. Beside others, who sends little is served at once, and who sends much waits in
// a queue of its own, of which each turn serves a share. What does not fit into the queue is dropped, so that a sender
// who is too fast for us loses its own datagrams: those of others never lie in the kernel's buffer behind them.
//
// Lives on one shard.
#pragma once

#include <array>
#include <deque>
#include <span>
#include <vector>

#include "base/counters.h"
#include "io/udp_socket.h"

namespace slipgate {

class TurnShare {
 public:
  // Others count for so long after they were heard.
  static constexpr Duration kCompany = milliseconds(50);
  // Of all that wait, in one turn: a tenth of a millisecond's work and more.
  static constexpr size_t kServed = 32;
  // Of one that waits, before it is the next one's turn.
  static constexpr size_t kRound = 8;
  // A sender with no more than this among what came at once sends little.
  static constexpr size_t kLittle = 8;
  static constexpr size_t kMostSenders = 8;    // that have a queue; others are served as if they sent little
  static constexpr size_t kMostWaiting = 512;  // datagrams of one sender

  explicit TurnShare(Counters &counters) : counters_(counters) {}

  // Takes what came. What is to be served now; valid until the next call.
  std::span<Datagram> arrived(std::span<Datagram> datagrams, Time now);
  // The share of those that wait; once a turn, as long as any wait.
  std::span<Datagram> waiting();
  bool any_waiting() const { return waiting_ > 0; }

 private:
  struct Sender {
    Endpoint remote;
    std::deque<Datagram> queue;
    size_t came = 0;  // at once, this time
  };
  bool in_company(std::span<Datagram> datagrams, Time now);
  Sender *sender_of(const Endpoint &remote);

  Counters &counters_;
  std::array<Sender, kMostSenders> senders_;
  size_t next_ = 0;  // whose turn it is
  size_t waiting_ = 0;
  Endpoint last_;  // who was heard last
  Time company_until_ = Time::min();
  std::vector<Datagram> served_;
};

}  // namespace slipgate
