// slipgate quick: no configuration. Makes keys once, prints a client's file and QR code, says what has to be open,
// serves.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

#include "cli/command.h"
#include "cli/show_client.h"
#include "config/arguments.h"
#include "config/options.h"
#include "config/print_config.h"
#include "config/quick_state.h"
#include "control/first_hour.h"
#include "control/serve.h"

namespace slipgate::cli {

namespace {

constexpr std::string_view kFirstClient = "first";

struct QuickOptions {
  std::string state;
  std::string endpoint;
  bool install = false;
};

const OptionRow<QuickOptions> kRows[] = {
    {"state", 0, "DIR", "where keys and files are kept, mode 0700",
     "$XDG_STATE_HOME/slipgate or ~/.local/state/slipgate", false,
     [](QuickOptions &q, std::string_view v) -> Result<void> {
       if (v.empty()) return Error{0, "empty; give a directory"};
       q.state = v;
       return {};
     }},
    {"endpoint", 0, "HOST[:PORT]", "where clients find this gateway; kept for later runs", "this machine's address",
     false,
     [](QuickOptions &q, std::string_view v) -> Result<void> {
       Result<PublicEndpoint> read = PublicEndpoint::parse(v);
       if (!read) return read.error();
       q.endpoint = v;
       return {};
     }},
    {"install", 0, "", "write a systemd user unit that serves from now on, and say how to enable it", "", false,
     [](QuickOptions &q, std::string_view) -> Result<void> {
       q.install = true;
       return {};
     }},
};

Arguments parse(Words arguments, QuickOptions &quick, GatewayCommand &command) {
  std::vector<Option> rows = bind_rows<QuickOptions>(kRows, quick);
  for (std::vector<Option> more : {single_link_options(command.options), bind_rows(command_option_rows(), command)}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return parse_arguments(rows, arguments, 0);
}

std::string help() {
  QuickOptions quick;
  GatewayCommand command;
  return fmt::format(
      "slipgate quick [options]: a WireGuard gateway without configuration\n\n"
      "Makes keys and the file of a first client (once), prints that file and its QR code, and serves.\n"
      "`slipgate peer add NAME` makes files for more clients while it runs.\n\n{}\nOptions of every link command:\n{}",
      help_table(bind_rows<QuickOptions>(kRows, quick)),
      help_table(single_link_options(command.options)) + help_table(bind_rows(command_option_rows(), command)));
}

// What the gateway is made from: the file, then the options. Again for every reload.
Result<GatewayCommand> gateway_command(const QuickState &state, const std::vector<std::string> &arguments) {
  WgQuickFile file = load_wg_quick(state.server_path());
  if (!file.problems.empty()) {
    std::vector<std::string> lines;
    for (const Problem &problem : file.problems) lines.push_back(problem.to_string());
    return Error{0, fmt::format("{}", fmt::join(lines, "\n"))};
  }
  GatewayCommand command;
  apply_wg_quick(file, command.options);
  command.options.name = "quick";
  QuickOptions quick;
  const Arguments parsed = parse(arguments, quick, command);  // without problems: they were looked for first
  say(command.said.links.emplace_back(SaidLink{"wireguard", {}, {}}).options, "config", state.server_path(), false);
  say_arguments(command.said, parsed.said);
  return command;
}

// Keys and a network, unless they are there.
Result<void> make_server(QuickState &state, uint16_t wanted_port, uint16_t mtu) {
  if (state.has_server()) return {};
  uint16_t free = free_udp_port(wanted_port);
  if (free != wanted_port) tell(fmt::format("UDP port {} is in use; this gateway takes {}.\n", wanted_port, free));
  return state.make_server(free, mtu);
}

// Whoever has peers, made here or by hand, needs no first one.
Result<void> make_first_client(const QuickState &state, const GatewayOptions &options, const PublicEndpoint &endpoint) {
  if (!options.links[0].wireguard()->peers.empty()) return {};
  Result<ClientFile> client =
      add_peer(state.server_path(), kFirstClient, endpoint, options.links[0].wireguard()->listen.port);
  if (!client) return client.error();
  return replace_file(state.client_path(kFirstClient), client->to_text());
}

// Where clients find us, and whether that was said, found or guessed.
struct Place {
  PublicEndpoint endpoint;
  std::string note;                    // for a person
  std::unique_ptr<RouterPort> router;  // kept while we serve
};

Place find_endpoint(const QuickState &state, uint16_t port, bool ask_router) {
  Place place;
  std::optional<GuessedAddress> own = guess_own_address();
  bool behind_router = own && !own->is_public;
  if (behind_router && ask_router) {
    place.router = RouterPort::ask(port, own->address.is_v4());
    if (!place.router->text().empty()) place.note = place.router->text() + "\n";
  }
  if (std::optional<PublicEndpoint> said = state.endpoint()) {
    place.endpoint = *said;
    return place;
  }
  if (std::optional<Endpoint> external = place.router ? place.router->external() : std::nullopt) {
    place.endpoint = PublicEndpoint{external->address.to_string(), external->port};
    return place;
  }
  if (!own) {
    place.endpoint = PublicEndpoint{"127.0.0.1", 0};
    place.note +=
        "The public endpoint could not be guessed: this machine has no address that others reach, and the client's "
        "file works "
        "on this machine only. Give --endpoint HOST[:PORT] once it has one.\n";
    return place;
  }
  place.endpoint = PublicEndpoint{own->address.to_string(), 0};
  if (behind_router) {
    place.note += fmt::format(
        "The public endpoint could not be guessed: {} is an address of this network only. For clients elsewhere give "
        "--endpoint "
        "with the router's public name or address, and let the router pass the port on to this machine.\n",
        own->address.to_string());
  }
  return place;
}

std::string unit_text(const std::string &program, const QuickState &state, const std::vector<std::string> &arguments) {
  // Quoted as systemd.service(5) wants it; % and $ are doubled against its expansions.
  auto quoted = [](std::string_view word) {
    std::string text = "\"";
    for (char c : word) {
      if (c == '"' || c == '\\') text += '\\';
      if (c == '%' || c == '$') text += c;
      text += c;
    }
    return text + "\"";
  };
  std::string command = fmt::format("{} quick --state {}", quoted(program), quoted(state.folder()));
  for (size_t i = 0; i < arguments.size(); i++) {
    if (arguments[i] == "--install" || arguments[i].starts_with("--state=") || arguments[i].starts_with("--endpoint="))
      continue;
    if (arguments[i] == "--state" || arguments[i] == "--endpoint") {  // both are in the state directory now
      i++;
      continue;
    }
    command += " " + quoted(arguments[i]);
  }
  return fmt::format(
      "# Written by `slipgate quick --install`.\n"
      "[Unit]\n"
      "Description=slipgate quick: WireGuard gateway\n"
      "\n"
      "[Service]\n"
      "Type=notify\n"
      "ExecStart={}\n"
      "ExecReload=/bin/kill -HUP $MAINPID\n"
      "Restart=on-failure\n"
      "RestartSec=2\n"
      "TimeoutStopSec=15\n"
      "LimitNOFILE=infinity\n"
      "UMask=0077\n"
      "RuntimeDirectory=slipgate\n"
      "RuntimeDirectoryMode=0700\n"
      "RuntimeDirectoryPreserve=yes\n"
      "NoNewPrivileges=yes\n"
      "ProtectSystem=strict\n"
      "ProtectHome=read-only\n"
      "ReadWritePaths={}\n"
      "PrivateTmp=yes\n"
      "LockPersonality=yes\n"
      "MemoryDenyWriteExecute=yes\n"
      "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK\n"
      "RestrictNamespaces=yes\n"
      "RestrictRealtime=yes\n"
      "RestrictSUIDSGID=yes\n"
      "SystemCallArchitectures=native\n"
      "\n"
      "[Install]\n"
      "WantedBy=default.target\n",
      command, quoted(state.folder()));
}

Result<std::string> install(const QuickState &state, const std::vector<std::string> &arguments) {
  const char *config = getenv("XDG_CONFIG_HOME");
  const char *home = getenv("HOME");
  std::string folder;
  if (config && *config == '/') {
    folder = config;
  } else if (home && *home == '/') {
    folder = fmt::format("{}/.config", home);
  } else {
    return Error{0, "--install: neither XDG_CONFIG_HOME nor HOME is set"};
  }
  folder += "/systemd/user";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  std::string program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Error{error.value(), fmt::format("--install: /proc/self/exe: {}", error.message())};
  std::string path = folder + "/slipgate-quick.service";
  Result<void> written = replace_file(path, unit_text(program, state, arguments));
  if (!written) return written.error();
  chmod(path.c_str(), 0644);
  return path;
}

// The host's own addresses are closed to clients: how ssh to this machine is opened.
std::string ssh_line() {
  std::optional<GuessedAddress> own = guess_own_address();
  if (!own) return {};
  return fmt::format("To let clients use ssh on this machine, add: --allow tcp://{}\n",
                     Endpoint{own->address, 22}.to_string());
}

}  // namespace

int run_quick(Words words) {
  std::vector<std::string> arguments(words.begin(), words.end());
  QuickOptions quick;
  GatewayCommand scratch;
  Arguments parsed = parse(arguments, quick, scratch);
  if (parsed.help) {
    print(help());
    return kDone;
  }
  if (!parsed.problems.empty()) return print_problems(parsed.problems);

  Result<std::string> folder = quick.state.empty() ? QuickState::default_folder() : Result<std::string>(quick.state);
  if (!folder) return fail(folder.error().text, kUsage);
  Result<QuickState> state = QuickState::open(*folder);
  if (!state) return fail(state.error().text);
  if (!quick.endpoint.empty()) {
    Result<void> kept = state->set_endpoint(quick.endpoint);
    if (!kept) return fail(kept.error().text);
  }
  std::optional<PublicEndpoint> said = state->endpoint();
  Result<void> made =
      make_server(*state, said && said->port != 0 ? said->port : kDefaultPort, scratch.options.links[0].mtu);
  if (!made) return fail(made.error().text);
  Result<GatewayCommand> command = gateway_command(*state, arguments);
  if (!command) return fail(command.error().text, kUsage);
  uint16_t port = command->options.links[0].wireguard()->listen.port;
  Place place = find_endpoint(*state, port, !quick.install);
  made = make_first_client(*state, command->options, place.endpoint);
  if (!made) return fail(made.error().text);
  command = gateway_command(*state, arguments);  // with the first client
  if (!command) return fail(command.error().text, kUsage);
  if (command->print_config) {
    print(print_config(*command));
    return kDone;
  }

  // From here on there are keys, and the options are good.
  std::string endpoint = place.endpoint.to_string(port);
  Result<std::vector<std::string>> changed = state->update_endpoints(place.endpoint, port);
  if (!changed) return fail(changed.error().text);
  for (const std::string &name : *changed) {
    tell(fmt::format("Endpoint is now {}: the file of client {} has changed; give it to that client again.\n", endpoint,
                     name));
  }

  auto introduce = [&, state = *state] {
    Result<std::string> text = read_whole_file(state.client_path(kFirstClient));
    if (text) show_client(*text);
    tell(fmt::format("{}The client's file is {}.\n",
                     text ? "" : "No client's file was made yet, or it was removed: `slipgate peer add NAME`. ",
                     text ? state.client_path(kFirstClient) : state.folder()));
    tell(
        fmt::format("Clients come to {}: UDP port {} must be open in the firewall of this machine.\n", endpoint, port));
    if (!place.note.empty()) tell(place.note);
    tell(ssh_line());
  };
  if (quick.install) {
    Result<std::string> unit = install(*state, arguments);
    if (!unit) return fail(unit.error().text);
    introduce();
    tell(
        fmt::format("{} is written. Enable it, also for when you are not logged in:\n"
                    "  systemctl --user daemon-reload && systemctl --user enable --now slipgate-quick\n"
                    "  loginctl enable-linger\n",
                    *unit));
    return kDone;
  }

  ServeHooks hooks;
  hooks.on_ready = [&](uint16_t) {
    if (place.router) place.router->keep();
    introduce();
  };
  hooks.reload = [state = *state, arguments]() -> Result<Reloaded> {
    Result<GatewayCommand> fresh = gateway_command(state, arguments);
    if (!fresh) return fresh.error();
    return Reloaded{std::move(fresh->options), {}};
  };
  hooks.hints = {
      fmt::format("no client has connected yet. Is UDP port {} open here (`sudo ufw allow {}/udp`, or your firewall's "
                  "way), and "
                  "passed on by the router?",
                  port, port),
      fmt::format("does the client reach {}? --endpoint HOST[:PORT] names another place", endpoint),
      fmt::format(
          "does the client have the file that was printed ({})? `slipgate peer list` shows the keys that are known",
          state->client_path(kFirstClient)),
  };
  return serve(std::move(command->options), std::move(hooks));
}

}  // namespace slipgate::cli
