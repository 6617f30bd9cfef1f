// Tells whoever started us that we serve, reload or stop: a descriptor given by --ready-fd, and the service manager's
// socket (sd_notify(3), $NOTIFY_SOCKET).
#pragma once

#include <optional>
#include <string_view>

namespace slipgate {

// "READY=1" and a status line to the service manager; `status` and a line end to `ready_fd`, which is then closed.
void notify_ready(std::optional<int> ready_fd, std::string_view status = "serving");
void notify_reloading();  // until the next notify_ready()
void notify_stopping();
void notify_status(std::string_view status);

}  // namespace slipgate
