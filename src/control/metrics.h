// A gateway's counters in Prometheus' text format (version 0.0.4), names and units by its conventions: base units,
// counters end in _total. Every series carries the gateway's name as a label, so that several can be scraped as one.
#pragma once

#include <string>

#include "gateway/gateway.h"

namespace slipgate {

inline constexpr const char *kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

// Opens what the numbers of the process are read from: before a sandbox.
void prepare_metrics();

// `now` is the time of `status`; `wall` the seconds since 1970 at the same moment.
std::string metrics_text(const GatewayStatus &status, Time now, double wall);

}  // namespace slipgate
