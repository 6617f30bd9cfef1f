// Log lines to standard error, as text or JSON. Any thread. The only place that knows the logging library.
//
// Never on the per-packet path: packets are counted (counters.h), flows and handshakes are logged.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace slipgate {

enum class LogLevel { trace, debug, info, warn, error };
enum class LogFormat { text, json };

namespace log {

// Before the first line; also later, from the thread that runs main().
void configure(LogLevel level, LogFormat format, std::string_view gateway_name);
bool enabled(LogLevel level);
void write(LogLevel level, std::string_view text);

template <typename... Arguments>
void line(LogLevel level, fmt::format_string<Arguments...> format, Arguments &&...arguments) {
  if (enabled(level)) write(level, fmt::format(format, std::forward<Arguments>(arguments)...));
}

#define SLIPGATE_LOG_LEVEL(level)                                                 \
  template <typename... Arguments>                                                \
  void level(fmt::format_string<Arguments...> format, Arguments &&...arguments) { \
    line(LogLevel::level, format, std::forward<Arguments>(arguments)...);         \
  }
SLIPGATE_LOG_LEVEL(trace)
SLIPGATE_LOG_LEVEL(debug)
SLIPGATE_LOG_LEVEL(info)
SLIPGATE_LOG_LEVEL(warn)
SLIPGATE_LOG_LEVEL(error)
#undef SLIPGATE_LOG_LEVEL

}  // namespace log
}  // namespace slipgate
