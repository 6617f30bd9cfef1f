#include "control/serve_tun.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <csignal>
#include <memory>

#include "control/notify.h"
#include "control/sandbox.h"
#include "control/uapi_socket.h"
#include "dns/resolver.h"
#include "dns/server.h"
#include "io/loop.h"
#include "io/signals.h"
#include "io/task.h"
#include "io/wait.h"
#include "link/interface_setup.h"
#include "link/wireguard_interface.h"

namespace slipgate {
namespace {

// Names of endpoints that do not resolve are asked again this often.
constexpr Duration kResolveRetry = seconds(10);
// How long their first answers are waited for before routes are set: a default route leads questions, too, into the
// tunnel that has no endpoint yet.
constexpr Duration kResolveFirst = seconds(5);

// The peers whose endpoint is a name.
class EndpointNames {
 public:
  EndpointNames(Loop &loop, WireGuardLink &link, std::vector<WireGuardPeerOptions> peers)
      : loop_(loop), link_(link), dns_(loop, counters_, {}), resolver_(loop, dns_), peers_(std::move(peers)) {
    std::erase_if(peers_, [](const WireGuardPeerOptions &peer) { return peer.endpoint_name.empty(); });
    asked_ = peers_.empty();
    if (!asked_) spawn(loop_, resolve(alive_));
  }

  // Every name was asked once.
  bool asked() const { return asked_; }

 private:
  Task<> resolve(std::weak_ptr<void> alive) {
    bool said = false;
    while (!peers_.empty()) {
      for (size_t i = 0; i < peers_.size();) {
        const std::string name = peers_[i].endpoint_name;
        Result<std::vector<IpAddress>> found = co_await resolver_.resolve(name);
        if (alive.expired()) co_return;
        if (!found) {
          if (!said) log::warn("peer endpoint {}: {}; trying again", name, found.error().text);
          i++;
          continue;
        }
        WireGuardPeerOptions peer = peers_[i];
        peers_.erase(peers_.begin() + static_cast<std::ptrdiff_t>(i));
        // The peer as it is now: wg(8) may have changed or removed it, or given it an endpoint.
        std::optional<wireguard::PeerConfig> standing = link_.peer(peer.config.public_key);
        if (!standing || standing->endpoint) continue;
        standing->endpoint = Endpoint{found->front(), peer.endpoint_port};
        link_.set_peer(*standing);
      }
      said = asked_ = true;
      Event never(loop_);
      if (!peers_.empty()) co_await never.wait(loop_.now() + kResolveRetry);
      if (alive.expired()) co_return;
    }
  }

  Loop &loop_;
  WireGuardLink &link_;
  Counters counters_;
  dns::Server dns_;
  dns::Resolver resolver_;
  std::vector<WireGuardPeerOptions> peers_;
  bool asked_ = false;
  std::shared_ptr<void> alive_ = std::make_shared<int>();
};

// Tells when a file is removed.
class RemovalWatch final : Pollable {
 public:
  // Null: it cannot be watched.
  static std::unique_ptr<RemovalWatch> open(Loop &loop, const std::string &path, std::function<void()> on_removal) {
    Fd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    // The last link's removal is a change of attributes as long as somebody has the file open.
    if (!watch || ::inotify_add_watch(watch.get(), path.c_str(), IN_ATTRIB | IN_DELETE_SELF) < 0) return nullptr;
    std::unique_ptr<RemovalWatch> made(new RemovalWatch(loop, path, std::move(watch), std::move(on_removal)));
    if (!loop.poller().add(made->watch_.get(), *made, Interest::reading)) return nullptr;
    return made;
  }
  ~RemovalWatch() { loop_.poller().remove(watch_.get(), *this); }

 private:
  RemovalWatch(Loop &loop, const std::string &path, Fd watch, std::function<void()> on_removal)
      : loop_(loop), path_(path), watch_(std::move(watch)), on_removal_(std::move(on_removal)) {}

  void on_events(uint32_t) override {
    char events[4096];
    while (::read(watch_.get(), events, sizeof(events)) > 0) {
    }
    if (::access(path_.c_str(), F_OK) != 0) on_removal_();
  }

  Loop &loop_;
  const std::string path_;
  Fd watch_;
  std::function<void()> on_removal_;
};

std::vector<IpPrefix> routes_to(const std::vector<WireGuardPeerOptions> &peers) {
  std::vector<IpPrefix> routes;
  for (const WireGuardPeerOptions &peer : peers) {
    routes.insert(routes.end(), peer.config.allowed_ips.begin(), peer.config.allowed_ips.end());
  }
  return routes;
}

}  // namespace

int serve_tun(const ServeTunOptions &options) {
  const TunOptions &tun = options.tun;
  log::configure(options.log_level, options.log_format, tun.interface);
  std::signal(SIGPIPE, SIG_IGN);
  auto failed = [](const Error &error) {
    log::error("{}", error.text);
    return 1;
  };

  Loop loop;
  Signals signals(loop, {SIGINT, SIGTERM}, [&](int) { loop.stop(); });
  Result<std::unique_ptr<WireGuardInterface>> opened = WireGuardInterface::open(loop, tun);
  if (!opened) return failed(opened.error());
  WireGuardInterface &interface = **opened;
  WireGuardLink &link = interface.link();

  EndpointNames names(loop, link, tun.wireguard.peers);
  for (Time end = BootClock::now() + kResolveFirst; !names.asked() && BootClock::now() < end;) {
    loop.turn(end - BootClock::now());
  }
  std::unique_ptr<InterfaceSetup> setup;
  std::optional<uint32_t> mark = tun.mark;
  if (options.set_up) {
    Result<std::unique_ptr<InterfaceSetup>> done =
        InterfaceSetup::apply(interface.name(), tun, routes_to(tun.wireguard.peers));
    if (!done) return failed(done.error());
    setup = std::move(*done);
    if (setup->mark()) mark = setup->mark();
  }
  if (mark) {
    if (Result<void> marked = link.change(nullptr, std::nullopt, *mark); !marked) return failed(marked.error());
  }
  interface.on_gone = [&] {
    log::info("the interface {} was deleted", interface.name());
    loop.stop();
  };
  link.on_handshake = [&](uint32_t peer, const DatagramPath &path) {
    log::info("handshake with {} at {}", link.client_name(peer), path.remote.to_string());
  };
  // Where wg(8) talks to us.
  Result<std::unique_ptr<UapiSocket>> uapi = UapiSocket::open(loop, link, uapi_folder(), interface.name());
  if (!uapi && options.needs_socket) return failed(uapi.error());
  if (!uapi) log::warn("wg will not find this interface: {}", uapi.error().text);
  std::unique_ptr<RemovalWatch> removal;
  if (uapi && options.needs_socket) {
    removal = RemovalWatch::open(loop, (*uapi)->path(), [&] {
      log::info("{} was removed", (*uapi)->path());
      loop.stop();
    });
  }
  SandboxPlan plan{.on = options.sandbox, .files = name_files({})};
  if (uapi) plan.socket_folders.push_back(socket_folder((*uapi)->path()));
  Result<std::unique_ptr<Sandbox>> sandbox = Sandbox::enter(plan);
  if (!sandbox) return failed(sandbox.error());
  (*sandbox)->watch(loop);

  log::info("interface {}, {} peer(s), UDP {}", interface.name(), link.peers().size(), link.local().to_string());
  notify_ready(options.ready_fd);
  if (options.on_ready) options.on_ready();
  loop.run();
  loop.abandon();
  log::info("ended");
  return 0;
}

}  // namespace slipgate
