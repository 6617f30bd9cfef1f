#include "config/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "config/wg_quick.h"
#include "config/wg_quick_edit.h"
#include "config/wgslirpy.h"
#include "crypto/key_text.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

std::string key_text(uint8_t fill) {
  std::array<uint8_t, 32> bytes;
  bytes.fill(fill);
  return to_base64(bytes);
}

const std::string kPrivate = key_text(0x48);
const std::string kPeer = key_text(0x0a);

using Words = std::vector<std::string>;

std::vector<std::string> texts(const Problems &problems) {
  std::vector<std::string> all;
  for (const Problem &problem : problems) all.push_back(problem.to_string());
  return all;
}

// The flags that make a command line complete, and more.
GatewayCommand with(const Words &more) {
  Words words{"-k", kPrivate, "-K", kPeer, "-b", "127.0.0.1:51820"};
  words.insert(words.end(), more.begin(), more.end());
  return read_wireguard_command(words);
}

struct TemporaryFile {
  explicit TemporaryFile(std::string_view text) {
    REQUIRE(mkdtemp(folder));
    path = fmt::format("{}/office.conf", folder);
    REQUIRE(replace_file(path, text));
  }
  ~TemporaryFile() {
    unlink(path.c_str());
    rmdir(folder);
  }
  char folder[32] = "/tmp/options_test.XXXXXX";
  std::string path;
};

}  // namespace

TEST_CASE("flags alone make one peer that may send from anywhere") {
  GatewayCommand command = with({"-p", "peer.example.org:7", "-a", "25"});
  REQUIRE(texts(command.problems) == Words{});
  const WireGuardLinkOptions &link = *command.options.links[0].wireguard();
  CHECK(to_base64(link.private_key.bytes()) == kPrivate);
  CHECK(link.listen.to_string() == "127.0.0.1:51820");
  REQUIRE(link.peers.size() == 1);
  CHECK(to_base64(link.peers[0].config.public_key) == kPeer);
  CHECK(link.peers[0].config.allowed_ips ==
        std::vector<IpPrefix>{*IpPrefix::parse("0.0.0.0/0"), *IpPrefix::parse("::/0")});
  CHECK(link.peers[0].config.persistent_keepalive == 25);
  CHECK(link.peers[0].endpoint_name == "peer.example.org");
  CHECK(command.options.name == "wireguard");
  CHECK_FALSE(command.options.policy.enable_host);
}

TEST_CASE("every option fills its field") {
  GatewayCommand command = with({"-D",
                                 "10.0.0.1:53",
                                 "--dns=[fd00::1]:5353",
                                 "-D",
                                 "10.0.0.2",
                                 "-P",
                                 "10.0.0.1",
                                 "--mtu",
                                 "1380",
                                 "--tcp-buffer-size",
                                 "100000",
                                 "--congestion",
                                 "cubic",
                                 "--threads",
                                 "3",
                                 "--transmit-queue-capacity",
                                 "64",
                                 "--max-flows",
                                 "1000",
                                 "--max-flows-per-client",
                                 "100",
                                 "--max-connecting-per-client",
                                 "10",
                                 "--tcp-idle-timeout",
                                 "60",
                                 "--udp-idle-timeout",
                                 "30",
                                 "--name",
                                 "office",
                                 "--control",
                                 "/tmp/x.sock",
                                 "--log-level",
                                 "debug",
                                 "--log-format",
                                 "json",
                                 "--ready-fd",
                                 "7",
                                 "--source-ipv4",
                                 "192.0.2.9",
                                 "--source-ipv6",
                                 "2001:db8::9",
                                 "--enable-host"});
  REQUIRE(texts(command.problems) == Words{});
  const GatewayOptions &o = command.options;
  REQUIRE(o.dns.size() == 3);
  CHECK(o.dns[1].to_string() == "[fd00::1]:5353");
  CHECK(o.dns[2].to_string() == "10.0.0.2:53");
  CHECK(o.pingable == std::vector<IpAddress>{IpAddress::v4(10, 0, 0, 1)});
  CHECK(o.links[0].mtu == 1380);
  CHECK(o.tcp_buffer_size == 100000);
  CHECK(o.congestion == Congestion::cubic);
  CHECK(o.threads == 3);
  CHECK(o.links[0].transmit_queue_capacity == 64);
  CHECK(o.limits.max_flows == 1000);
  CHECK(o.limits.max_flows_per_client == 100);
  CHECK(o.limits.max_connecting_per_client == 10);
  CHECK(o.limits.tcp_idle_timeout == seconds(60));
  CHECK(o.limits.udp_idle_timeout == seconds(30));
  CHECK(o.name == "office");
  CHECK(o.control_path == "/tmp/x.sock");
  CHECK(o.log_level == LogLevel::debug);
  CHECK(o.log_format == LogFormat::json);
  CHECK(o.ready_fd == 7);
  CHECK(o.source_ipv4 == IpAddress::v4(192, 0, 2, 9));
  CHECK(o.source_ipv6 == IpAddress::parse("2001:db8::9"));
  CHECK(o.policy.enable_host);
}

TEST_CASE("rules and forwards are gathered in order") {
  GatewayCommand command = with({"--allow", "tcp://10.0.0.1:22,udp://example.org", "--deny", "192.168.0.0/16",
                                 "--allow", "127.0.0.1", "-L", "8080", "-R", "2222:127.0.0.1:22", "-t",
                                 "127.0.0.1:80,,10.0.0.2:80", "-u", "127.0.0.1:53,10.0.0.9:0,10.0.0.2:53"});
  REQUIRE(texts(command.problems) == Words{});
  REQUIRE(command.options.policy.allow.size() == 3);
  CHECK(command.options.policy.allow[0].port_low == 22);
  CHECK(command.options.policy.allow[1].name == "example.org");
  CHECK(command.options.policy.deny.size() == 1);
  REQUIRE(command.options.forwards.size() == 4);
  CHECK(command.options.forwards[1].direction == Forward::Direction::remote);
  CHECK(command.options.forwards[2].source == std::nullopt);
  CHECK(command.options.forwards[3].transport == Forward::Transport::udp);
}

TEST_CASE("bad options are all reported, each with its value") {
  GatewayCommand command = with({"--mtu", "9", "--log-level", "loud", "--source-ipv4", "::1", "--frobnicate",
                                 "--tcp-idle-timout=5", "--control", "", "-D", "nowhere", "--name", "a/b"});
  std::vector<std::string> found = texts(command.problems);
  for (std::string_view expected :
       {"--mtu 9: out of range; give a number from 576 to 65472",
        "--log-level loud: not one of error, warn, info, debug, trace", "--source-ipv4 ::1: not an IPv4 address",
        "--frobnicate: unknown option; --help shows those there are",
        "--tcp-idle-timout: unknown option; did you mean --tcp-idle-timeout?",
        "--dns nowhere: not IP:PORT; give one like 192.0.2.1:53 or [2001:db8::1]:53",
        "--name a/b: not a name; give one without slashes and spaces, it becomes a file's name"}) {
    INFO(expected);
    CHECK(std::ranges::count(found, expected) == 1);
  }
  CHECK(found.size() == 8);
}

TEST_CASE("bad flags are all reported, secrets are not repeated") {
  GatewayCommand command = read_wireguard_command(Words{"-k", "sekrit", "-K", "abc", "-p", "host", "-b", "[::1]:9"});
  CHECK(texts(command.problems) ==
        Words{"--private-key: KEY (6 characters): wrong length; a key is 44 characters of base64, as `slipgate genkey` "
              "prints",
              "--peer-key: abc: 3 characters, not a key; a key is 44 characters of base64, as `slipgate genkey` prints",
              "--peer-endpoint host: has no port; give HOST:PORT, like vpn.example.org:51820, 192.0.2.1:51820 or "
              "[2001:db8::1]:51820"});
}

TEST_CASE("a missing value, a word too many, an option given twice") {
  CHECK(with({"--mtu"}).problems.size() == 1);
  CHECK(texts(with({"--mtu", "1400", "--mtu", "1300"}).problems) == Words{"--mtu: given 2 times; give it once"});
  TemporaryFile file(fmt::format("[Interface]\nPrivateKey = {}\n", kPrivate));
  CHECK(texts(read_wireguard_command(Words{file.path, "other"}).problems) ==
        Words{"other: one word too many; --help shows what is expected"});
  CHECK(read_wireguard_command(Words{}).problems.size() == 1);
  CHECK(read_wireguard_command(Words{"-b", "0.0.0.0:1"}).problems.size() == 2);
}

TEST_CASE("options win over the file") {
  TemporaryFile file(fmt::format(
      "[Interface]\nPrivateKey = {}\nListenPort = 7\nMTU = 1300\nDNS = 1.1.1.1\nAddress = 10.0.0.1/24\n", kPrivate));
  GatewayCommand plain = read_wireguard_command(Words{file.path});
  REQUIRE(texts(plain.problems) == Words{});
  CHECK(plain.options.links[0].mtu == 1300);
  CHECK(plain.options.name == "office");
  CHECK(plain.options.links[0].wireguard()->listen.to_string() == "[::]:7");
  CHECK(plain.notes.size() == 1);  // DNS
  GatewayCommand changed =
      read_wireguard_command(Words{"--mtu", "1400", file.path, "--name", "x", "-b", "127.0.0.1:8"});
  REQUIRE(texts(changed.problems) == Words{});
  CHECK(changed.options.links[0].mtu == 1400);
  CHECK(changed.options.name == "x");
  CHECK(changed.options.links[0].wireguard()->listen.to_string() == "127.0.0.1:8");
}

TEST_CASE("problems of the file and of the options come together") {
  TemporaryFile file("[Interface]\nPrivateKey = x\nMTU = 1\n");
  GatewayCommand command = read_wireguard_command(Words{file.path, "--mtu", "2"});
  REQUIRE(command.problems.size() == 3);
  CHECK(command.problems[0].to_string() == "--mtu 2: out of range; give a number from 576 to 65472");
  CHECK(command.problems[1].line == 2);
  CHECK(command.problems[2].line == 3);
}

TEST_CASE("a private key file may end in a line end") {
  TemporaryFile file(kPrivate + "\n");
  GatewayCommand command = read_wireguard_command(Words{"-f", file.path, "-K", kPeer, "-b", "127.0.0.1:1"});
  REQUIRE(texts(command.problems) == Words{});
  CHECK(to_base64(command.options.links[0].wireguard()->private_key.bytes()) == kPrivate);
}

TEST_CASE("help names every option once") {
  std::string help = wireguard_help();
  GatewayOptions options;
  for (const Option &option : single_link_options(options)) {
    INFO(option.name);
    std::string spelled = fmt::format("--{}", option.name);
    bool found = help.find(spelled + " ") != std::string::npos || help.find(spelled + "\n") != std::string::npos;
    CHECK(found);
  }
  CHECK(read_wireguard_command(Words{"--help", "--mtu", "nonsense"}).help);
  CHECK(read_wireguard_command(Words{"-h"}).help);
}

TEST_CASE("as wgslirpy: its defaults and its expectations") {
  GatewayCommand command = read_wgslirpy_command(
      Words{"-k", kPrivate, "-K", kPeer, "-b", "127.0.0.1:51820", "-D", "10.0.0.1:53", "-P", "10.0.0.1"}, nullptr);
  REQUIRE(texts(command.problems) == Words{});
  CHECK(command.options.tcp_buffer_size == 65535);
  CHECK(command.options.links[0].transmit_queue_capacity == 256);
  CHECK(command.options.links[0].mtu == 1420);
  CHECK(command.options.policy.enable_host);
  CHECK(command.options.log_level == LogLevel::info);
  REQUIRE(command.options.links[0].wireguard()->peers.size() == 1);
  CHECK(command.options.links[0].wireguard()->peers[0].config.allowed_ips.size() == 2);
  CHECK(read_wgslirpy_command(Words{}, "wgslirpy=debug,warn").options.log_level == LogLevel::debug);
}

TEST_CASE("as wgslirpy: its messages") {
  CHECK(texts(read_wgslirpy_command(Words{}, nullptr).problems) ==
        Words{"Required options not provided:\n    --peer-key\n    --bind-ip-port",
              "Set exactly one of --private-key or --private-key-file"});
  TemporaryFile file(kPrivate);
  const Words both{"-k", kPrivate, "-f", file.path, "-K", kPeer, "-b", "127.0.0.1:1"};
  CHECK(texts(read_wgslirpy_command(both, nullptr).problems) ==
        Words{"Set exactly one of --private-key or --private-key-file"});
  // Options that wgslirpy never had are unknown there.
  CHECK(read_wgslirpy_command(Words{"--enable-host"}, nullptr)
            .problems[0]
            .text.starts_with("--enable-host: unknown option"));
}
