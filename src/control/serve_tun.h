// Runs one WireGuard interface over a TUN device: what `tun` does between "the options are good" and the exit code.
#pragma once

#include <functional>
#include <optional>

#include "base/log.h"
#include "link/options.h"

namespace slipgate {

struct ServeTunOptions {
  TunOptions tun;
  LogLevel log_level = LogLevel::info;
  LogFormat log_format = LogFormat::text;
  std::optional<int> ready_fd;
  bool sandbox = true;
  bool set_up = true;         // addresses, MTU, up and routes; false: somebody else does (wg-quick)
  bool needs_socket = false;  // who made us configures by the userspace API: without its socket we fail, and end
                              // when it is removed
  std::function<void()> on_ready;
};

// Serves until SIGINT, SIGTERM or the interface's end. The exit code: 0 ended as asked, 1 failed (said on standard
// error). Main thread.
int serve_tun(const ServeTunOptions &options);

}  // namespace slipgate
