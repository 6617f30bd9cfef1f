// Readiness of many host sockets: one private epoll (edge-triggered) that is itself one descriptor of the Asio loop, so
// that an event costs one epoll_wait per batch, not one Asio operation per socket (datapath: 1 us each).
//
// Lives on one shard.
#pragma once

#include <sys/epoll.h>  // EPOLLIN and its kin, which on_events() is told

#include <array>
#include <cstdint>
#include <memory>

#include "base/result.h"

namespace slipgate {

class Loop;

class Pollable {
 public:
  // Edge-triggered: told once when the descriptor becomes readable, writable, or failed (EPOLLIN, EPOLLOUT, EPOLLRDHUP,
  // EPOLLHUP, EPOLLERR in `events`); go on until EAGAIN. May remove or destroy itself or any other Pollable.
  virtual void on_events(uint32_t events) = 0;

 protected:
  ~Pollable() = default;
};

class Poller {
 public:
  explicit Poller(Loop &loop);
  ~Poller();
  Poller(const Poller &) = delete;
  Poller &operator=(const Poller &) = delete;

  // Watches `descriptor` (EPOLLIN, EPOLLOUT, EPOLLRDHUP, edge-triggered) until remove(). ENOSPC, ENOMEM: not watched.
  Result<void> add(int descriptor, Pollable &pollable);
  // Before the descriptor is closed and before `pollable` goes. What is already waiting for it is not delivered any
  // more.
  void remove(int descriptor, Pollable &pollable);
  // Tells it again in the next turn what is ready even if nothing new happens: for who stopped before EAGAIN, to let
  // others have their turn.
  void rearm(int descriptor, Pollable &pollable);

 private:
  friend class Loop;
  struct State;

  void begin_turn();
  std::unique_ptr<State> state_;
};

}  // namespace slipgate
