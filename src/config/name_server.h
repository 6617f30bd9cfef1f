// Name servers as people write them on the command line.
#pragma once

#include <string_view>

#include "base/result.h"
#include "dns/options.h"

namespace slipgate {

// Adds one to those that are asked: "192.0.2.1", "192.0.2.1:53", "[2001:db8::1]:53", or by TLS
// "tls://HOST[:PORT][#NAME]", where HOST is a name or an address and NAME is whose certificate it must have (HOST, when
// it is not given). Plain and TLS servers do not mix: who wants TLS wants nothing to leave without it.
Result<void> add_name_server(std::string_view text, dns::Options &options);

}  // namespace slipgate
