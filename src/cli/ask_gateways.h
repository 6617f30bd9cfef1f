// What the commands that talk to running gateways share: which of them is meant, asking each, and how numbers look to
// people.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/command.h"
#include "config/arguments.h"

namespace slipgate::cli {

struct Asked {
  std::string control;  // --control
  bool as_json = false;
};
std::span<const OptionRow<Asked>> asked_rows();

// The sockets that a command is about: the one given by --control or by the gateway's name, or every one of this
// user's.
std::vector<std::string> sockets_of(const Asked &asked, const std::string &name);

// Sends the request to each; prints its answer as JSON, or by `show`. The exit code.
int ask_gateways(const Asked &asked, const std::string &name, const nlohmann::json &request,
                 const std::function<void(const nlohmann::json &)> &show);

// A member as text, whatever it is; "-" when it is missing.
std::string text_of_member(const nlohmann::json &object, const char *name);
std::optional<double> number_of_member(const nlohmann::json &object, const char *name);
std::string bytes_text(std::optional<double> bytes);        // "1.5 MB"
std::string duration_text(std::optional<double> duration);  // "3 min"
std::string json_line(const nlohmann::json &value);

// Whether several run and none of them is named: a change is of one gateway.
bool is_ambiguous(const Asked &asked, const std::string &name);

}  // namespace slipgate::cli
