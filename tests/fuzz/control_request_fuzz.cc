// Lines of the control socket: whatever comes, one line of JSON goes back.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "control/control_socket.h"

using namespace slipgate;
using nlohmann::json;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view line(reinterpret_cast<const char *>(data), size);
  // A handler that looks at members as the real one does, and gives strange bytes back.
  std::string answer = answer_control_line(line, [](const json &request) {
    return json{{"command", request.at("command").get<std::string>()},
                {"name", request.value("name", std::string("none"))}};
  });
  json parsed = json::parse(answer, nullptr, false);
  bool good = parsed.is_object() && parsed.contains("ok") && answer.find('\n') == answer.size() - 1;
  if (!good) std::abort();
  return 0;
}
