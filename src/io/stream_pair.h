// Two streams joined inside the process: what one writes the other reads. For services that are destinations like any
// other (DNS over TCP, streams of a proxy) and for tests.
//
// Lives on one shard. A bounded buffer each way, which takes memory only while it holds something.
#pragma once

#include <utility>

#include "io/loop.h"
#include "io/stream.h"

namespace slipgate {

// `capacity` bytes each way at most. Watchers are told at the end of the turn.
std::pair<StreamPtr, StreamPtr> make_stream_pair(Loop &loop, size_t capacity = 65536);

}  // namespace slipgate
