#include "base/drop_reason.h"

#include <set>
#include <string>

#include "base/counters.h"
#include "support/catch.h"

using namespace slipgate;

TEST_CASE("every drop reason has its own name and a description") {
  std::set<std::string_view> names;
  for (size_t i = 0; i < kDropReasons; i++) {
    auto reason = static_cast<DropReason>(i);
    CHECK_FALSE(name_of(reason).empty());
    CHECK_FALSE(description_of(reason).empty());
    names.insert(name_of(reason));
  }
  CHECK(names.size() == kDropReasons);
  CHECK(name_of(DropReason::bad_checksum) == "bad_checksum");
}

TEST_CASE("a drop is counted under its reason and returned") {
  Counters counters;
  CHECK(counters.drop(DropReason::ttl_expired) == DropReason::ttl_expired);
  counters.drop(DropReason::ttl_expired);
  CHECK(counters.dropped(DropReason::ttl_expired) == 2);
  CHECK(counters.dropped(DropReason::bad_version) == 0);
}
