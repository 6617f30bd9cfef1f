// The only file that knows c-ares (1.18 to 1.34).
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

class PlainUpstream final : public Upstream, TimerTarget, TurnEnd {
 public:
  PlainUpstream(Loop &loop, const PlainUpstreamOptions &options);
  ~PlainUpstream() override;

  void ask(Bytes query, Done done) override;

 private:
  // A socket of c-ares', which closes it itself after it has said so.
  struct Socket;

  void on_socket_state(int descriptor, bool readable, bool writable);
  void process(int readable, int writable);
  // Once a turn: c-ares looks through all its queries for the next one to repeat.
  void on_turn_end() override;
  void on_timer(Timer &, Time) override { process(ARES_SOCKET_BAD, ARES_SOCKET_BAD); }

  Loop &loop_;
  Timer timer_{*this};
  ares_channel channel_ = nullptr;
  std::unordered_map<int, std::shared_ptr<Socket>> sockets_;
};

struct PlainUpstream::Socket final : Pollable, std::enable_shared_from_this<Socket> {
  Socket(PlainUpstream &owner, int number) : upstream(owner), descriptor(number) {
    // Not watched (ENOMEM, ENOSPC): its queries time out.
    watched = static_cast<bool>(upstream.loop_.poller().add(descriptor, *this));
  }
  ~Socket() {
    if (watched) upstream.loop_.poller().remove(descriptor, *this);
  }

  void on_events(uint32_t events) override {
    // c-ares may close it, and so destroy this, in the call.
    std::weak_ptr<Socket> weak = weak_from_this();
    constexpr uint32_t kOver = EPOLLERR | EPOLLHUP | EPOLLRDHUP;
    bool read = wants_read && (events & (EPOLLIN | kOver));
    bool write = wants_write && (events & (EPOLLOUT | kOver));
    if (!read && !write) return;
    upstream.process(read ? descriptor : ARES_SOCKET_BAD, write ? descriptor : ARES_SOCKET_BAD);
    // It reads a piece at a time and expects to be called again for the rest; the poller tells only what is new.
    int left = 0;
    if (weak.expired() || ioctl(descriptor, FIONREAD, &left) != 0 || left == 0) return;
    upstream.loop_.poller().rearm(descriptor, *this);
  }

  PlainUpstream &upstream;
  const int descriptor;
  bool watched = false;
  bool wants_read = false, wants_write = false;
};

PlainUpstream::PlainUpstream(Loop &loop, const PlainUpstreamOptions &options) : loop_(loop) {
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
  settings.sock_state_cb = [](void *upstream, ares_socket_t descriptor, int readable, int writable) {
    static_cast<PlainUpstream *>(upstream)->on_socket_state(descriptor, readable, writable);
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
  if (ares_init_options(&channel_, &settings, mask) != ARES_SUCCESS) {
    channel_ = nullptr;
    return;
  }
  if (ares_set_servers_ports_csv(channel_, joined(options.servers).c_str()) == ARES_SUCCESS) return;
  // One that this c-ares cannot read (an interface behind an address, before 1.20) spoils the list: leave out such.
  std::vector<std::string> readable;
  for (const std::string &server : options.servers) {
    bool known = ares_set_servers_ports_csv(channel_, server.c_str()) == ARES_SUCCESS;
    if (known) readable.push_back(server);
    if (!known) log::warn("dns: nameserver {} cannot be used", server);
  }
  if (!readable.empty() && ares_set_servers_ports_csv(channel_, joined(readable).c_str()) == ARES_SUCCESS) return;
  ares_destroy(channel_);
  channel_ = nullptr;
}

PlainUpstream::~PlainUpstream() {
  // Calls back for every query and every socket: before the sockets go.
  if (channel_) ares_destroy(channel_);
  loop_.forget(*this);
}

void PlainUpstream::on_socket_state(int descriptor, bool readable, bool writable) {
  if (!readable && !writable) {
    sockets_.erase(descriptor);
    return;
  }
  std::shared_ptr<Socket> &socket = sockets_[descriptor];
  if (!socket) socket = std::make_shared<Socket>(*this, descriptor);
  // It may have become writable while nobody wanted to write.
  if (socket->watched && writable && !socket->wants_write) loop_.poller().rearm(descriptor, *socket);
  socket->wants_read = readable;
  socket->wants_write = writable;
}

void PlainUpstream::process(int readable, int writable) {
  ares_process_fd(channel_, readable, writable);
  loop_.at_turn_end(*this, 0);
}

void PlainUpstream::on_turn_end() {
  timeval room;
  if (const timeval *next = ares_timeout(channel_, nullptr, &room)) {
    loop_.timers().arm(timer_, loop_.now() + seconds(next->tv_sec) + microseconds(next->tv_usec));
  } else {
    timer_.cancel();
  }
}

void PlainUpstream::ask(Bytes query, Done done) {
  if (!channel_) {
    done({});
    return;
  }
  auto waiting = std::make_unique<Done>(std::move(done));
  ares_send(
      channel_, query.data(), static_cast<int>(query.size()),
      [](void *argument, int status, int, unsigned char *message, int size) {
        std::unique_ptr<Done> call(static_cast<Done *>(argument));
        Outcome outcome;
        if (message && size > 0) outcome.message = Bytes(message, static_cast<size_t>(size));
        outcome.code = code_of(status);
        outcome.abandoned = status == ARES_EDESTRUCTION || status == ARES_ECANCELLED;
        (*call)(outcome);
      },
      waiting.release());
  loop_.at_turn_end(*this, 0);
}

}  // namespace

std::unique_ptr<Upstream> make_plain_upstream(Loop &loop, const PlainUpstreamOptions &options) {
  return std::make_unique<PlainUpstream>(loop, options);
}

}  // namespace slipgate::dns
