// What a gateway says about itself, as JSON: the control socket's answers and the status page's data.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "gateway/gateway.h"

namespace slipgate {

nlohmann::json status_report(const GatewayStatus &status, const std::string &config_file, Time now);
nlohmann::json peers_report(const GatewayStatus &status, Time now);
nlohmann::json forwards_report(std::span<const ForwardStatus> forwards);
nlohmann::json flow_report(const FlowStatus &flow, Time now);
nlohmann::json flows_report(std::span<const FlowStatus> flows, Time now);

// As one line. Names come from files in any encoding, JSON is UTF-8: what is not is replaced.
std::string json_text(const nlohmann::json &value);

}  // namespace slipgate
