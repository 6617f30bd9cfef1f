// When to do what without being asked (whitepaper sections 6.1 to 6.5). Others report what happened; this says what
// follows.
//
// Lives on one shard, one for each peer. Five timers on the device's wheel, nothing is ever swept.
#pragma once

#include <cstdint>

#include "base/timer_wheel.h"
#include "wireguard/constants.h"

namespace slipgate::wireguard {

// What the timers want done.
class TimerActions {
 public:
  virtual void send_keepalive(Time now) = 0;
  // The peer was silent for too long: send an initiation. `retry`: the last one was not answered.
  virtual void on_silence(bool retry, Time now) = 0;
  // The peer does not answer: packets that wait for it will not be sent.
  virtual void give_up_handshake(Time now) = 0;
  // Nothing was agreed on for so long that all keys are wiped.
  virtual void forget_sessions() = 0;

 protected:
  ~TimerActions() = default;
};

class Timers final : private TimerTarget {
 public:
  Timers(TimerWheel &wheel, TimerActions &actions) : wheel_(wheel), actions_(actions) {}

  // Seconds between persistent keepalives, 0: none. Takes effect at once: the first is due at `now`.
  void set_persistent_keepalive(Duration interval, Time now);

  // A packet with something in it left, or an authenticated one arrived. Keepalives do not count.
  void data_sent(Time now);
  void data_received(Time now);
  // Anything that the other side can authenticate left, or arrived: data, keepalives, handshake messages.
  void authenticated_sent(Time now);
  void authenticated_received(Time now);
  // Somebody, not these timers, wants a session: attempts are counted from here.
  void session_wanted();
  // An initiation left, the first or a retry; or it could not leave yet.
  void initiation_sent(Time now);
  void initiation_postponed(Time now);
  // Keys for a new session stand, in either role; and: the handshake that we began is answered, or the other's is
  // confirmed.
  void session_derived(Time now);
  void handshake_complete();

 private:
  // A moment that moves with nearly every packet. Moving it costs no more than writing it down: the timer stays armed
  // for an earlier one, and looks when it fires. Later never touches other peers' memory, as a timer's list does.
  struct Moment {
    Time due = kNever;
    Time fires = kNever;  // what the timer is armed for
  };

  void on_timer(Timer &timer, Time now) override;
  void set(Moment &moment, Timer &timer, Time due);
  // Whether it is due, and over with that; else the timer is armed again if it has to be.
  bool is_due(Moment &moment, Timer &timer, Time now);
  void persistent_keepalive_moved(Time now);

  TimerWheel &wheel_;
  TimerActions &actions_;
  Moment keepalive_due_;      // data came, nothing went
  Moment new_handshake_due_;  // data went, nothing came
  Moment persistent_due_;
  Duration persistent_interval_{};
  Duration
      silence_jitter_{};  // drawn once a session: a random number is a system call, silence begins with each packet
  uint32_t attempts_ = 0;
  bool another_keepalive_ = false;

  Timer retry_{*this};   // the initiation was not answered
  Timer forget_{*this};  // the last session is three lives old
  Timer keepalive_{*this};
  Timer new_handshake_{*this};
  Timer persistent_{*this};
};

}  // namespace slipgate::wireguard
