// slipgate peer add|remove|list NAME: edits a wg-quick file, and lets a running gateway know.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/command.h"
#include "cli/show_client.h"
#include "config/arguments.h"
#include "config/quick_state.h"
#include "config/values.h"
#include "control/control_socket.h"
#include "control/first_hour.h"
#include "crypto/key_text.h"

namespace slipgate::cli {

namespace {

using nlohmann::json;

struct PeerCommand {
  std::string config;    // --config; empty: that of `quick`
  std::string state;     // --state
  std::string endpoint;  // --endpoint
};

Result<void> text(std::string_view value, std::string &field) {
  field = value;
  return {};
}

const OptionRow<PeerCommand> kRows[] = {
    {"config", 'c', "FILE", "the wg-quick file", "server.conf of `slipgate quick`", false,
     [](PeerCommand &c, std::string_view v) { return text(v, c.config); }},
    {"state", 0, "DIR", "the state directory of `slipgate quick`", "~/.local/state/slipgate", false,
     [](PeerCommand &c, std::string_view v) { return text(v, c.state); }},
    {"endpoint", 0, "HOST[:PORT]", "where the client finds this gateway",
     "this machine's address and the file's ListenPort", false,
     [](PeerCommand &c, std::string_view v) -> Result<void> {
       Result<PublicEndpoint> read = PublicEndpoint::parse(v);
       if (!read) return read.error();
       return text(v, c.endpoint);
     }},
};

// Which file is edited, and the folder of `quick` when it is that one's.
struct Place {
  std::string config;
  std::optional<QuickState> state;
};

Result<Place> place_of(const PeerCommand &command) {
  if (!command.config.empty()) return Place{command.config, std::nullopt};
  Result<std::string> folder =
      command.state.empty() ? QuickState::default_folder() : Result<std::string>(command.state);
  if (!folder) return folder.error();
  if (access((*folder + "/server.conf").c_str(), F_OK) != 0) {
    return Error{
        0,
        fmt::format("{}/server.conf: {}; name the wg-quick file with --config FILE, or let `slipgate quick` make one",
                    *folder, errno == EACCES ? "may not be read" : "is not there")};
  }
  Result<QuickState> state = QuickState::open(*folder);
  if (!state) return state.error();
  return Place{state->server_path(), *state};
}

// A running gateway serves the change at once.
int tell_gateway(const std::string &config) {
  std::string socket = control_socket_of(config);
  if (socket.empty()) {
    tell("No running gateway reads this file; the change counts from its next start.\n");
    return kDone;
  }
  Result<json> answer = control_request(socket, {{"command", "reload"}});
  if (!answer) return fail(fmt::format("the running gateway did not take the change: {}", answer.error().text));
  tell("The running gateway has taken the change.\n");
  return kDone;
}

// Where the running gateway listens, for a file that does not say.
uint16_t running_port(const std::string &config) {
  std::string socket = control_socket_of(config);
  if (socket.empty()) return 0;
  Result<json> status = control_request(socket, {{"command", "status"}});
  if (!status || !status->contains("listen") || !(*status)["listen"].is_string()) return 0;
  std::optional<Endpoint> listen = Endpoint::parse((*status)["listen"].get<std::string>());
  return listen ? listen->port : 0;
}

int add(const PeerCommand &command, const Place &place, const std::string &name) {
  WgQuickFile file = load_wg_quick(place.config);
  print_notes(file.notes);
  if (!file.problems.empty()) return print_problems(file.problems);
  uint16_t port = file.listen_port.value_or(0);
  if (port == 0) port = running_port(place.config);

  std::optional<PublicEndpoint> endpoint;
  if (!command.endpoint.empty()) endpoint = *PublicEndpoint::parse(command.endpoint);
  if (!endpoint && place.state) endpoint = place.state->endpoint();
  if (!endpoint) {
    std::optional<GuessedAddress> own = guess_own_address();
    if (!own) return fail("this machine has no address that others reach; give --endpoint HOST[:PORT]", kUsage);
    endpoint = PublicEndpoint{own->address.to_string(), 0};
    tell(fmt::format("The client will look for this gateway at {}{}; --endpoint HOST[:PORT] changes that.\n",
                     endpoint->host, own->is_public ? "" : ", which only this network reaches"));
  }
  if (endpoint->port == 0 && port == 0) {
    return fail(fmt::format("{}: no ListenPort, so the client's file cannot name it; add one (51820 is usual), or give "
                            "--endpoint HOST:PORT",
                            place.config),
                kUsage);
  }

  Result<ClientFile> client = add_peer(place.config, name, *endpoint, port);
  if (!client) return fail(client.error().text, kUsage);
  std::string text = client->to_text();
  if (place.state) {
    Result<void> written = replace_file(place.state->client_path(name), text);
    if (!written) fail(written.error().text);
  }
  show_client(text);
  int code = tell_gateway(place.config);
  if (place.state) tell(fmt::format("The client's file is also in {}.\n", place.state->client_path(name)));
  return code;
}

int remove(const Place &place, const std::string &name) {
  Result<void> removed = remove_peer(place.config, name);
  if (!removed) return fail(removed.error().text, kUsage);
  if (place.state) unlink(place.state->client_path(name).c_str());  // its key opens nothing any more
  tell(fmt::format("{}: removed.\n", name));
  return tell_gateway(place.config);
}

int list(const Place &place) {
  WgQuickFile file = load_wg_quick(place.config);
  print_notes(file.notes);
  for (const WireGuardPeerOptions &peer : file.peers) {
    std::vector<std::string> prefixes;
    for (const IpPrefix &prefix : peer.config.allowed_ips) prefixes.push_back(prefix.to_string());
    print(fmt::format("{}\t{}\t{}\n", peer.config.name.empty() ? "-" : peer.config.name,
                      to_base64(peer.config.public_key), fmt::join(prefixes, ", ")));
  }
  return file.problems.empty() ? kDone : print_problems(file.problems);
}

}  // namespace

int run_peer(Words arguments) {
  PeerCommand command;
  std::vector<Option> options = bind_rows<PeerCommand>(kRows, command);
  Arguments parsed = parse_arguments(options, arguments, 2);
  if (parsed.help) {
    print(
        fmt::format("slipgate peer add NAME | remove NAME | list [options]: the peers of a wg-quick file\n\n"
                    "add gives the next free addresses and new keys to a client, prints its file and QR code;\n"
                    "a running gateway serves it at once.\n\n{}",
                    help_table(options)));
    return kDone;
  }
  Problems problems = parsed.problems;
  const std::string verb = parsed.words.empty() ? "" : parsed.words[0];
  bool known = verb == "add" || verb == "remove" || verb == "list";
  if (!known) {
    problems.push_back(
        {"", 0, fmt::format("peer {}: give add NAME, remove NAME or list", verb.empty() ? "what?" : verb)});
  } else if (verb != "list" && parsed.words.size() < 2) {
    problems.push_back({"", 0, fmt::format("peer {}: whom? Give the peer's name", verb)});
  } else if (verb == "add") {
    if (Result<void> good = check_peer_name(parsed.words[1]); !good) problems.push_back({"", 0, good.error().text});
  }
  if (!command.config.empty() && !command.state.empty()) {
    problems.push_back({"", 0, "--config and --state: both name a file; give one of them"});
  }
  if (!problems.empty()) return print_problems(problems);

  Result<Place> place = place_of(command);
  if (!place) return fail(place.error().text, kUsage);
  if (verb == "add") return add(command, *place, parsed.words[1]);
  if (verb == "remove") return remove(*place, parsed.words[1]);
  return list(*place);
}

}  // namespace slipgate::cli
