// How many descriptors this process may have, and so how many flows the gateway may admit.
#pragma once

#include <cstddef>

namespace slipgate {

// Raises the soft limit to the hard one, and says what it is now. At start, before anything is admitted.
size_t raise_descriptor_limit();

// How many flows may be admitted with so many descriptors: one each, less what the gateway itself and its short-lived
// work (accepts, dials, look-ups, files) need. Admission stops here, so that EMFILE is met by nobody.
size_t admissible_flows(size_t descriptors);

}  // namespace slipgate
