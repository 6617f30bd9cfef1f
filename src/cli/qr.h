// A QR code in a terminal.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace slipgate::cli {

// Two modules a character (Unicode half blocks), with the quiet zone that scanners want. `colours`: black on white by
// ANSI sequences, whatever the terminal's own colours are; without, light modules are the ones printed, right on dark
// terminals.
Result<std::string> qr_code(std::string_view text, bool colours);

}  // namespace slipgate::cli
