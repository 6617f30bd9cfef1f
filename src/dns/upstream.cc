#include "dns/upstream.h"

// 1.34 calls deprecated what 1.18 has no other name for.
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include <unordered_map>

#include "base/log.h"
#include "dns/answer.h"
#include "io/poller.h"

namespace slipgate::dns {

namespace {

// Thousands of answers may arrive while the loop is busy elsewhere; the kernel gives what it allows.
constexpr int kReceiveBuffer = 4 << 20;

Code code_of(int status) {
  switch (status) {
    case ARES_EFORMERR:
      return Code::FormErr;
    case ARES_ENOTIMP:
      return Code::NotImp;
    case ARES_EREFUSED:
      return Code::Refused;
    default:
      return Code::ServFail;
  }
}

std::string joined(const std::vector<std::string> &servers) {
  std::string text;
  for (const std::string &server : servers) text += (text.empty() ? "" : ",") + server;
  return text;
}

}  // namespace

struct Upstream::State final : TimerTarget, TurnEnd {
  // A socket of c-ares', which closes it itself after it has said so.
  struct Socket;

  State(Loop &on_loop, const UpstreamOptions &options);
  ~State();

  void on_socket_state(int descriptor, bool readable, bool writable);
  void process(int readable, int writable);
  // Once a turn: c-ares looks through all its queries for the next one to repeat.
  void on_turn_end() override;
  void on_timer(Timer &, Time) override { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

  Loop &loop;
  Timer timer{*this};
  ares_channel channel = nullptr;
  std::unordered_map<int, std::shared_ptr<Socket>> sockets;
};

struct Upstream::State::Socket final : Pollable, std::enable_shared_from_this<Socket> {
  Socket(State &owner, int number) : state(owner), descriptor(number) {
    // Not watched (ENOMEM, ENOSPC): its queries time out.
    watched = static_cast<bool>(state.loop.poller().add(descriptor, *this));
  }
  ~Socket() {
    if (watched) state.loop.poller().remove(descriptor, *this);
  }

  void on_events(uint32_t events) override {
    // c-ares may close it, and so destroy this, in the call.
    std::weak_ptr<Socket> weak = weak_from_this();
    constexpr uint32_t kOver = EPOLLERR | EPOLLHUP | EPOLLRDHUP;
    bool read = wants_read && (events & (EPOLLIN | kOver));
    bool write = wants_write && (events & (EPOLLOUT | kOver));
    if (!read && !write) return;
    state.process(read ? descriptor : ARES_SOCKET_BAD, write ? descriptor : ARES_SOCKET_BAD);
    // It reads a piece at a time and expects to be called again for the rest; the poller tells only what is new.
    int left = 0;
    if (weak.expired() || ioctl(descriptor, FIONREAD, &left) != 0 || left == 0) return;
    state.loop.poller().rearm(descriptor, *this);
  }

  State &state;
  const int descriptor;
  bool watched = false;
  bool wants_read = false, wants_write = false;
};

Upstream::State::State(Loop &on_loop, const UpstreamOptions &options) : loop(on_loop) {
  if (options.servers.empty()) return;
  // Counts its calls without a lock: once for the process, whichever shard is first.
  static const int library = ares_library_init(ARES_LIB_INIT_ALL);
  if (library != ARES_SUCCESS) return;

  ares_options settings{};
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB |
             ARES_OPT_SOCK_RCVBUF;
  // EDNS: answers over UDP up to ednspsz bytes are taken as they are (the OPT record of a query is ours).
  settings.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  settings.ednspsz = kOwnUdpSize;
  settings.timeout = static_cast<int>(std::chrono::duration_cast<milliseconds>(options.timeout).count());
  settings.tries = options.tries;
  settings.socket_receive_buffer_size = kReceiveBuffer;
  settings.sock_state_cb_data = this;
  settings.sock_state_cb = [](void *state, ares_socket_t descriptor, int readable, int writable) {
    static_cast<State *>(state)->on_socket_state(descriptor, readable, writable);
  };
#ifdef ARES_OPT_RESOLVCONF
  // The servers are set below; the host's file is read elsewhere, and again when it changes.
  char nothing[] = "/dev/null";
  settings.resolvconf_path = nothing;
  mask |= ARES_OPT_RESOLVCONF;
#endif
#ifdef ARES_OPT_QUERY_CACHE
  settings.qcache_max_ttl = 0;  // 1.34 caches by default; the cache is ours
  mask |= ARES_OPT_QUERY_CACHE;
#endif
  if (ares_init_options(&channel, &settings, mask) != ARES_SUCCESS) {
    channel = nullptr;
    return;
  }
  if (ares_set_servers_ports_csv(channel, joined(options.servers).c_str()) == ARES_SUCCESS) return;
  // One that this c-ares cannot read (an interface behind an address, before 1.20) spoils the list: leave out such.
  std::vector<std::string> readable;
  for (const std::string &server : options.servers) {
    bool known = ares_set_servers_ports_csv(channel, server.c_str()) == ARES_SUCCESS;
    if (known) readable.push_back(server);
    if (!known) log::warn("dns: nameserver {} cannot be used", server);
  }
  if (!readable.empty() && ares_set_servers_ports_csv(channel, joined(readable).c_str()) == ARES_SUCCESS) return;
  ares_destroy(channel);
  channel = nullptr;
}

Upstream::State::~State() {
  // Calls back for every query and every socket: before the sockets go.
  if (channel) ares_destroy(channel);
  loop.forget(*this);
}

void Upstream::State::on_socket_state(int descriptor, bool readable, bool writable) {
  if (!readable && !writable) {
    sockets.erase(descriptor);
    return;
  }
  std::shared_ptr<Socket> &socket = sockets[descriptor];
  if (!socket) socket = std::make_shared<Socket>(*this, descriptor);
  // It may have become writable while nobody wanted to write.
  if (socket->watched && writable && !socket->wants_write) loop.poller().rearm(descriptor, *socket);
  socket->wants_read = readable;
  socket->wants_write = writable;
}

void Upstream::State::process(int readable, int writable) {
  ares_process_fd(channel, readable, writable);
  loop.at_turn_end(*this, 0);
}

void Upstream::State::on_turn_end() {
  timeval room;
  if (const timeval *next = ares_timeout(channel, nullptr, &room)) {
    loop.timers().arm(timer, loop.now() + seconds(next->tv_sec) + microseconds(next->tv_usec));
  } else {
    timer.cancel();
  }
}

Upstream::Upstream(Loop &loop, const UpstreamOptions &options) : state_(std::make_unique<State>(loop, options)) {}

Upstream::~Upstream() = default;

void Upstream::ask(Bytes query, Done done) {
  if (!state_->channel) {
    done({});
    return;
  }
  auto waiting = std::make_unique<Done>(std::move(done));
  ares_send(
      state_->channel, query.data(), static_cast<int>(query.size()),
      [](void *argument, int status, int, unsigned char *message, int size) {
        std::unique_ptr<Done> call(static_cast<Done *>(argument));
        Outcome outcome;
        if (message && size > 0) outcome.message = Bytes(message, static_cast<size_t>(size));
        outcome.code = code_of(status);
        outcome.abandoned = status == ARES_EDESTRUCTION || status == ARES_ECANCELLED;
        (*call)(outcome);
      },
      waiting.release());
  state_->loop.at_turn_end(*state_, 0);
}

}  // namespace slipgate::dns
