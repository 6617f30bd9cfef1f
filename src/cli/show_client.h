// Shows a client's wg-quick file: as text on standard output, so that it can be redirected, and as QR code for a phone.
#pragma once

#include <string_view>

namespace slipgate::cli {

void show_client(std::string_view file);

}  // namespace slipgate::cli
