#include "control/session_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "io/fd.h"
#include "io/poller.h"

namespace slipgate {
namespace {

constexpr int kAcceptsPerTurn = 16;
// After EMFILE and its like: connections wait in the backlog meanwhile.
constexpr Duration kPause = milliseconds(100);

void forget(std::string &text) {
  text.resize(text.capacity());
  wipe({reinterpret_cast<uint8_t *>(text.data()), text.size()});
  text.clear();
}

// What is left moves to the front; what it leaves behind its end is overwritten by what comes next, and wiped when the
// buffer goes.
void forget_front(std::string &text, size_t count) {
  wipe({reinterpret_cast<uint8_t *>(text.data()), count});
  text.erase(0, count);
}

}  // namespace

class SessionServer::State final : public Pollable, TimerTarget {
 public:
  State(Loop &loop, int listener, const SessionLimits &limits, Maker make)
      : loop_(loop), listener_(listener), limits_(limits), make_(std::move(make)), chunk_(limits.read_at_once, '\0') {}

  ~State() {
    for (const auto &client : clients_) loop_.poller().remove(client->socket.get(), *client);
    loop_.poller().remove(listener_, *this);
  }

  Result<void> begin() { return loop_.poller().add(listener_, *this, Interest::reading); }

  void on_events(uint32_t) override {
    if (!pause_.armed()) accept_some();
  }
  void on_timer(Timer &, Time) override { accept_some(); }

 private:
  struct Client final : Pollable {
    Client(State &owner, Fd connected) : state(owner), socket(std::move(connected)), session(owner.make_()) {
      // As much as ever waits: growing would leave copies of what may be secret.
      input.reserve(owner.limits_.input + owner.limits_.read_at_once);
    }
    ~Client() {
      forget(input);
      forget(answer);
    }
    void on_events(uint32_t) override { state.serve(*this); }

    State &state;
    Fd socket;
    std::unique_ptr<Session> session;
    std::string input;   // what was not taken yet
    std::string answer;  // what is being sent
    size_t sent = 0;     // bytes of it
    uint64_t last_used = 0;
    bool ended = false;  // it sends no more
    bool last = false;   // nothing follows the answer
    bool gone = false;
  };

  void accept_some() {
    for (int i = 0; i < kAcceptsPerTurn; i++) {
      Fd socket(::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (socket) {
        welcome(std::move(socket));
      } else if (errno == EAGAIN) {
        return;
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // It stays in the backlog: asking again at once would spin.
        loop_.timers().arm(pause_, loop_.now() + kPause);  // lesson: control-emfile-waits
        return;
      }
    }
    loop_.poller().rearm(listener_, *this, Interest::reading);
  }

  void welcome(Fd socket) {
    if (limits_.owner_only) {
      ucred peer{};
      socklen_t size = sizeof(peer);
      bool known = ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
      // The file's mode says so already; a socket passed on by somebody else does not.
      if (!known || (peer.uid != ::geteuid() && peer.uid != 0)) return;
    }
    if (clients_.size() >= limits_.clients) {  // lesson: control-clients-bounded
      close(**std::ranges::min_element(clients_, {}, [](const auto &client) { return client->last_used; }));
    }
    auto client = std::make_unique<Client>(*this, std::move(socket));
    if (!loop_.poller().add(client->socket.get(), *client)) return;
    clients_.push_back(std::move(client));
    serve(*clients_.back());  // edge-triggered: what is there already may not be told
  }

  // Until the socket has no more to give or takes no more, or enough was done for this turn.
  void serve(Client &client) {
    client.last_used = ++uses_;
    while (!client.gone) {
      if (!client.answer.empty() && !flush(client)) return;
      if (client.last) return close(client);
      const Session::Taken taken = client.session->take(client.input, client.answer);
      forget_front(client.input, taken.bytes);
      client.last = taken.then == Session::Then::close;
      if (!client.answer.empty() || client.last) continue;
      if (taken.then == Session::Then::again) return loop_.poller().rearm(client.socket.get(), client);
      if (client.ended || client.input.size() > limits_.input) return close(client);  // lesson: control-request-bounded
      if (!fill(client)) return;
    }
  }

  // False: not now, or the client is gone.
  bool flush(Client &client) {
    while (client.sent < client.answer.size()) {
      const ssize_t sent = ::send(client.socket.get(), client.answer.data() + client.sent,
                                  client.answer.size() - client.sent, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && errno == EAGAIN) return false;
      if (sent < 0) {
        close(client);
        return false;
      }
      client.sent += static_cast<size_t>(sent);
    }
    client.sent = 0;
    forget(client.answer);
    client.answer.shrink_to_fit();  // a large answer's room is not kept
    return true;
  }

  bool fill(Client &client) {
    ssize_t count;
    do {
      count = ::recv(client.socket.get(), chunk_.data(), chunk_.size(), 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0) {
      close(client);
      return false;
    }
    client.ended = count == 0;
    client.input.append(chunk_.data(), static_cast<size_t>(count));
    wipe({reinterpret_cast<uint8_t *>(chunk_.data()), static_cast<size_t>(count)});
    return true;
  }

  // The object stays until the loop's next turn: its own functions may be running.
  void close(Client &client) {
    if (client.gone) return;
    client.gone = true;
    loop_.poller().remove(client.socket.get(), client);
    client.socket.reset();
    auto place = std::ranges::find_if(clients_, [&](const auto &each) { return each.get() == &client; });
    closed_.push_back(std::move(*place));
    clients_.erase(place);
    if (closed_.size() == 1) {
      loop_.post([this, weak = std::weak_ptr<bool>(alive_)] {
        if (!weak.expired()) closed_.clear();
      });
    }
  }

  Loop &loop_;
  const int listener_;
  const SessionLimits limits_;
  const Maker make_;
  std::string chunk_;
  Timer pause_{*this};
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<Client>> closed_;
  uint64_t uses_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Result<std::unique_ptr<SessionServer>> SessionServer::open(Loop &loop, int listener, const SessionLimits &limits,
                                                           Maker make) {
  auto state = std::make_unique<State>(loop, listener, limits, std::move(make));
  if (Result<void> watched = state->begin(); !watched) return watched.error();
  return std::unique_ptr<SessionServer>(new SessionServer(std::move(state)));
}

SessionServer::SessionServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
SessionServer::~SessionServer() = default;

}  // namespace slipgate
