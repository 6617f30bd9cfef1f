#include "dns/upstream.h"

// 1.34 calls deprecated what 1.18 has no other name for.
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <sys/time.h>

#include <asio/error.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <unordered_map>

#include "base/log.h"
#include "dns/answer.h"

namespace slipgate::dns {

namespace {

// c-ares closes its sockets itself: the descriptor is released, not closed, when it says that it will.
struct Socket {
  explicit Socket(asio::io_context &context) : descriptor(context) {}
  ~Socket() {
    if (descriptor.is_open()) descriptor.release();
  }

  asio::posix::stream_descriptor descriptor;
  bool wants_read = false, wants_write = false;
  bool waits_read = false, waits_write = false;
};

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

struct Upstream::State final : TimerTarget {
  State(Loop &on_loop, const UpstreamOptions &options);
  ~State();

  void on_socket_state(int descriptor, bool readable, bool writable);
  void wait(const std::shared_ptr<Socket> &socket, bool for_read);
  void process(int readable, int writable);
  void arm();
  void on_timer(Timer &, Time) override { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

  Loop &loop;
  Timer timer{*this};
  ares_channel channel = nullptr;
  std::unordered_map<int, std::shared_ptr<Socket>> sockets;
};

Upstream::State::State(Loop &on_loop, const UpstreamOptions &options) : loop(on_loop) {
  if (options.servers.empty()) return;
  // Counts its calls without a lock: once for the process, whichever shard is first.
  static const int library = ares_library_init(ARES_LIB_INIT_ALL);
  if (library != ARES_SUCCESS) return;

  ares_options settings{};
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB;
  // EDNS: answers over UDP up to ednspsz bytes are taken as they are (the OPT record of a query is ours).
  settings.flags = ARES_FLAG_EDNS | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  settings.ednspsz = kOwnUdpSize;
  settings.timeout = static_cast<int>(std::chrono::duration_cast<milliseconds>(options.timeout).count());
  settings.tries = options.tries;
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
}

void Upstream::State::on_socket_state(int descriptor, bool readable, bool writable) {
  if (!readable && !writable) {
    sockets.erase(descriptor);
    return;
  }
  std::shared_ptr<Socket> &socket = sockets[descriptor];
  if (!socket) {
    socket = std::make_shared<Socket>(loop.context());
    std::error_code error;
    socket->descriptor.assign(descriptor, error);
    // Not watched (ENOMEM, ENOSPC): its queries time out.
    if (error) return;
  }
  if (!socket->descriptor.is_open()) return;
  socket->wants_read = readable;
  socket->wants_write = writable;
  if (readable && !socket->waits_read) wait(socket, true);
  if (writable && !socket->waits_write) wait(socket, false);
}

void Upstream::State::wait(const std::shared_ptr<Socket> &socket, bool for_read) {
  using asio::posix::stream_descriptor;
  (for_read ? socket->waits_read : socket->waits_write) = true;
  // The number of a closed socket comes again: what is asked is whether this very one is still there.
  socket->descriptor.async_wait(for_read ? stream_descriptor::wait_read : stream_descriptor::wait_write,
                                [this, weak = std::weak_ptr<Socket>(socket), for_read](const std::error_code &error) {
                                  std::shared_ptr<Socket> ready = weak.lock();
                                  if (!ready || error == asio::error::operation_aborted) return;
                                  (for_read ? ready->waits_read : ready->waits_write) = false;
                                  if (!(for_read ? ready->wants_read : ready->wants_write)) return;
                                  int descriptor = ready->descriptor.native_handle();
                                  ready.reset();
                                  process(for_read ? descriptor : ARES_SOCKET_BAD,
                                          for_read ? ARES_SOCKET_BAD : descriptor);
                                  // c-ares may have read one piece of several, and level-triggered it expects to be
                                  // called again.
                                  if (std::shared_ptr<Socket> again = weak.lock()) {
                                    if (for_read && again->wants_read && !again->waits_read) wait(again, true);
                                    if (!for_read && again->wants_write && !again->waits_write) wait(again, false);
                                  }
                                });
}

void Upstream::State::process(int readable, int writable) {
  ares_process_fd(channel, readable, writable);
  arm();
}

void Upstream::State::arm() {
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
  state_->arm();
}

}  // namespace slipgate::dns
