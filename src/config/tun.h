// `slipgate tun CONF [options]`: a wg-quick file and options, made into what a WireGuard interface needs.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/log.h"
#include "config/arguments.h"
#include "config/problem.h"
#include "link/options.h"

namespace slipgate {

struct TunCommand {
  TunOptions options;
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
  std::optional<int> ready_fd;
  bool sandbox = true;
  bool help = false;
  Problems problems;  // any: nothing may be started
  Problems notes;
};

// The file first, then the options, which win.
TunCommand read_tun_command(std::span<const std::string> arguments);
std::string tun_help();

// What wg-quick(8) and the kernel both take as an interface's name.
bool is_interface_name(std::string_view name);

}  // namespace slipgate
