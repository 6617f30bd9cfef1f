#include "io/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace slipgate {

Signals::Signals(Loop &loop, std::initializer_list<int> signals, std::function<void(int)> handler)
    : loop_(loop), handler_(std::move(handler)) {
  sigset_t set;
  ::sigemptyset(&set);
  for (int signal : signals) ::sigaddset(&set, signal);
  descriptor_ = Fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!descriptor_) throw std::system_error(errno, std::generic_category(), "signalfd");
  if (Result<void> added = loop_.poller().add(descriptor_.get(), *this, Interest::reading); !added) {
    throw std::system_error(added.error().code, std::generic_category(), "epoll_ctl");
  }
  ::pthread_sigmask(SIG_BLOCK, &set, &former_);
}

Signals::~Signals() {
  loop_.poller().remove(descriptor_.get(), *this);
  ::pthread_sigmask(SIG_SETMASK, &former_, nullptr);
}

void Signals::on_events(uint32_t) {
  // The handler may destroy us: the descriptor is read to its end first.
  signalfd_siginfo told;
  std::vector<int> signals;
  while (::read(descriptor_.get(), &told, sizeof(told)) == static_cast<ssize_t>(sizeof(told))) {
    signals.push_back(static_cast<int>(told.ssi_signo));
  }
  std::function<void(int)> handler = handler_;
  for (int signal : signals) handler(signal);
}

SignalsHeld::SignalsHeld() {
  sigset_t all;
  ::sigfillset(&all);
  ::sigdelset(&all, SIGSYS);  // lesson: sandbox-sigsys-open
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalsHeld::~SignalsHeld() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace slipgate
