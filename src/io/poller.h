// Readiness of many descriptors: the one epoll (edge-triggered) in which the loop waits, 256 events a call. What would
// cost 1 us per event as an operation of Asio's is one virtual call here.
//
// Lives on one shard.
#pragma once

#include <sys/epoll.h>  // EPOLLIN and its kin, which on_events() is told

#include <array>
#include <cstdint>

#include "base/result.h"
#include "base/time.h"
#include "io/fd.h"

namespace slipgate {

class Pollable {
 public:
  // Edge-triggered: told once when the descriptor becomes readable, writable, or failed (EPOLLIN, EPOLLPRI, EPOLLOUT,
  // EPOLLRDHUP, EPOLLHUP, EPOLLERR in `events`); go on until EAGAIN. May remove or destroy itself or any other
  // Pollable.
  virtual void on_events(uint32_t events) = 0;

 protected:
  ~Pollable() = default;
};

// What a descriptor is watched for. A UDP socket becomes "writable" with every datagram that leaves: it asks for that
// only while it is blocked.
inline constexpr uint32_t kEdgeTriggered = EPOLLET;  // lesson: host-hangup-told-once
enum class Interest : uint32_t {
  reading = EPOLLIN | EPOLLRDHUP | kEdgeTriggered,
  both = EPOLLIN | EPOLLRDHUP | EPOLLPRI | EPOLLOUT | kEdgeTriggered,
};

class Poller {
 public:
  Poller();
  Poller(const Poller &) = delete;
  Poller &operator=(const Poller &) = delete;

  // Watches `descriptor` until remove(). ENOSPC, ENOMEM: not watched.
  Result<void> add(int descriptor, Pollable &pollable, Interest interest = Interest::both);
  // Before the descriptor is closed and before `pollable` goes. What is already waiting for it is not delivered any
  // more.
  void remove(int descriptor, Pollable &pollable);
  // For who closes the descriptor now and knows that there is no duplicate of it: closing ends the watch.
  void forget(Pollable &pollable);
  // Tells it again in the next turn what is ready even if nothing new happens: for who stopped before EAGAIN, to let
  // others have their turn, and for who changes his interest.
  void rearm(int descriptor, Pollable &pollable, Interest interest = Interest::both);

 private:
  friend class Loop;
  static constexpr int kBatch = 256;

  // For the loop, once a turn each: one batch, so that the turn's end comes soon. What is left is there at the next
  // wait. wait_until() may return early with nothing to dispatch; wait() does not wait at all.
  void wait();
  void wait_until(Time deadline);
  void dispatch();
  void take(int count);

  // A timerfd, so that epoll_wait() needs no timeout.
  struct Alarm final : Pollable {
    void on_events(uint32_t) override { at = kNever; }
    Fd descriptor;
    Time at = kNever;  // when it rings
  };

  Fd epoll_;
  Alarm alarm_;
  std::array<epoll_event, kBatch> events_;
  int next_ = 0;  // of the batch that is being handed out
  int count_ = 0;
};

}  // namespace slipgate
