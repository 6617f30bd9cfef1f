#include "control/uapi_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "control/control_socket.h"
#include "control/uapi.h"
#include "io/poller.h"

namespace slipgate {
namespace {

// Private and pre-shared keys pass through these buffers.
void forget_front(std::string &text, size_t count) {
  wipe({reinterpret_cast<uint8_t *>(text.data()), count});
  text.erase(0, count);
  // What was moved to the front is still there behind the end: the rest of the buffer is not ours to touch, but is
  // overwritten by what comes next and wiped when it goes.
}

void forget(std::string &text) {
  text.resize(text.capacity());
  wipe({reinterpret_cast<uint8_t *>(text.data()), text.size()});
  text.clear();
}

}  // namespace

std::string uapi_folder() {
  if (::access(kWireGuardFolder, W_OK) == 0) return kWireGuardFolder;
  if (errno == ENOENT && ::mkdir(kWireGuardFolder, 0700) == 0) return kWireGuardFolder;
  const std::string own = control_folder();
  if (own.empty()) return {};
  std::error_code error;
  std::filesystem::create_directories(own + "/wireguard", error);
  if (error) return {};
  ::chmod(own.c_str(), 0700);
  return own + "/wireguard";
}

struct UapiSocket::State final : Pollable {
  struct Client final : Pollable {
    Client(State &owner, Fd connected) : state(owner), socket(std::move(connected)), session(owner.control) {
      request.reserve(kReadAtOnce + UapiSession::kLongestLine);
    }
    ~Client() {
      forget(request);
      forget(answer);
    }
    void on_events(uint32_t) override { state.serve(*this); }

    State &state;
    Fd socket;
    UapiSession session;
    std::string request;  // what was not taken yet
    std::string answer;   // what was not sent yet
    uint64_t last_used = 0;
    bool gone = false;
  };

  State(Loop &on, WireGuardControl &controlled, ControlListener &&socket)
      : loop(on), control(controlled), listener(std::move(socket)) {}

  ~State() {
    for (const auto &client : clients) loop.poller().remove(client->socket.get(), *client);
    loop.poller().remove(listener.descriptor(), *this);
  }

  void on_events(uint32_t) override {
    while (true) {
      Fd socket(::accept4(listener.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket && (errno == EINTR || errno == ECONNABORTED)) continue;
      if (!socket) return;
      if (clients.size() >= kMostClients) {  // lesson: uapi-clients-bounded
        close(**std::ranges::min_element(clients, {}, [](const auto &client) { return client->last_used; }));
      }
      auto client = std::make_unique<Client>(*this, std::move(socket));
      client->last_used = ++uses;
      if (!loop.poller().add(client->socket.get(), *client)) continue;
      clients.push_back(std::move(client));
      serve(*clients.back());  // edge-triggered: what is there already may not be told
    }
  }

  // Until the socket has no more to give or takes no more, or enough was done for this turn.
  void serve(Client &client) {
    client.last_used = ++uses;
    bool ended = false;
    while (!client.gone) {
      if (!client.answer.empty() && !flush(client)) return;
      const size_t taken = client.session.take(client.request, client.answer, kChangesPerTurn);
      forget_front(client.request, taken);
      if (client.session.broken()) return close(client);
      if (!client.answer.empty()) continue;
      if (taken > 0 && !client.request.empty()) return loop.poller().rearm(client.socket.get(), client);
      if (ended) return close(client);
      if (!fill(client, ended)) return;
    }
  }

  // False: not now, or the client is gone.
  bool flush(Client &client) {
    while (!client.answer.empty()) {
      const ssize_t sent = ::send(client.socket.get(), client.answer.data(), client.answer.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && errno == EAGAIN) return false;
      if (sent < 0) {
        close(client);
        return false;
      }
      forget_front(client.answer, static_cast<size_t>(sent));
    }
    forget(client.answer);
    client.answer.shrink_to_fit();  // a large answer's room is not kept
    return true;
  }

  bool fill(Client &client, bool &ended) {
    char chunk[kReadAtOnce];
    ssize_t count;
    do {
      count = ::recv(client.socket.get(), chunk, sizeof(chunk), 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0 && errno == EAGAIN) return false;
    if (count < 0) {
      close(client);
      return false;
    }
    ended = count == 0;
    client.request.append(chunk, static_cast<size_t>(count));
    wipe({reinterpret_cast<uint8_t *>(chunk), static_cast<size_t>(count)});
    return true;
  }

  // The object stays until the loop's next turn: its own functions may be running.
  void close(Client &client) {
    if (client.gone) return;
    client.gone = true;
    loop.poller().remove(client.socket.get(), client);
    client.socket.reset();
    auto place = std::ranges::find_if(clients, [&](const auto &each) { return each.get() == &client; });
    closed.push_back(std::move(*place));
    clients.erase(place);
    if (closed.size() == 1) {
      loop.post([this, weak = std::weak_ptr<bool>(alive)] {
        if (!weak.expired()) closed.clear();
      });
    }
  }

  Loop &loop;
  WireGuardControl &control;
  ControlListener listener;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<std::unique_ptr<Client>> closed;
  uint64_t uses = 0;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
};

Result<std::unique_ptr<UapiSocket>> UapiSocket::open(Loop &loop, WireGuardControl &control, const std::string &folder,
                                                     const std::string &interface) {
  if (folder.empty()) {
    return Error{ENOENT, fmt::format("no folder for the socket of {}: {} is not writable and XDG_RUNTIME_DIR not set",
                                     interface, kWireGuardFolder)};
  }
  const std::string path = fmt::format("{}/{}.sock", folder, interface);
  Result<ControlListener> listener = ControlListener::open(path);
  if (!listener) {
    if (listener.error().code != EADDRINUSE) return Error::from_errno(listener.error().code, path);
    return Error{EADDRINUSE, fmt::format("{}: an interface of this name is served already", path)};
  }
  auto state = std::make_unique<State>(loop, control, std::move(*listener));
  if (Result<void> watched = loop.poller().add(state->listener.descriptor(), *state, Interest::reading); !watched) {
    return watched.error();
  }
  return std::unique_ptr<UapiSocket>(new UapiSocket(std::move(state)));
}

UapiSocket::UapiSocket(std::unique_ptr<State> state) : state_(std::move(state)) {}
UapiSocket::~UapiSocket() = default;

const std::string &UapiSocket::path() const {
  return state_->listener.path();
}

}  // namespace slipgate
