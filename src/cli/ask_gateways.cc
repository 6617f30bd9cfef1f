#include "cli/ask_gateways.h"

#include <fmt/format.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "control/control_socket.h"

namespace slipgate::cli {

using nlohmann::json;

namespace {

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

}  // namespace

std::span<const OptionRow<Asked>> asked_rows() {
  return kRows;
}

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

std::string json_line(const json &value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  text += '\n';
  return text;
}

std::vector<std::string> sockets_of(const Asked &asked, const std::string &name) {
  if (!asked.control.empty()) return {asked.control};
  if (name.empty()) return control_sockets();
  return {fmt::format("{}/{}.sock", control_folder(), name)};
}

int ask_gateways(const Asked &asked, const std::string &name, const json &request,
                 const std::function<void(const json &)> &show) {
  bool named = !asked.control.empty() || !name.empty();
  size_t answered = 0;
  int code = kDone;
  for (const std::string &path : sockets_of(asked, name)) {
    Result<json> answer = control_request(path, request);
    if (!answer) {
      // A socket that a killed gateway left behind is no news, unless it was asked for.
      if (named || (answer.error().code != ECONNREFUSED && answer.error().code != ENOENT))
        code = fail(answer.error().text);
      continue;
    }
    answered++;
    if (asked.as_json) {
      print(json_line(*answer));
    } else {
      show(*answer);
    }
  }
  if (answered == 0 && code == kDone) code = fail("no gateway of this user is running");
  return code;
}

bool is_ambiguous(const Asked &asked, const std::string &name) {
  size_t running = 0;
  if (!asked.control.empty() || !name.empty()) return false;
  for (const std::string &socket : control_sockets()) {
    if (control_request(socket, {{"command", "status"}})) running++;
  }
  return running > 1;
}

}  // namespace slipgate::cli
