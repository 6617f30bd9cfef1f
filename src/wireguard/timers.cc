#include "wireguard/timers.h"

#include "crypto/random.h"

namespace slipgate::wireguard {
namespace {

// Retries of REKEY_TIMEOUT that fit into REKEY_ATTEMPT_TIME.
constexpr uint32_t kMostAttempts = REKEY_ATTEMPT_TIME / REKEY_TIMEOUT;

Duration jitter() {
  return milliseconds(
      random_below(static_cast<uint32_t>(REKEY_TIMEOUT_JITTER / milliseconds(1)) + 1));  // lesson: wg-retry-jitter
}

}  // namespace

void Timers::set(Moment &moment, Timer &timer, Time due) {
  moment.due = due;
  if (due >= moment.fires) return;
  moment.fires = due;
  wheel_.arm(timer, due);
}

bool Timers::is_due(Moment &moment, Timer &timer, Time now) {
  moment.fires = kNever;
  if (moment.due > now) {
    if (moment.due != kNever) set(moment, timer, moment.due);
    return false;
  }
  moment.due = kNever;
  return true;
}

void Timers::set_persistent_keepalive(Duration interval, Time now) {
  if (interval == persistent_interval_) return;
  persistent_interval_ = interval;
  persistent_due_.due = kNever;
  if (interval != Duration::zero()) set(persistent_due_, persistent_, now);
}

void Timers::data_sent(Time now) {
  // Section 6.2: no answer of any kind within KEEPALIVE_TIMEOUT + REKEY_TIMEOUT means a dead session.
  if (new_handshake_due_.due == kNever)
    set(new_handshake_due_, new_handshake_, now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + silence_jitter_);
}

void Timers::data_received(Time now) {
  // Section 6.5: if we have nothing to send back, the other must still hear that we live.
  if (keepalive_due_.due == kNever) {
    set(keepalive_due_, keepalive_, now + KEEPALIVE_TIMEOUT);
  } else {
    another_keepalive_ = true;
  }
}

void Timers::authenticated_sent(Time now) {
  keepalive_due_.due = kNever;
  another_keepalive_ = false;
  persistent_keepalive_moved(now);
}

void Timers::authenticated_received(Time now) {
  new_handshake_due_.due = kNever;
  persistent_keepalive_moved(now);
}

void Timers::session_wanted() {
  attempts_ = 0;
}

void Timers::initiation_postponed(Time now) {
  if (!retry_.armed()) initiation_sent(now);
}

void Timers::initiation_sent(Time now) {
  wheel_.arm(retry_, now + REKEY_TIMEOUT + jitter());
}

// Section 6.3: keys are wiped REJECT_AFTER_TIME * 3 after the last session was made.
void Timers::session_derived(Time now) {
  silence_jitter_ = jitter();
  wheel_.arm(forget_, now + REJECT_AFTER_TIME * 3);
}

void Timers::handshake_complete() {
  retry_.cancel();
  attempts_ = 0;
}

void Timers::persistent_keepalive_moved(Time now) {
  if (persistent_interval_ != Duration::zero())  // lesson: wg-no-keepalive-while-data
    set(persistent_due_, persistent_, now + persistent_interval_);
}

void Timers::on_timer(Timer &timer, Time now) {
  if (&timer == &retry_) {
    if (attempts_ < kMostAttempts) {
      attempts_++;
      actions_.on_silence(true, now);
      return;
    }
    attempts_ = 0;
    keepalive_due_.due = kNever;
    if (!forget_.armed()) wheel_.arm(forget_, now + REJECT_AFTER_TIME * 3);
    actions_.give_up_handshake(now);
  } else if (&timer == &keepalive_) {
    if (!is_due(keepalive_due_, keepalive_, now)) return;
    const bool another = another_keepalive_;
    another_keepalive_ = false;
    actions_.send_keepalive(now);
    if (another) set(keepalive_due_, keepalive_, now + KEEPALIVE_TIMEOUT);
  } else if (&timer == &new_handshake_) {
    if (is_due(new_handshake_due_, new_handshake_, now)) actions_.on_silence(false, now);
  } else if (&timer == &forget_) {
    actions_.forget_sessions();
  } else if (&timer == &persistent_ && is_due(persistent_due_, persistent_, now)) {
    set(persistent_due_, persistent_, now + persistent_interval_);
    actions_.send_keepalive(now);
  }
}

}  // namespace slipgate::wireguard
