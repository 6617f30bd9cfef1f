#include "control/metrics.h"

#include <cstring>
#include <sstream>

#include "support/catch.h"

using namespace slipgate;

namespace {

bool has_line(const std::string &text, const std::string &line) {
  std::istringstream lines(text);
  for (std::string each; std::getline(lines, each);) {
    if (each == line) return true;
  }
  return false;
}

GatewayStatus some_status(Time now) {
  GatewayStatus status;
  status.name = "office";
  status.started = now - seconds(90);
  status.flows = 3;
  status.flows_limit = 100;
  status.links.emplace_back().name = "wireguard";
  return status;
}

}  // namespace

TEST_CASE("counters, gauges and times are told in base units") {
  const Time now{hours(5)};
  GatewayStatus status = some_status(now);
  status.links[0].counters.packets_from_link = 18446744073709551615u;
  status.counters.udp_flows_opened = 7;
  status.counters.drop(DropReason::denied_by_policy);
  wireguard::PeerStatus peer;
  peer.config.name = "laptop";
  peer.received_bytes = 12;
  peer.last_handshake = now - milliseconds(1500);
  status.links[0].peers = {peer, {}};
  status.links.emplace_back().name = "gue";
  status.links[1].counters.packets_from_link = 5;
  const std::string text = metrics_text(status, now, 1000.25);
  const std::string key(43, 'A');
  CHECK(has_line(text,
                 "slipgate_link_receive_packets_total{gateway=\"office\",link=\"wireguard\"} 18446744073709551615"));
  CHECK(has_line(text, "slipgate_link_receive_packets_total{gateway=\"office\",link=\"gue\"} 5"));
  CHECK(has_line(text, "slipgate_flows_opened_total{gateway=\"office\",protocol=\"udp\"} 7"));
  CHECK(has_line(text, "slipgate_drops_total{gateway=\"office\",reason=\"denied_by_policy\"} 1"));
  CHECK(has_line(text, "slipgate_drops_total{gateway=\"office\",reason=\"bad_checksum\"} 0"));
  CHECK(has_line(text, "slipgate_flows{gateway=\"office\"} 3"));
  CHECK(has_line(text, "slipgate_start_time_seconds{gateway=\"office\"} 910.250"));
  CHECK(has_line(text, "slipgate_peers{gateway=\"office\"} 2"));
  CHECK(has_line(
      text, "slipgate_peer_receive_bytes_total{gateway=\"office\",link=\"wireguard\",peer=\"laptop\",public_key=\"" +
                key + "=\"} 12"));
  CHECK(has_line(text,
                 "slipgate_peer_last_handshake_timestamp_seconds{gateway=\"office\",link=\"wireguard\",peer=\"laptop\","
                 "public_key=\"" +
                     key + "=\"} 998.750"));
  CHECK(has_line(
      text,
      "slipgate_peer_last_handshake_timestamp_seconds{gateway=\"office\",link=\"wireguard\",peer=\"\",public_key=\"" +
          key + "=\"} 0.000"));
  CHECK(has_line(text, "# TYPE slipgate_drops_total counter"));
}

TEST_CASE("a name of any bytes is one label's value, in UTF-8") {
  struct Row {
    std::string name, label;
  };
  const Row rows[] = {
      {"a\"b\\c\nd", "a\\\"b\\\\c\\nd"},
      {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
      {"caf\xe9", "caf?"},
      {"\t\x7f\x01", "???"},
      {"\xc0\x80\xe0\x80\x80\xed\xa0\x80\xf4\x90\x80\x80\xf5", "?????????????"},  // overlong, surrogate, too large
      {"\xe2\x82", "??"},
      {std::string("\0x", 2), "?x"},
  };
  for (const Row &row : rows) {
    GatewayStatus status = some_status(Time{hours(1)});
    status.name = row.name;
    CAPTURE(row.name);
    CHECK(has_line(metrics_text(status, Time{hours(1)}, 5000), "slipgate_flows{gateway=\"" + row.label + "\"} 3"));
  }
}
