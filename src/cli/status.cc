// slipgate status | flows | reload: what the control socket of a running gateway says.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "cli/command.h"
#include "config/arguments.h"
#include "control/control_socket.h"

namespace slipgate::cli {

namespace {

using nlohmann::json;

struct Asked {
  std::string control;  // --control
  bool as_json = false;
};

const OptionRow<Asked> kRows[] = {
    {"control", 0, "PATH", "the gateway's control socket", "every gateway of this user", false,
     [](Asked &asked, std::string_view value) -> Result<void> {
       asked.control = value;
       return {};
     }},
    {"json", 0, "", "the answer as JSON, one line a gateway", "", false,
     [](Asked &asked, std::string_view) -> Result<void> {
       asked.as_json = true;
       return {};
     }},
};

// A member as text, whatever it is; "-" when it is missing.
std::string text_of_member(const json &object, const char *name) {
  if (!object.is_object() || !object.contains(name) || object[name].is_null()) return "-";
  const json &value = object[name];
  if (value.is_string()) return value.get<std::string>().empty() ? "-" : value.get<std::string>();
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<double> number_of_member(const json &object, const char *name) {
  if (!object.is_object() || !object.contains(name) || !object[name].is_number()) return std::nullopt;
  return object[name].get<double>();
}

std::string bytes_text(std::optional<double> bytes) {
  if (!bytes) return "-";
  constexpr const char *kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  double value = *bytes;
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(kUnits); unit++) value /= 1000;
  return fmt::format("{:.{}f} {}", value, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string duration_text(std::optional<double> duration) {
  if (!duration) return "-";
  auto whole = static_cast<uint64_t>(*duration < 0 ? 0 : *duration);
  if (whole < 120) return fmt::format("{} s", whole);
  if (whole < 2 * 3600) return fmt::format("{} min", whole / 60);
  if (whole < 48 * 3600) return fmt::format("{} h", whole / 3600);
  return fmt::format("{} d", whole / 86400);
}

void print_status(const json &status) {
  print(fmt::format("{}: UDP {}, up {}\n", text_of_member(status, "name"), text_of_member(status, "listen"),
                    duration_text(number_of_member(status, "uptime_seconds"))));
  if (std::string config = text_of_member(status, "config"); config != "-")
    print(fmt::format("  configuration: {}\n", config));
  print(fmt::format("  flows: {}\n", text_of_member(status, "flows")));
  if (text_of_member(status, "ping_sockets") == "false") {
    print("  echo is not forwarded: the kernel gives no ping sockets (sysctl net.ipv4.ping_group_range)\n");
  }
  if (status.contains("warnings") && status["warnings"].is_array()) {
    for (const json &warning : status["warnings"]) {
      if (warning.is_string()) print(fmt::format("  warning: {}\n", warning.get<std::string>()));
    }
  }
  if (status.contains("peers") && status["peers"].is_array()) {
    for (const json &peer : status["peers"]) {
      std::string name = text_of_member(peer, "name");
      std::optional<double> handshake = number_of_member(peer, "seconds_since_handshake");
      print(fmt::format("  peer {}: {}, handshake {}, {} received, {} sent\n",
                        name == "-" ? text_of_member(peer, "public_key") : name, text_of_member(peer, "endpoint"),
                        handshake ? duration_text(handshake) + " ago" : "never",
                        bytes_text(number_of_member(peer, "received_bytes")),
                        bytes_text(number_of_member(peer, "sent_bytes"))));
    }
  }
  if (status.contains("drops") && status["drops"].is_object()) {
    for (const auto &[reason, count] : status["drops"].items())
      print(fmt::format("  dropped: {} {}\n", count.dump(), reason));
  }
}

void print_flows(const json &answer) {
  if (!answer.contains("flows") || !answer["flows"].is_array()) return;
  for (const json &flow : answer["flows"]) {
    print(fmt::format(
        "{} {} up {} down {} age {} idle {}\n", text_of_member(flow, "protocol"), text_of_member(flow, "state"),
        bytes_text(number_of_member(flow, "bytes_up")), bytes_text(number_of_member(flow, "bytes_down")),
        duration_text(number_of_member(flow, "age_seconds")), duration_text(number_of_member(flow, "idle_seconds"))));
  }
}

// The sockets that the command is about: the one named, or every one of this user's.
std::vector<std::string> sockets_of(const Asked &asked, const std::vector<std::string> &words) {
  if (!asked.control.empty()) return {asked.control};
  if (words.empty()) return control_sockets();
  return {fmt::format("{}/{}.sock", control_folder(), words[0])};
}

int ask(Words arguments, std::string_view command, std::string_view does, void (*show)(const json &)) {
  Asked asked;
  std::vector<Option> options = bind_rows<Asked>(kRows, asked);
  Arguments parsed = parse_arguments(options, arguments, 1);
  if (parsed.help) {
    print(fmt::format("slipgate {} [NAME] [options]: {}\n\n{}", command, does, help_table(options)));
    return kDone;
  }
  if (!parsed.problems.empty()) return print_problems(parsed.problems);

  std::vector<std::string> sockets = sockets_of(asked, parsed.words);
  bool named = !asked.control.empty() || !parsed.words.empty();
  size_t answered = 0;
  int code = kDone;
  for (const std::string &path : sockets) {
    Result<json> answer = control_request(path, {{"command", command}});
    if (!answer) {
      // A socket that a killed gateway left behind is no news, unless it was asked for.
      if (named || (answer.error().code != ECONNREFUSED && answer.error().code != ENOENT))
        code = fail(answer.error().text);
      continue;
    }
    answered++;
    if (asked.as_json) {
      print(answer->dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
    } else {
      show(*answer);
    }
  }
  if (answered == 0 && code == kDone) code = fail("no gateway of this user is running");
  return code;
}

}  // namespace

int run_status(Words arguments) {
  return ask(arguments, "status", "what running gateways do", print_status);
}

int run_flows(Words arguments) {
  return ask(arguments, "flows", "the flows through running gateways", print_flows);
}

int run_reload(Words arguments) {
  return ask(arguments, "reload", "lets running gateways read their configuration again",
             [](const json &) { print("reloaded\n"); });
}

}  // namespace slipgate::cli
