#include "host/ping.h"

#include <vector>

#include "support/catch.h"
#include "unit/host/private_network.h"
#include "unit/io/run_until.h"

namespace slipgate {

namespace {

struct Owner final : PingPortOwner {
  void on_echo_reply(uint16_t sequence, Bytes payload, const IpAddress &from, const DatagramHeader &) override {
    sequences.push_back(sequence);
    texts.emplace_back(text_of(payload));
    senders.push_back(from);
  }
  void on_echo_error(uint16_t sequence, const DatagramError &error) override {
    failed.push_back(sequence);
    errors.push_back(error);
  }
  std::vector<uint16_t> sequences, failed;
  std::vector<std::string> texts;
  std::vector<IpAddress> senders;
  std::vector<DatagramError> errors;
};

}  // namespace

TEST_CASE("ping: two clients with one identifier each get their own answers [host-ping-identifier]") {
  test::in_private_network([](test::PrivateNetwork &network) -> std::string {
    network.write("/proc/sys/net/ipv4/ping_group_range", "0 0");
    PingSupport support = probe_ping_sockets();
    if (!support.v4 || !support.v6 || !support.advice.empty()) return "ping sockets refused: " + support.advice;
    Loop loop;
    Owner one, two;
    PingPort::Options options;
    PingPort first(loop, one, options), second(loop, two, options);
    for (const char *address : {"127.0.0.1", "::1"}) {
      IpAddress to = *IpAddress::parse(address);
      one.sequences.clear();
      two.sequences.clear();
      if (!first.send(7, bytes_of(std::string_view("first")), to, {})) return "not sent";
      if (!second.send(7, bytes_of(std::string_view("second")), to, {})) return "not sent";
      if (!first.send(65535, {}, to, {})) return "not sent";
      if (!test::run_until(loop, [&] { return one.sequences.size() == 2 && two.sequences.size() == 1; }))
        return "no answer";
      test::run_ready(loop);
      if (one.sequences != std::vector<uint16_t>{7, 65535}) return "wrong sequence numbers";
      if (two.sequences != std::vector<uint16_t>{7}) return "wrong sequence number";
      if (one.texts[one.texts.size() - 2] != "first" || !one.texts.back().empty()) return "wrong payload";
      if (two.texts.back() != "second" || two.senders.back() != to) return "wrong payload or sender";
    }
    return "";
  });
}

TEST_CASE("ping: unreachable destinations are told with the request's sequence number") {
  test::in_private_network([](test::PrivateNetwork &network) -> std::string {
    network.write("/proc/sys/net/ipv4/ping_group_range", "0 0");
    network.run("ip route add unreachable 198.51.100.0/24");
    Loop loop;
    Owner owner;
    PingPort::Options options;
    PingPort port(loop, owner, options);
    port.send(3, {}, *IpAddress::parse("198.51.100.1"), {});
    port.send(4, {}, *IpAddress::parse("2001:db8::1"), {});
    if (!test::run_until(loop, [&] { return owner.errors.size() == 2; })) return "not told";
    if (owner.failed != std::vector<uint16_t>{3, 4}) return "wrong sequence numbers";
    if (!owner.errors[0].has_icmp || owner.errors[0].icmp_type != 3 || owner.errors[0].icmp_code != 1)
      return "wrong code";
    if (!owner.errors[1].has_icmp || owner.errors[1].icmp_type != 1 || owner.errors[1].icmp_code != 0)
      return "wrong v6 code";
    return "";
  });
}

TEST_CASE("ping: a kernel that refuses is told with the sysctl, and to clients as prohibited") {
  test::in_private_network([](test::PrivateNetwork &network) -> std::string {
    network.write("/proc/sys/net/ipv4/ping_group_range", "1 0");
    PingSupport support = probe_ping_sockets();
    if (support.v4 || support.advice.find("sysctl -w net.ipv4.ping_group_range=") == std::string::npos) {
      return "no advice: " + support.advice;
    }
    Loop loop;
    Owner owner;
    PingPort::Options options;
    PingPort port(loop, owner, options);
    if (port.send(1, {}, *IpAddress::parse("127.0.0.1"), {})) return "sent";
    if (owner.errors.size() != 1 || owner.errors[0].icmp_type != 3 || owner.errors[0].icmp_code != 13)
      return "not told";
    if (port.send(2, {}, *IpAddress::parse("::1"), {})) return "sent";
    if (owner.errors.size() != 2 || owner.errors[1].icmp_type != 1 || owner.errors[1].icmp_code != 1)
      return "not told v6";
    return "";
  });
}

}  // namespace slipgate
