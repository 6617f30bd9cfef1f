#include "base/drop_reason.h"

#include <array>

namespace slipgate {

std::string_view name_of(DropReason reason) {
  static constexpr std::array<std::string_view, kDropReasons> kNames{
#define X(name, text) #name,
      SLIPGATE_DROP_REASONS(X)
#undef X
  };
  return kNames[static_cast<size_t>(reason)];
}

std::string_view description_of(DropReason reason) {
  static constexpr std::array<std::string_view, kDropReasons> kTexts{
#define X(name, text) text,
      SLIPGATE_DROP_REASONS(X)
#undef X
  };
  return kTexts[static_cast<size_t>(reason)];
}

}  // namespace slipgate
