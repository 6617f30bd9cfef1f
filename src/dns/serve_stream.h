// DNS over a stream (RFC 7766): messages with their length in front, several under way at once, answered as answers
// come.
#pragma once

#include <cstdint>

#include "dns/server.h"
#include "io/loop.h"
#include "io/stream.h"

namespace slipgate::dns {

// Questions of one stream that wait for their answers; the next are not read before (the window closes).
inline constexpr size_t kMostPipelined = 32;
// RFC 7766 section 6.2.3: some seconds without a whole question, or without taking an answer, and the stream ends.
inline constexpr Duration kStreamIdle = seconds(10);

// Ends at once when the server has too many. Else until the client finished and has all answers, broke the rules, or
// was idle. `server` outlives the task.
Task<> serve_stream(Loop &loop, Server &server, StreamPtr stream, uint32_t client);

}  // namespace slipgate::dns
