#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace slipgate::log {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return spdlog::level::trace;
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

bool as_json = false;  // set by configure(), before other threads log

spdlog::logger &logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("slipgate", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

// RFC 8259 section 7.
std::string json_string(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace

void configure(LogLevel level, LogFormat format, std::string_view gateway_name) {
  logger().set_level(level_of(level));
  as_json = format == LogFormat::json;
  if (as_json) {
    std::string name;
    for (char c : json_string(gateway_name)) name += c == '%' ? std::string("%%") : std::string(1, c);
    logger().set_pattern("{\"time\":\"%Y-%m-%dT%H:%M:%S.%e%z\",\"level\":\"%l\",\"gateway\":" + name +
                         ",\"message\":%v}");
  } else {
    logger().set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  }
}

bool enabled(LogLevel level) {
  return logger().should_log(level_of(level));
}

void write(LogLevel level, std::string_view text) {
  logger().log(level_of(level), "{}", as_json ? json_string(text) : std::string(text));
}

}  // namespace slipgate::log
