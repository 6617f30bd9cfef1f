// The status page: one HTML document with its style and script inside, which asks for status.json every second and
// draws what changed.
#pragma once

#include <string_view>

namespace slipgate {

extern const std::string_view kStatusPage;

}  // namespace slipgate
