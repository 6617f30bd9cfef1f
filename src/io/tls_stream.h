// TLS over any stream, as a stream.
//
// Lives on one shard; the context outlives its streams.
#pragma once

#include <string>

#include "crypto/tls.h"
#include "io/loop.h"
#include "io/stream.h"

namespace slipgate {

// Shakes hands over `carrier`: as the client of `peer`, the name or address that the other side's certificate must be
// for, or, with a server's context and an empty name, as the server. The error says what was wrong with the other side;
// ETIMEDOUT when it was silent.
Task<Result<StreamPtr>> make_tls_stream(Loop &loop, const TlsContext &context, StreamPtr carrier, std::string peer,
                                        Duration timeout);

}  // namespace slipgate
