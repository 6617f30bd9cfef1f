#include "control/serve.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/read_file.h"
#include "base/secret_memory.h"
#include "config/options.h"
#include "control/control_socket.h"
#include "control/http_server.h"
#include "control/metrics.h"
#include "control/notify.h"
#include "control/report.h"
#include "control/sandbox.h"
#include "control/status_page.h"
#include "control/top_flows.h"
#include "control/uapi_socket.h"
#include "flow/rate_rule.h"
#include "gateway/gateway.h"
#include "host/limits.h"
#include "host/local_ports.h"
#include "io/loop.h"
#include "io/signals.h"

namespace slipgate {
namespace {

constexpr Duration kMostDrain = seconds(5);
// A client that was given its file connects within seconds; after this its user wants to know what to look at.
constexpr Duration kHandshakeHint = seconds(30);

constexpr size_t kPageFlows = 50;  // that the status page shows
constexpr size_t kMostTopFlows = 1000;

using Json = nlohmann::json;

// Kinds of sockets that the forward's target needs beside the usual ones.
SandboxSockets sockets_for(const Forward &forward, SandboxSockets sockets = {}) {
  if (std::holds_alternative<target::Vsock>(forward.socket)) sockets.vsock = true;
  if (std::holds_alternative<target::Tipc>(forward.socket)) sockets.tipc = true;
  const auto *local = std::get_if<target::Unix>(&forward.socket);
  if (local && !local->path.starts_with('/')) sockets.abstract = true;
  return sockets;
}

SandboxPlan plan_for(const GatewayOptions &options, const std::string &uapi) {
  SandboxPlan plan{.on = options.sandbox, .files = name_files(options.resolving)};
  const std::vector<std::string> read = files_read();  // the configuration and its keys
  plan.files.insert(plan.files.end(), read.begin(), read.end());
  if (!options.control_path.empty()) {
    plan.socket_folders.push_back(socket_folder(options.control_path));
  } else if (const std::string usual = control_folder(); !usual.empty()) {
    plan.socket_folders.push_back(socket_folder(usual + "/NAME.sock"));
  }
  for (const Forward &forward : options.forwards) plan.sockets = sockets_for(forward, plan.sockets);
  if (!uapi.empty()) plan.socket_folders.push_back(uapi);
  if (options.metrics && !options.metrics->endpoint)
    plan.socket_folders.push_back(socket_folder(options.metrics->path));
  return plan;
}

// One served gateway: what answers signals and control requests while the loop runs.
class Served final : TimerTarget {
 public:
  Served(Loop &loop, Gateway &gateway, const Sandbox &sandbox, GatewayOptions options, ServeHooks hooks)
      : loop_(loop),
        gateway_(gateway),
        sandbox_(sandbox),
        options_(std::move(options)),
        hooks_(std::move(hooks)),
        signals_(loop, {SIGINT, SIGTERM, SIGHUP}, [this](int signal) { on_signal(signal); }) {
    gateway_.on_handshake = [this](std::string peer, const DatagramPath &path) {
      hint_.cancel();
      log::info("handshake with {} at {}", peer, path.remote.to_string());
    };
    if (!hooks_.hints.empty()) loop_.timers().arm(hint_, loop_.now() + kHandshakeHint);
  }

  std::optional<HttpAnswer> page(std::string_view path) {
    if (path == "/") return HttpAnswer{200, "text/html; charset=utf-8", std::string(kStatusPage)};
    if (path == "/healthz") {
      if (stopping_) return HttpAnswer{503, "text/plain; charset=utf-8", "draining\n"};
      return HttpAnswer{200, "text/plain; charset=utf-8", "ok\n"};
    }
    if (path == "/metrics") {
      const double wall = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
      return HttpAnswer{200, kMetricsContentType, metrics_text(status(), BootClock::now(), wall)};
    }
    if (path == "/status.json") return HttpAnswer{200, "application/json", json_text(top(kPageFlows))};
    return std::nullopt;
  }

  Json handle(const Json &request) {
    std::string command = request.value("command", "");
    if (command == "status") return status_report(status(), options_.config_file, loop_.now());
    if (command == "flows") return {{"flows", flows_report(gateway_.flows(), loop_.now())}};
    if (command == "top") return top(std::min<size_t>(request.value("limit", kPageFlows), kMostTopFlows));
    if (command == "peer list") return {{"peers", peers_report(gateway_.status(), loop_.now())}};
    if (command == "forward list") return {{"forwards", forwards_report(gateway_.forwards())}};
    if (command == "forward add") return add_forward(request.at("option"), request.at("spec"));
    if (command == "forward remove") return remove_forward(request.at("spec"));
    if (command == "rate") return set_rate(request.at("spec"));
    if (command == "reload") {
      Result<std::vector<std::string>> restart = reload();
      return restart ? Json{{"ok", true}, {"restart", *restart}} : Json{{"error", restart.error().text}};
    }
    return {
        {"error",
         "unknown command '" + command +
             "' (expected status, flows, top, peer list, forward add, forward remove, forward list, rate or reload)"}};
  }

 private:
  GatewayStatus status() const {
    GatewayStatus status = gateway_.status();
    status.sandbox = sandbox_.status();
    return status;
  }

  Json top(size_t most) {
    Json flows = Json::array();
    size_t total = 0;
    for (const FlowRate &rate : top_.busiest(most, total)) {
      Json flow = flow_report(rate.flow, loop_.now());
      flow["up_per_second"] = rate.up;
      flow["down_per_second"] = rate.down;
      flows.push_back(std::move(flow));
    }
    Json whole = status_report(status(), options_.config_file, loop_.now());
    return {{"status", std::move(whole)}, {"flows", std::move(flows)}, {"flows_total", total}};
  }

  // As the option of that name would.
  Json add_forward(const std::string &option, const std::string &spec) {
    Result<Forward> forward = parse_forward_option(option, spec);
    if (!forward) return {{"error", fmt::format("--{} {}: {}", option, spec, forward.error().text)}};
    const SandboxPlan &plan = sandbox_.plan();
    if (plan.on && sockets_for(*forward, plan.sockets) != plan.sockets) {
      return {{"error", fmt::format("--{} {}: the sandbox refuses sockets of a kind that no forward had at the start; "
                                    "start with such a one, or with --sandbox off",
                                    option, spec)}};
    }
    Result<size_t> added = gateway_.add_forward(*forward);
    if (!added) return {{"error", added.error().text}};
    for (const ForwardStatus &each : gateway_.forwards()) {
      if (each.number == *added) return {{"forward", forwards_report({&each, 1})[0]}};
    }
    return {{"error", "it has gone already"}};
  }

  // By its number, or as it was given.
  Json remove_forward(const std::string &which) {
    size_t removed = 0;
    for (const ForwardStatus &each : gateway_.forwards()) {
      if (each.forward.spec != which && std::to_string(each.number) != which) continue;
      gateway_.remove_forward(each.number);
      log::info("forward {}: removed", each.forward.spec);
      removed++;
    }
    if (removed == 0) return {{"error", fmt::format("no forward {}; `forward list` names them", which)}};
    return {{"removed", removed}};
  }

  // As --rate would.
  Json set_rate(const std::string &spec) {
    Result<RateRule> rule = parse_rate_rule(spec);
    if (!rule) return {{"error", fmt::format("rate {}: {}", spec, rule.error().text)}};
    if (Result<void> done = gateway_.set_rate(*rule); !done) return {{"error", done.error().text}};
    log::info("rate {}", spec);
    return {{"ok", true}};
  }

  void on_signal(int signal) {
    if (signal != SIGHUP) return stop(signal);
    if (auto done = reload(); !done) log::error("reload: {}", done.error().text);
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

  // What needs a restart to change.
  Result<std::vector<std::string>> reload() {
    if (!hooks_.reload) return Error{0, "this gateway was started without a configuration file"};
    Result<Reloaded> fresh = hooks_.reload();
    if (!fresh) return fresh.error();
    std::vector<std::string> restart = std::move(fresh->restart);
    if (Result<void> done = gateway_.reload(fresh->options, restart); !done) return done.error();
    for (const std::string &what : restart) log::warn("reload: {} changes only with a restart", what);
    options_ = std::move(fresh->options);
    log::info("configuration reloaded");
    return restart;
  }

  Loop &loop_;
  Gateway &gateway_;
  const Sandbox &sandbox_;
  GatewayOptions options_;
  ServeHooks hooks_;
  Signals signals_;
  TopFlows top_{loop_, [this] { return gateway_.flows(); }};
  Timer hint_{*this};
  bool stopping_ = false;
};

}  // namespace

int serve(GatewayOptions options, ServeHooks hooks) {
  log::configure(options.log_level, options.log_format, options.name);
  // A write to a connection that the peer has reset is an error to handle, not a signal to die of.
  std::signal(SIGPIPE, SIG_IGN);
  size_t descriptors = raise_descriptor_limit();
  host_port_range();  // before no file can be read

  Loop loop;
  const bool has_interface = std::any_of(options.links.begin(), options.links.end(),
                                         [](const LinkOptions &link) { return !link.interface.empty(); });
  const std::string uapi_at = has_interface ? uapi_folder() : std::string();
  std::unique_ptr<Sandbox> sandbox;
  auto enter_sandbox = [&]() -> Result<void> {
    prepare_metrics();
    Result<std::unique_ptr<Sandbox>> entered = Sandbox::enter(plan_for(options, uapi_at));
    if (!entered) return entered.error();
    sandbox = std::move(*entered);
    return {};
  };
  Result<std::unique_ptr<Gateway>> gateway = Gateway::open(loop, options, enter_sandbox);
  if (!gateway) {
    log::error("{}", gateway.error().text);
    return 1;
  }
  Served served(loop, **gateway, *sandbox, options, hooks);
  sandbox->watch(loop);

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

  std::vector<std::unique_ptr<UapiSocket>> uapi;
  for (size_t number = 0; number < options.links.size(); number++) {
    const std::string &interface = options.links[number].interface;
    WireGuardControl *wireguard = (*gateway)->wireguard(number);
    if (interface.empty() || !wireguard) continue;
    Result<std::unique_ptr<UapiSocket>> made = UapiSocket::open(loop, *wireguard, uapi_at, interface);
    if (!made) {
      log::error("{}", made.error().text);
      return 1;
    }
    uapi.push_back(std::move(*made));
    log::info("wg finds {} as {} at {}", options.links.size() == 1 ? "this gateway" : options.links[number].name,
              interface, uapi.back()->path());
  }

  std::unique_ptr<HttpServer> http;
  if (options.metrics) {
    Result<std::unique_ptr<HttpServer>> opened_http =
        HttpServer::open(loop, *options.metrics, [&](std::string_view path) { return served.page(path); });
    if (!opened_http) {
      log::error("{}", opened_http.error().text);
      return 1;
    }
    http = std::move(*opened_http);
    log::info("metrics and the status page at {}", http->address());
  }

  if (!secret_memory_is_locked()) {
    log::info("keys may be swapped out: the limit of locked memory (ulimit -l) is too small for them");
  }
  GatewayStatus status = (*gateway)->status();
  for (const LinkStatus &link : status.links) {
    const std::string what = link.gue ? std::string("GUE") : fmt::format("{} peer(s)", link.peers.size());
    log::info("serving {} on UDP {}{}, {} descriptors", what, link.listen.to_string(),
              status.links.size() == 1 ? "" : fmt::format(" ({})", link.name), descriptors);
  }
  notify_ready(options.ready_fd);
  if (hooks.on_ready) hooks.on_ready(status.links[0].listen.port);
  loop.run();
  log::info("ended");
  return 0;
}

}  // namespace slipgate
