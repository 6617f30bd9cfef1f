// Runs one gateway in the foreground: what every command that serves does between "the options are good" and the exit
// code.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/options.h"

namespace slipgate {

// A configuration that was read again.
struct Reloaded {
  GatewayOptions options;
  std::vector<std::string> restart;  // what has changed in it and only a restart can change
};

struct ServeHooks {
  // Called once when packets are served, with the port that the link's socket really has.
  std::function<void(uint16_t port)> on_ready;
  // Rereads the configuration, for SIGHUP and the `reload` request; none: nothing to reread.
  std::function<Result<Reloaded>()> reload;
  // Said when no handshake came within 30 s of the start.
  std::vector<std::string> hints;
};

// Serves until SIGINT or SIGTERM, then stops accepting and drains for up to 5 s. The exit code: 0 ended as asked, 1
// failed (said on standard error). Main thread.
int serve(GatewayOptions options, ServeHooks hooks = {});

}  // namespace slipgate
