// slipgate: one program, few words. Which word runs what.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cli/command.h"
#include "config/print_config.h"
#include "config/values.h"

namespace slipgate::cli {

namespace {

struct CommandRow {
  std::string_view name;
  std::string_view arguments;
  std::string_view summary;
  int (*run)(Words arguments);
};

const CommandRow kCommands[] = {
    {"wireguard", "[CONF] [options]", "WireGuard peers in, ordinary sockets out", run_wireguard},
    {"gue", "[options]", "GUE and FOU packets in, no encryption: for tests and trusted wires", run_gue},
    {"run", "FILE [options]", "any number of links of any kind in one process, from a TOML file", run_run},
    {"tun", "CONF [options]", "a WireGuard interface over a TUN device", run_tun},
    {"quick", "[options]", "no configuration: make keys, print a client's file and QR code, serve", run_quick},
    {"peer", "add|remove|list [NAME]", "edit a wg-quick file: next free address, keys, client's file and QR code",
     run_peer},
    {"genkey", "", "a new private key, as wg(8)", run_genkey},
    {"pubkey", "", "the public key of the private key on standard input, as wg(8)", run_pubkey},
    {"genpsk", "", "a new pre-shared key, as wg(8)", run_genpsk},
    {"check", "FILE", "read a configuration, say every problem in it, change nothing", run_check},
    {"status", "[NAME] [--json]", "what a running gateway does", run_status},
    {"flows", "[NAME] [--json]", "what flows through it", run_flows},
    {"top", "[NAME] [--json]", "the same, live, on a terminal", run_top},
    {"rate", "PEER=BYTES/s [NAME]", "how fast a peer may send and receive from now on", run_rate},
    {"reload", "[NAME]", "let it read its configuration again", run_reload},
    {"forward", "add|remove|list", "forwards of a running gateway come and go", run_forward},
    {"wg", "ARGS...", "the real wg(8) on the gateways of an ordinary user", run_wg},
    {"as", "PROGRAM ARGS...", "take another program's command line: wgslirpy, wireguard-go", run_as},
};

// Names under which the program is `slipgate as NAME`.
constexpr std::string_view kStandIns[] = {"wgslirpy", "wireguard-go"};

std::string overview() {
  std::string text = "slipgate: a network gateway that needs no privileges\n\n";
  for (const CommandRow &row : kCommands) {
    text += fmt::format("  slipgate {:<34} {}\n", fmt::format("{} {}", row.name, row.arguments), row.summary);
  }
  text += "\n  slipgate --help | --version | --print-config | COMMAND --help\n";
  return text;
}

int dispatch(Words arguments) {
  if (arguments.empty()) {
    fail("no command\n\n" + overview());
    return kUsage;
  }
  const std::string &word = arguments[0];
  if (word == "--help" || word == "-h" || word == "help") {
    print(overview());
    return kDone;
  }
  if (word == "--version" || word == "-V") {
    print(fmt::format("slipgate {}\n", SLIPGATE_VERSION));
    return kDone;
  }
  if (word == "--print-config") {
    print(print_default_config());
    return kDone;
  }
  std::vector<std::string_view> names;
  for (const CommandRow &row : kCommands) {
    if (row.name == word) return row.run(arguments.subspan(1));
    names.push_back(row.name);
  }
  return fail(fmt::format("{}: unknown command{}; `slipgate --help` lists them", word, did_you_mean(word, names)),
              kUsage);
}

int start(int count, char **values) {
  std::vector<std::string> arguments(values + 1, values + std::max(count, 1));
  std::string name = count > 0 ? values[0] : "";
  name = name.substr(name.rfind('/') + 1);
  for (std::string_view stand_in : kStandIns) {
    if (name != stand_in) continue;
    arguments.insert(arguments.begin(), {"as", name});
    break;
  }
  return dispatch(arguments);
}

}  // namespace
}  // namespace slipgate::cli

int main(int count, char **values) {
  return slipgate::cli::start(count, values);
}
