// slipgate status | flows | reload: what the control socket of a running gateway says.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "cli/ask_gateways.h"
#include "cli/command.h"
#include "flow/rate_rule.h"

namespace slipgate::cli {

namespace {

using nlohmann::json;

// ", at most 2M/s up" or "".
std::string rate_words(const json &peer) {
  std::string words;
  if (!peer.contains("rate") || !peer["rate"].is_object()) return words;
  for (const char *way : {"up", "down"}) {
    std::optional<double> rate = number_of_member(peer["rate"], way);
    if (rate) words += fmt::format(", at most {}/s {}", rate_text(static_cast<uint64_t>(*rate)), way);
  }
  return words;
}

void print_peers(const json &status) {
  if (status.contains("peers") && status["peers"].is_array()) {
    for (const json &peer : status["peers"]) {
      std::string name = text_of_member(peer, "name");
      std::optional<double> handshake = number_of_member(peer, "seconds_since_handshake");
      print(fmt::format("  peer {}: {}, handshake {}, {} received, {} sent{}\n",
                        name == "-" ? text_of_member(peer, "public_key") : name, text_of_member(peer, "endpoint"),
                        handshake ? duration_text(handshake) + " ago" : "never",
                        bytes_text(number_of_member(peer, "received_bytes")),
                        bytes_text(number_of_member(peer, "sent_bytes")), rate_words(peer)));
    }
  }
  if (!status.contains("links") || !status["links"].is_array()) return;
  for (const json &link : status["links"]) {
    if (!link.is_object() || !link.contains("gue") || !link["gue"].is_object()) continue;
    const json &peer = link["gue"];
    std::optional<double> heard = number_of_member(peer, "seconds_since_heard");
    print(fmt::format("  GUE peer {}: heard {}, {} received, {} sent{}\n", text_of_member(peer, "endpoint"),
                      heard ? duration_text(heard) + " ago" : "never",
                      bytes_text(number_of_member(peer, "received_bytes")),
                      bytes_text(number_of_member(peer, "sent_bytes")), rate_words(peer)));
  }
}

// Of a gateway that has more than one.
void print_links(const json &status) {
  if (!status.contains("links") || !status["links"].is_array() || status["links"].size() < 2) return;
  for (const json &link : status["links"]) {
    const json bytes = link.is_object() ? link.value("bytes", json::object()) : json::object();
    print(fmt::format("  link {}: UDP {}, {} from inside, {} to inside\n", text_of_member(link, "name"),
                      text_of_member(link, "listen"), bytes_text(number_of_member(bytes, "from_link")),
                      bytes_text(number_of_member(bytes, "to_link"))));
  }
}

void print_status(const json &status) {
  print(fmt::format("{}: UDP {}, up {}\n", text_of_member(status, "name"), text_of_member(status, "listen"),
                    duration_text(number_of_member(status, "uptime_seconds"))));
  if (std::string config = text_of_member(status, "config"); config != "-")
    print(fmt::format("  configuration: {}\n", config));
  print(fmt::format("  flows: {}\n", text_of_member(status, "flows")));
  if (status.contains("sandbox") && status["sandbox"].is_object()) {
    const json &sandbox = status["sandbox"];
    const std::string reason = text_of_member(sandbox, "reason"), refused = text_of_member(sandbox, "refused_calls");
    print(fmt::format("  sandbox: {}{}{}\n", text_of_member(sandbox, "state"), reason == "-" ? "" : " (" + reason + ")",
                      refused == "0" ? "" : fmt::format(", {} system calls were refused", refused)));
  }
  if (text_of_member(status, "ping_sockets") == "false") {
    print("  echo is not forwarded: the kernel gives no ping sockets (sysctl net.ipv4.ping_group_range)\n");
  }
  if (status.contains("warnings") && status["warnings"].is_array()) {
    for (const json &warning : status["warnings"]) {
      if (warning.is_string()) print(fmt::format("  warning: {}\n", warning.get<std::string>()));
    }
  }
  if (status.contains("egress") && status["egress"].is_array()) {
    for (const json &rule : status["egress"]) {
      if (rule.is_string()) print(fmt::format("  egress: {}\n", rule.get<std::string>()));
    }
  }
  print_links(status);
  print_peers(status);
  if (status.contains("drops") && status["drops"].is_object()) {
    for (const auto &[reason, count] : status["drops"].items())
      print(fmt::format("  dropped: {} {}\n", count.dump(), reason));
  }
}

void print_flows(const json &answer) {
  if (!answer.contains("flows") || !answer["flows"].is_array()) return;
  for (const json &flow : answer["flows"]) {
    print(fmt::format("{} {} | {} {} up {} down {} age {} idle {}\n", text_of_member(flow, "client"),
                      text_of_member(flow, "protocol"), text_of_member(flow, "host"), text_of_member(flow, "state"),
                      bytes_text(number_of_member(flow, "bytes_up")), bytes_text(number_of_member(flow, "bytes_down")),
                      duration_text(number_of_member(flow, "age_seconds")),
                      duration_text(number_of_member(flow, "idle_seconds"))));
  }
}

int ask(Words arguments, std::string_view command, std::string_view does, void (*show)(const json &)) {
  Asked asked;
  std::vector<Option> options = bind_rows<Asked>(asked_rows(), asked);
  Arguments parsed = parse_arguments(options, arguments, 1);
  if (parsed.help) {
    print(fmt::format("slipgate {} [NAME] [options]: {}\n\n{}", command, does, help_table(options)));
    return kDone;
  }
  if (!parsed.problems.empty()) return print_problems(parsed.problems);
  return ask_gateways(asked, parsed.words.empty() ? "" : parsed.words[0], {{"command", command}}, show);
}

}  // namespace

int run_status(Words arguments) {
  return ask(arguments, "status", "what running gateways do", print_status);
}

int run_flows(Words arguments) {
  return ask(arguments, "flows", "the flows through running gateways", print_flows);
}

int run_reload(Words arguments) {
  return ask(arguments, "reload", "lets running gateways read their configuration again", [](const json &answer) {
    print("reloaded\n");
    for (const json &what : answer.value("restart", json::array())) {
      if (what.is_string()) print(fmt::format("  {} changes only with a restart\n", what.get<std::string>()));
    }
  });
}

}  // namespace slipgate::cli
