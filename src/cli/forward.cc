// slipgate forward add|remove|list: the forwards of a running gateway.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "cli/ask_gateways.h"
#include "cli/command.h"
#include "config/options.h"
#include "control/control_socket.h"

namespace slipgate::cli {

namespace {

using nlohmann::json;

struct ForwardCommand {
  Asked asked;
  std::string option, spec;  // what is to be added
};

Result<void> take(ForwardCommand &command, std::string_view option, std::string_view spec) {
  if (!command.option.empty()) return Error{0, "a second forward; add them one by one"};
  if (Result<Forward> good = parse_forward_option(option, spec); !good) return good.error();
  command.option = option;
  command.spec = spec;
  return {};
}

const OptionRow<ForwardCommand> kRows[] = {
    {"local-forward", 'L', "SPEC", "listen on the host, connect inside: [udp://][BIND:]PORT[:HOST:PORT]", "", true,
     [](ForwardCommand &c, std::string_view v) { return take(c, "local-forward", v); }},
    {"remote-forward", 'R', "SPEC",
     "listen inside, connect on the host: [udp://][BIND:]PORT[:HOST:PORT or a socket as in slipgate wireguard --help]",
     "", true, [](ForwardCommand &c, std::string_view v) { return take(c, "remote-forward", v); }},
    {"incoming-tcp", 't', "HOST,SRC,DST", "listen on HOST, connect to DST inside from SRC (empty: the real client)", "",
     true, [](ForwardCommand &c, std::string_view v) { return take(c, "incoming-tcp", v); }},
    {"incoming-udp", 'u', "HOST,SRC,DST", "the same for UDP", "", true,
     [](ForwardCommand &c, std::string_view v) { return take(c, "incoming-udp", v); }},
};

void show(const json &forward) {
  const bool local = text_of_member(forward, "direction") == "local";
  print(fmt::format("{}\t-{} {}\t{} {} -> {} {}\n", text_of_member(forward, "number"), local ? 'L' : 'R',
                    text_of_member(forward, "spec"), local ? "host" : "inside", text_of_member(forward, "listen"),
                    local ? "inside" : "host", text_of_member(forward, "target")));
  if (forward.contains("problem")) print(fmt::format("\tnot now: {}\n", text_of_member(forward, "problem")));
}

void show_answer(const json &answer) {
  if (answer.contains("forward")) show(answer["forward"]);
  if (answer.contains("forwards")) {
    for (const json &forward : answer["forwards"]) show(forward);
  }
  if (answer.contains("removed")) print("removed\n");
}

}  // namespace

int run_forward(Words arguments) {
  ForwardCommand command;
  std::vector<Option> options = bind_rows<ForwardCommand>(kRows, command);
  for (Option &option : bind_rows<Asked>(asked_rows(), command.asked)) options.push_back(std::move(option));
  Arguments parsed = parse_arguments(options, arguments, 3);
  if (parsed.help) {
    print(fmt::format(
        "slipgate forward add OPTION [NAME] | remove SPEC-or-NUMBER [NAME] | list [NAME]: the forwards of a "
        "running gateway\n\n"
        "What is added lasts until the gateway ends: it is not written to any file. NAME is the gateway's, "
        "when several run.\n\n{}",
        help_table(options)));
    return kDone;
  }
  Problems problems = parsed.problems;
  const std::string verb = parsed.words.empty() ? "" : parsed.words[0];
  const size_t words = verb == "remove" ? 2 : 1;
  const std::string name = parsed.words.size() > words ? parsed.words[words] : "";
  if (verb != "add" && verb != "remove" && verb != "list") {
    problems.push_back({"", 0, fmt::format("forward {}: give add, remove or list", verb.empty() ? "what?" : verb)});
  } else if (verb == "add" && command.option.empty() && problems.empty()) {
    problems.push_back({"", 0, "forward add: what? Give -L SPEC, -R SPEC, -t HOST,SRC,DST or -u HOST,SRC,DST"});
  } else if (verb != "add" && !command.option.empty()) {
    problems.push_back({"", 0, fmt::format("forward {}: takes no forward option", verb)});
  } else if (parsed.words.size() < words) {
    problems.push_back({"", 0, "forward remove: which? Give its number or how it was written"});
  } else if (parsed.words.size() > words + 1) {
    problems.push_back({"", 0, fmt::format("forward {}: a word too many, {}", verb, parsed.words.back())});
  } else if (verb != "list" && is_ambiguous(command.asked, name)) {
    problems.push_back({"", 0, "several gateways run; name the one that is meant"});
  }
  if (!problems.empty()) return print_problems(problems);
  json request{{"command", "forward " + verb}};
  if (verb == "add") {
    request["option"] = command.option;
    request["spec"] = command.spec;
  } else if (verb == "remove") {
    request["spec"] = parsed.words[1];
  }
  return ask_gateways(command.asked, name, request, show_answer);
}

}  // namespace slipgate::cli
