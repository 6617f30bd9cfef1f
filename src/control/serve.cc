#include "control/serve.h"

#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "control/control_socket.h"
#include "control/notify.h"
#include "control/uapi_socket.h"
#include "crypto/key_text.h"
#include "gateway/gateway.h"
#include "host/limits.h"
#include "io/loop.h"
#include "io/signals.h"

namespace slipgate {
namespace {

constexpr Duration kMostDrain = seconds(5);
// A client that was given its file connects within seconds; after this its user wants to know what to look at.
constexpr Duration kHandshakeHint = seconds(30);

using Json = nlohmann::json;

double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Json to_json(const GatewayStatus &status, const GatewayOptions &options, Time now) {
  Json peers = Json::array();
  for (const wireguard::PeerStatus &peer : status.peers) {
    Json allowed = Json::array();
    for (const IpPrefix &prefix : peer.config.allowed_ips) allowed.push_back(prefix.to_string());
    Json entry{
        {"name", peer.config.name},
        {"public_key", to_base64(peer.config.public_key)},
        {"allowed_ips", allowed},
        {"received_bytes", peer.received_bytes},
        {"sent_bytes", peer.sent_bytes},
        {"endpoint", peer.path ? Json(peer.path->remote.to_string()) : Json()},
        {"seconds_since_handshake", peer.last_handshake ? Json(seconds_of(now - *peer.last_handshake)) : Json()}};
    peers.push_back(entry);
  }
  Json drops = Json::object();
  for (size_t i = 0; i < kDropReasons; i++) {
    if (status.counters.drops[i]) drops[std::string(name_of(static_cast<DropReason>(i)))] = status.counters.drops[i];
  }
  const Counters &counters = status.counters;
  return {{"name", status.name},
          {"config", options.config_file},
          {"listen", status.listen.to_string()},
          {"public_key", to_base64(status.public_key)},
          {"uptime_seconds", seconds_of(now - status.started)},
          {"flows", status.flows},
          {"tcp_connections", status.connections},
          {"ping_sockets", status.ping_sockets},
          {"peers", peers},
          {"packets", {{"from_link", counters.packets_from_link}, {"to_link", counters.packets_to_link}}},
          {"bytes", {{"from_link", counters.bytes_from_link}, {"to_link", counters.bytes_to_link}}},
          {"datagrams",
           {{"received", counters.datagrams_received},
            {"receive_calls", counters.receive_calls},
            {"sent", counters.datagrams_sent},
            {"send_calls", counters.send_calls}}},
          {"handshakes", counters.handshakes},
          {"dns_queries", counters.dns_queries},
          {"drops", drops}};
}

Json to_json(const FlowStatus &flow) {
  return {{"protocol", flow.key.to_string()},
          {"client", flow.client},
          {"state", flow.state},
          {"bytes_up", flow.bytes_up},
          {"bytes_down", flow.bytes_down},
          {"age_seconds", seconds_of(flow.age)},
          {"idle_seconds", seconds_of(flow.idle)}};
}

// One served gateway: what answers signals and control requests while the loop runs.
class Served final : TimerTarget {
 public:
  Served(Loop &loop, Gateway &gateway, GatewayOptions options, ServeHooks hooks)
      : loop_(loop),
        gateway_(gateway),
        options_(std::move(options)),
        hooks_(std::move(hooks)),
        signals_(loop, {SIGINT, SIGTERM, SIGHUP}, [this](int signal) { on_signal(signal); }) {
    gateway_.on_handshake = [this](std::string peer, const DatagramPath &path) {
      hint_.cancel();
      log::info("handshake with {} at {}", peer, path.remote.to_string());
    };
    if (!hooks_.hints.empty()) loop_.timers().arm(hint_, loop_.now() + kHandshakeHint);
  }

  Json handle(const Json &request) {
    std::string command = request.value("command", "");
    if (command == "status") return to_json(gateway_.status(), options_, loop_.now());
    if (command == "flows") {
      Json flows = Json::array();
      for (const FlowStatus &flow : gateway_.flows()) flows.push_back(to_json(flow));
      return {{"flows", flows}};
    }
    if (command == "reload") {
      Result<void> done = reload();
      return done ? Json{{"ok", true}} : Json{{"error", done.error().text}};
    }
    return {{"error", "unknown command '" + command + "' (expected status, flows or reload)"}};
  }

 private:
  void on_signal(int signal) {
    if (signal != SIGHUP) return stop(signal);
    if (Result<void> done = reload(); !done) log::error("reload: {}", done.error().text);
  }

  // No handshake came.
  void on_timer(Timer &, Time) override {
    for (const std::string &hint : hooks_.hints) log::warn("{}", hint);
  }

  // The first signal drains, a second one ends at once.
  void stop(int signal) {
    if (stopping_) return loop_.stop();
    stopping_ = true;
    log::info("{}: draining for up to {} s", signal == SIGINT ? "SIGINT" : "SIGTERM",
              std::chrono::duration_cast<seconds>(kMostDrain).count());
    notify_stopping();
    gateway_.drain(kMostDrain, [this] { loop_.stop(); });
  }

  Result<void> reload() {
    if (!hooks_.reload) return Error{0, "this gateway was started without a configuration file"};
    Result<GatewayOptions> fresh = hooks_.reload();
    if (!fresh) return fresh.error();
    std::vector<std::string> unchanged;
    if (Result<void> done = gateway_.reload(*fresh, unchanged); !done) return done;
    for (const std::string &what : unchanged) log::warn("reload: {} changes only with a restart", what);
    options_ = std::move(*fresh);
    log::info("configuration reloaded");
    return {};
  }

  Loop &loop_;
  Gateway &gateway_;
  GatewayOptions options_;
  ServeHooks hooks_;
  Signals signals_;
  Timer hint_{*this};
  bool stopping_ = false;
};

}  // namespace

int serve(GatewayOptions options, ServeHooks hooks) {
  log::configure(options.log_level, options.log_format, options.name);
  // A write to a connection that the peer has reset is an error to handle, not a signal to die of.
  std::signal(SIGPIPE, SIG_IGN);
  size_t descriptors = raise_descriptor_limit();

  Loop loop;
  Result<std::unique_ptr<Gateway>> gateway = Gateway::open(loop, options);
  if (!gateway) {
    log::error("{}", gateway.error().text);
    return 1;
  }
  Served served(loop, **gateway, options, hooks);

  std::unique_ptr<ControlSocket> control;
  Result<std::unique_ptr<ControlSocket>> opened = ControlSocket::open(
      loop, options.control_path, options.name, [&](const Json &request) { return served.handle(request); });
  if (opened) {
    control = std::move(*opened);
  } else if (!options.control_path.empty()) {
    log::error("{}", opened.error().text);
    return 1;
  } else {
    log::debug("no control socket: {}", opened.error().text);
  }

  std::unique_ptr<UapiSocket> uapi;
  if (!options.interface.empty()) {
    Result<std::unique_ptr<UapiSocket>> made =
        UapiSocket::open(loop, (*gateway)->wireguard(), uapi_folder(), options.interface);
    if (!made) {
      log::error("{}", made.error().text);
      return 1;
    }
    uapi = std::move(*made);
    log::info("wg finds this gateway as {} at {}", options.interface, uapi->path());
  }

  GatewayStatus status = (*gateway)->status();
  log::info("serving {} peer(s) on UDP {}, {} descriptors", status.peers.size(), status.listen.to_string(),
            descriptors);
  notify_ready(options.ready_fd);
  if (hooks.on_ready) hooks.on_ready(status.listen.port);
  loop.run();
  log::info("ended");
  return 0;
}

}  // namespace slipgate
