#include "control/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "crypto/key_text.h"

namespace slipgate {
namespace {

using Json = nlohmann::json;

double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// Bytes a second, null: no limit.
Json rate_report(const LinkStatus &link, const wireguard::PublicKey &peer) {
  auto found = link.rates.find(peer);
  const PeerRate rate = found == link.rates.end() ? PeerRate{} : found->second;
  return {{"up", rate.up ? Json(rate.up) : Json()}, {"down", rate.down ? Json(rate.down) : Json()}};
}

// Null of a link that is not GUE's.
Json gue_report(const LinkStatus &link, Time now) {
  if (!link.gue) return {};
  const GuePeerStatus &peer = *link.gue;
  return {{"rate", rate_report(link, {})},
          {"endpoint", peer.endpoint ? Json(peer.endpoint->to_string()) : Json()},
          {"fixed", peer.fixed},
          {"header", peer.header},
          {"received_bytes", peer.received_bytes},
          {"sent_bytes", peer.sent_bytes},
          {"seconds_since_heard", peer.last_heard ? Json(seconds_of(now - *peer.last_heard)) : Json()}};
}

Json peer_report(const LinkStatus &link, const wireguard::PeerStatus &peer, Time now) {
  Json allowed = Json::array();
  for (const IpPrefix &prefix : peer.config.allowed_ips) allowed.push_back(prefix.to_string());
  return {{"link", link.name},
          {"name", peer.config.name},
          {"public_key", to_base64(peer.config.public_key)},
          {"allowed_ips", allowed},
          {"rate", rate_report(link, peer.config.public_key)},
          {"received_bytes", peer.received_bytes},
          {"sent_bytes", peer.sent_bytes},
          {"endpoint", peer.path ? Json(peer.path->remote.to_string()) : Json()},
          {"seconds_since_handshake", peer.last_handshake ? Json(seconds_of(now - *peer.last_handshake)) : Json()}};
}

Json link_report(const LinkStatus &link, Time now) {
  const Counters &counters = link.counters;
  return {{"name", link.name},
          {"listen", link.listen.to_string()},
          {"public_key", link.gue ? Json() : Json(to_base64(link.public_key))},
          {"gue", gue_report(link, now)},
          {"packets", {{"from_link", counters.packets_from_link}, {"to_link", counters.packets_to_link}}},
          {"bytes", {{"from_link", counters.bytes_from_link}, {"to_link", counters.bytes_to_link}}}};
}

Json sandbox_report(const SandboxStatus &sandbox) {
  Json report{{"state", name_of(sandbox.state)}, {"refused_calls", sandbox.refused_calls}};
  if (!sandbox.reason.empty()) report["reason"] = sandbox.reason;
  return report;
}

}  // namespace

Json peers_report(const GatewayStatus &status, Time now) {
  Json peers = Json::array();
  for (const LinkStatus &link : status.links) {
    for (const wireguard::PeerStatus &peer : link.peers) peers.push_back(peer_report(link, peer, now));
  }
  return peers;
}

Json status_report(const GatewayStatus &status, const std::string &config_file, Time now) {
  Json drops = Json::object(), descriptions = Json::object();
  for (size_t i = 0; i < kDropReasons; i++) {
    if (!status.counters.drops[i]) continue;
    const auto reason = static_cast<DropReason>(i);
    drops[std::string(name_of(reason))] = status.counters.drops[i];
    descriptions[std::string(name_of(reason))] = description_of(reason);
  }
  Json links = Json::array();
  for (const LinkStatus &link : status.links) links.push_back(link_report(link, now));
  const Json first = links.empty() ? Json() : links[0];
  const Counters &counters = status.counters;
  return {{"name", status.name},
          {"config", config_file},
          {"sandbox", sandbox_report(status.sandbox)},
          {"links", std::move(links)},
          {"listen", first.value("listen", Json())},  // these three of the first link
          {"public_key", first.value("public_key", Json())},
          {"gue", first.value("gue", Json())},
          {"uptime_seconds", seconds_of(now - status.started)},
          {"threads", status.threads},
          {"flows", status.flows},
          {"flows_limit", status.flows_limit},
          {"tcp_connections", status.connections},
          {"ping_sockets", status.ping_sockets},
          {"egress", status.egress},
          {"peers", peers_report(status, now)},
          {"packets", {{"from_link", counters.packets_from_link}, {"to_link", counters.packets_to_link}}},
          {"bytes", {{"from_link", counters.bytes_from_link}, {"to_link", counters.bytes_to_link}}},
          {"datagrams",
           {{"received", counters.datagrams_received},
            {"receive_calls", counters.receive_calls},
            {"sent", counters.datagrams_sent},
            {"send_calls", counters.send_calls}}},
          {"handshakes", counters.handshakes},
          {"messages", counters.messages},
          {"tcp_bytes_resent", counters.tcp_bytes_resent},
          {"dns_queries", counters.dns_queries},
          {"drops", drops},
          {"drop_descriptions", descriptions}};
}

Json forwards_report(std::span<const ForwardStatus> forwards) {
  Json all = Json::array();
  for (const ForwardStatus &each : forwards) {
    const Forward &forward = each.forward;
    const bool local = forward.direction == Forward::Direction::local;
    all.push_back({{"number", each.number},
                   {"direction", local ? "local" : "remote"},
                   {"spec", forward.spec},
                   {"listen", each.local.to_string()},
                   {"target", forward.target_text(each.local.port)}});
    if (!each.problem.empty()) all.back()["problem"] = each.problem;
  }
  return all;
}

Json flow_report(const FlowStatus &flow, Time now) {
  return {{"protocol", flow.key.to_string()},
          {"host", flow.host},
          {"client", flow.client},
          {"link", flow.link},
          {"state", flow.state},
          {"bytes_up", flow.bytes_up},
          {"bytes_down", flow.bytes_down},
          {"age_seconds", seconds_of(now - flow.opened)},
          {"idle_seconds", seconds_of(now - flow.last_active)}};
}

Json flows_report(std::span<const FlowStatus> flows, Time now) {
  Json all = Json::array();
  for (const FlowStatus &flow : flows) all.push_back(flow_report(flow, now));
  return all;
}

std::string json_text(const Json &value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace slipgate
