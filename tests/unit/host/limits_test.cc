#include "host/limits.h"

#include <sys/resource.h>

#include "support/catch.h"

namespace slipgate {

TEST_CASE("limits: the soft descriptor limit is raised to the hard one [host-descriptor-limit-raised]") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit lower{256, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &lower) == 0);
  size_t raised = raise_descriptor_limit();
  rlimit after{};
  ::getrlimit(RLIMIT_NOFILE, &after);
  CHECK(after.rlim_cur == before.rlim_max);
  CHECK(raised >= 256);
  CHECK(raised <= after.rlim_cur);
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("limits: admission stops before descriptors run out [host-admission-below-limit]") {
  for (size_t descriptors : {0, 64, 256, 1024, 20000, 1048576}) {
    size_t flows = admissible_flows(descriptors);
    CHECK(flows >= 1);
    if (descriptors >= 256) CHECK(flows + 100 <= descriptors);
  }
  CHECK(admissible_flows(20000) >= 16384);
}

}  // namespace slipgate
