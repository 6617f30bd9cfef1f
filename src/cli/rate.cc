// slipgate rate: how fast a peer of a running gateway may send and receive.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/ask_gateways.h"
#include "cli/command.h"
#include "flow/rate_rule.h"

namespace slipgate::cli {

int run_rate(Words arguments) {
  Asked asked;
  std::vector<Option> options = bind_rows<Asked>(asked_rows(), asked);
  Arguments parsed = parse_arguments(options, arguments, 2);
  if (parsed.help) {
    print(fmt::format(
        "slipgate rate PEER=BYTES/s [NAME]: how fast a peer of a running gateway may send and receive\n\n"
        "Written as for --rate: alice=2M, alice=up:500k,down:none. PEER is its name, its public key or one of its "
        "inside\n"
        "addresses. Lasts until the next reload: it is not written to any file. NAME is the gateway's, when several "
        "run.\n\n{}",
        help_table(options)));
    return kDone;
  }
  Problems problems = parsed.problems;
  const std::string spec = parsed.words.empty() ? "" : parsed.words[0];
  const std::string name = parsed.words.size() > 1 ? parsed.words[1] : "";
  if (Result<RateRule> rule = parse_rate_rule(spec); !rule) {
    problems.push_back({"", 0, fmt::format("rate {}: {}", spec, rule.error().text)});
  } else if (is_ambiguous(asked, name)) {
    problems.push_back({"", 0, "several gateways run; name the one that is meant"});
  }
  if (!problems.empty()) return print_problems(problems);
  return ask_gateways(asked, name, {{"command", "rate"}, {"spec", spec}}, [](const nlohmann::json &) {});
}

}  // namespace slipgate::cli
