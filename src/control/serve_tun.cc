#include "control/serve_tun.h"

#include <csignal>
#include <memory>

#include "control/notify.h"
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

// The peers whose endpoint is a name.
class EndpointNames {
 public:
  EndpointNames(Loop &loop, WireGuardLink &link, std::vector<WireGuardPeerOptions> peers)
      : loop_(loop), link_(link), dns_(loop, counters_, {}), resolver_(loop, dns_), peers_(std::move(peers)) {
    std::erase_if(peers_, [](const WireGuardPeerOptions &peer) { return peer.endpoint_name.empty(); });
    if (!peers_.empty()) spawn(loop_, resolve(alive_));
  }

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
        peer.config.endpoint = Endpoint{found->front(), peer.endpoint_port};
        link_.set_peer(peer.config);
      }
      said = true;
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
  std::shared_ptr<void> alive_ = std::make_shared<int>();
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

  std::unique_ptr<InterfaceSetup> setup;
  std::optional<uint32_t> mark = tun.mark;
  if (options.set_up) {
    Result<std::unique_ptr<InterfaceSetup>> done =
        InterfaceSetup::apply(interface.name(), tun, routes_to(tun.wireguard.peers));
    if (!done) return failed(done.error());
    setup = std::move(*done);
    if (!mark) mark = setup->mark();
  }
  if (mark) {
    if (Result<void> marked = link.set_mark(*mark); !marked) return failed(marked.error());
  }
  interface.on_gone = [&] {
    log::info("the interface {} was deleted", interface.name());
    loop.stop();
  };
  link.on_handshake = [&](uint32_t peer, const DatagramPath &path) {
    log::info("handshake with {} at {}", link.client_name(peer), path.remote.to_string());
  };
  EndpointNames names(loop, link, tun.wireguard.peers);

  log::info("interface {}, {} peer(s), UDP {}", interface.name(), link.peers().size(), link.local().to_string());
  notify_ready(options.ready_fd);
  if (options.on_ready) options.on_ready();
  loop.run();
  loop.abandon();
  log::info("ended");
  return 0;
}

}  // namespace slipgate
