#include "config/run_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "config/gue.h"
#include "config/print_config.h"
#include "config/wg_quick_edit.h"
#include "crypto/key_text.h"
#include "support/catch.h"

using namespace slipgate;

namespace {

using Words = std::vector<std::string>;

std::string key_text(uint8_t fill) {
  std::array<uint8_t, 32> bytes;
  bytes.fill(fill);
  return to_base64(bytes);
}

const std::string kPrivate = key_text(0x48), kPeer = key_text(0x0a), kOther = key_text(0x0b);

Words texts(const Problems &problems) {
  Words all;
  for (const Problem &problem : problems) all.push_back(problem.to_string());
  return all;
}

GatewayCommand read(const std::string &text) {
  return read_run_file(text, "f.toml");
}

// A value that an option takes, by what --help calls it. An option with a new word for its value needs a line here.
std::string sample(const Option &option, const std::string &file) {
  const std::map<std::string_view, std::string> kSamples{
      {"IP:PORT", "\"10.0.0.1:53\""},
      {"[IP:]PORT", "51820"},
      {"SERVER", "\"192.0.2.53\""},
      {"DOMAIN", "\"home.internal\""},
      {"IP", option.name == "source-ipv6" ? "\"fd00::9\"" : "\"10.0.0.9\""},
      {"SPEC", "\"8080:127.0.0.1:80\""},
      {"HOST,SRC,DST", "\"127.0.0.1:80,,10.0.0.2:80\""},
      {"RULE", "\"tcp://192.0.2.1:80\""},
      {"[RULE=]URL", "\"http://192.0.2.1:3128\""},
      {"BYTES", "10000"},
      {"PACKETS", "64"},
      {"N", "3"},
      {"S", "25"},
      {"bbr|cubic", "\"cubic\""},
      {"ADDR", "\"127.0.0.1:9100\""},
      {"NAME", "\"office\""},
      {"PATH", "\"x.sock\""},
      {"LEVEL", "\"debug\""},
      {"FORMAT", "\"json\""},
      {"HOST:PORT", "\"peer.example:7\""},
      {"endpoint|address|anyone", "\"anyone\""},
      {"auto|gue|fou", "\"fou\""},
      {"on|off", "\"off\""},
      {"PEER=BYTES/s", "\"10.0.0.2=2M\""},
      {"PREFIX", "\"10.0.1.0/24\""},
      {"KEY", "\"" + (option.name == "private-key" || option.name == "preshared-key" ? kPrivate : kPeer) + "\""},
      {"FILE", option.name == "pcap" ? "\"-\"" : "\"" + file + "\""},
      {"", "true"},
  };
  auto found = kSamples.find(option.metavar);
  INFO(option.name << " " << option.metavar);
  REQUIRE(found != kSamples.end());
  return found->second;
}

struct TemporaryFile {
  TemporaryFile(std::string_view name, std::string_view text) {
    REQUIRE(mkdtemp(folder));
    path = fmt::format("{}/{}", folder, name);
    REQUIRE(replace_file(path, text));
  }
  ~TemporaryFile() {
    unlink(path.c_str());
    rmdir(folder);
  }
  char folder[40] = "/tmp/run_file_test.XXXXXX";
  std::string path;
};

const std::string kGueLink = "[[gue]]\n";

}  // namespace

TEST_CASE("every option of the gateway is a key at the top") {
  GatewayOptions options;
  for (const Option &option : bind_rows(gateway_option_rows(), options)) {
    INFO(option.name);
    const std::string value = sample(option, "/nonexistent");
    GatewayCommand command = read(fmt::format("{} = {}\n{}", key_of(option.name), value, kGueLink));
    CHECK(texts(command.problems) == Words{});
    CHECK(std::ranges::count(command.said.gateway, option.name, &SaidOption::name) == 1);
    if (!option.repeats) continue;
    command = read(fmt::format("{} = [{}, {}]\n{}", key_of(option.name), value, value, kGueLink));
    CHECK(texts(command.problems) == Words{});
  }
}

TEST_CASE("every option of a kind is a key of its table") {
  TemporaryFile key("key", kPrivate + "\n");
  TemporaryFile conf("office.conf", fmt::format("[Interface]\nPrivateKey = {}\n", kPrivate));
  for (std::string_view kind : {"wireguard", "gue"}) {
    LinkDraft draft;
    if (kind == "gue") make_gue(draft.link);
    for (const Option &option : link_table_options(kind, draft)) {
      INFO(kind << " " << option.name);
      std::string text = fmt::format("[[{}]]\n{} = {}\n", kind, key_of(option.name),
                                     sample(option, option.name == "config" ? conf.path : key.path));
      const bool is_key = option.name == "private-key" || option.name == "private-key-file";
      if (kind == "wireguard" && !is_key) text += fmt::format("private_key = \"{}\"\n", kPrivate);
      if (option.name == "peer-endpoint" || option.name == "keepalive-interval") {
        if (kind == "wireguard") text += fmt::format("peer_key = \"{}\"\n", kPeer);
      }
      CHECK(texts(read(text).problems) == Words{});
    }
  }
  WireGuardPeerOptions peer;
  for (const Option &option : bind_rows(peer_table_rows(), peer)) {
    INFO(option.name);
    std::string text = fmt::format("[[wireguard]]\nprivate_key = \"{}\"\n[[wireguard.peer]]\n{} = {}\n", kPrivate,
                                   key_of(option.name), sample(option, key.path));
    if (option.name != "public-key") text += fmt::format("public_key = \"{}\"\n", kPeer);
    CHECK(texts(read(text).problems) == Words{});
  }
}

TEST_CASE("links of several kinds, in the order of the file") {
  GatewayCommand command = read(fmt::format(R"(
deny = ["192.168.0.0/16", "10.0.0.0/8"]
enable_host = false
[[gue]]
allowed_ips = "10.0.1.0/24"
[[wireguard]]
private_key = "{}"
bind_ip_port = 7
interface = "wg7"
mtu = 1280
address = ["10.0.0.1", "fd00::1"]
[[wireguard.peer]]
name = "phone"
public_key = "{}"
allowed_ips = ["10.0.0.2/32, fd00::2/128", "10.0.2.0/24"]
endpoint = "192.0.2.1:9"
persistent_keepalive = 25
[[gue]]
bind_ip_port = "127.0.0.1:6081"
)",
                                            kPrivate, kPeer));
  REQUIRE(texts(command.problems) == Words{});
  const GatewayOptions &o = command.options;
  CHECK(o.name == "f");
  CHECK(o.config_file == "f.toml");
  CHECK(o.policy.deny.size() == 2);
  CHECK_FALSE(o.policy.enable_host);
  REQUIRE(o.links.size() == 3);
  CHECK(o.links[0].name == "gue");
  CHECK(o.links[1].name == "wg7");
  CHECK(o.links[2].name == "gue-2");
  REQUIRE(o.links[1].wireguard());
  CHECK(o.links[1].mtu == 1280);
  CHECK(o.links[1].addresses.size() == 2);
  const WireGuardLinkOptions &wireguard = *o.links[1].wireguard();
  CHECK(wireguard.listen.to_string() == "[::]:7");
  REQUIRE(wireguard.peers.size() == 1);
  CHECK(wireguard.peers[0].config.name == "phone");
  CHECK(wireguard.peers[0].config.allowed_ips.size() == 3);
  CHECK(wireguard.peers[0].config.persistent_keepalive == 25);
}

TEST_CASE("a wg-quick file counts from the folder, what stands beside it wins") {
  TemporaryFile conf("office.conf",
                     fmt::format("[Interface]\nPrivateKey = {}\nListenPort = 7\nMTU = 1300\n", kPrivate));
  GatewayCommand command = read_run_file("[[wireguard]]\nmtu = 1280\nconfig = \"office.conf\"\n",
                                         std::string(conf.folder) + "/gateway.toml");
  REQUIRE(texts(command.problems) == Words{});
  CHECK(command.options.name == "gateway");
  CHECK(command.options.links[0].name == "office");
  CHECK(command.options.links[0].mtu == 1280);
  CHECK(command.options.links[0].wireguard()->listen.port == 7);
}

TEST_CASE("every problem has its line, secrets are not repeated") {
  struct Row {
    std::string text;
    Words problems;
  };
  const std::string with_key = fmt::format("[[wireguard]]\nprivate_key = \"{}\"\n", kPrivate);
  const std::string peer = fmt::format("[[wireguard.peer]]\npublic_key = \"{}\"\n", kPeer);
  const Row rows[] = {
      {"", {"f.toml: no links; begin one with [[wireguard]] or [[gue]]"}},
      {"threads = 1000\n\nlog_levl = \"info\"\n" + kGueLink,
       {"f.toml:1: threads = 1000: out of range; give a number from 1 to 256",
        "f.toml:3: log_levl: unknown key; did you mean log_level?"}},
      {"log-level = \"info\"\n" + kGueLink, {"f.toml:1: log-level: unknown key; did you mean log_level?"}},
      {"dns = [\"10.0.0.1\",\n \"x\"]\n" + kGueLink,
       {"f.toml:2: dns = x: not IP:PORT; give one like 192.0.2.1:53 or [2001:db8::1]:53"}},
      {"enable_host = 1\nthreads = 1.5\n" + kGueLink,
       {"f.toml:1: enable_host: give true or false", "f.toml:2: threads: neither a string nor a whole number; give N"}},
      {"congestion = [\"bbr\"]\n" + kGueLink, {"f.toml:1: congestion: takes one value, not an array; give bbr|cubic"}},
      {"wireguard = 7\n" + kGueLink, {"f.toml:1: wireguard: one of several is written [[wireguard]]"}},
      {"[gue]\n", {"f.toml:1: gue: one of several is written [[gue]]"}},
      {"[[wireguard]]\nprivate_key = \"sekrit\"\n",
       {"f.toml:2: private_key: KEY (6 characters): wrong length; a key is 44 characters of base64, as `slipgate "
        "genkey` "
        "prints"}},
      {"[[wireguard]]\n",
       {"f.toml:1: [[wireguard]]: no private key; give private_key_file (`slipgate genkey` makes one), or a wg-quick "
        "file with config"}},
      {with_key + "[[wireguard.peer]]\nname = \"x\"\n",
       {"f.toml:3: [[wireguard.peer]]: no public_key; add the peer's (`slipgate pubkey` makes it from the private)"}},
      {with_key + peer + peer, {"f.toml:5: public_key: the same as in line 3; every peer has its own key"}},
      {with_key + "private_key_file = \"/nonexistent\"\n",
       {"f.toml:3: private_key_file = /nonexistent: cannot open it: No such file or directory"}},
      {with_key + "[[wireguard.peer]]\nendpont = \"x\"\n",
       {"f.toml:4: [[wireguard.peer]] endpont: unknown key; did you mean endpoint?"}},
      {kGueLink + "\n" + kGueLink,
       {"f.toml:3: [[gue]]: UDP [::]:6080 is the address of the link in line 1 already; give another port with "
        "bind_ip_port"}},
      {kGueLink + "name = \"a\"\n[[gue]]\nbind_ip_port = 7\nname = \"a\"\n",
       {"f.toml:3: name a: the link in line 1 has this name"}},
      {kGueLink + "allowed_ips = \"10.0.0.0/24\"\n[[gue]]\nbind_ip_port = 7\nallowed_ips = \"10.0.0.0/24\"\n",
       {"f.toml:3: allowed_ips 10.0.0.0/24: already given in line 1; one prefix has one peer, take it out of one of "
        "them"}},
  };
  for (const Row &row : rows) {
    INFO(row.text);
    CHECK(texts(read(row.text).problems) == row.problems);
  }
  const Problems broken = read("a = [1,\n").problems;
  REQUIRE(broken.size() == 1);
  CHECK(broken[0].text.starts_with("no TOML: "));
  CHECK(broken[0].line > 0);
}

TEST_CASE("the command line wins over the file") {
  TemporaryFile file("gateway.toml", "threads = 2\ndns = \"10.0.0.1\"\n[[gue]]\n");
  GatewayCommand command = read_run_command(Words{file.path, "--threads", "3", "-D", "10.0.0.2", "--ready-fd=7"});
  REQUIRE(texts(command.problems) == Words{});
  CHECK(command.options.threads == 3);
  CHECK(command.options.dns.size() == 2);
  CHECK(read_run_command(Words{}).problems.size() == 1);
  CHECK(read_run_command(Words{file.path, "--mtu", "7"}).problems.size() == 1);  // a link's
}

TEST_CASE("what is printed is read alike and has no secrets") {
  GatewayCommand command = read(fmt::format(R"(
name = "a\"b"
egress = ["direct", "socks5://user:sekrit@192.0.2.1:1080"]
enable_host = true
[[gue]]
mtu = 1400
)"));
  REQUIRE(texts(command.problems) == Words{});
  const std::string printed = print_config(command);
  CHECK(printed.find("sekrit") == std::string::npos);
  GatewayCommand again = read(printed);
  REQUIRE(texts(again.problems) == Words{});
  CHECK(again.options.name == "a\"b");
  CHECK(again.options.policy.enable_host);
  CHECK(again.options.egress.size() == 2);
  CHECK(again.options.links[0].mtu == 1400);
  CHECK(print_config(again).find("user") == std::string::npos);
  CHECK(print_default_config().find("# max_flows: ") != std::string::npos);

  const GatewayCommand flags =
      read_wireguard_command(Words{"-k", kPrivate, "-K", kPeer, "-b", "127.0.0.1:7", "--threads", "2"});
  REQUIRE(texts(flags.problems) == Words{});
  const std::string of_flags = print_config(flags);
  CHECK(of_flags.find(kPrivate) == std::string::npos);
  CHECK(of_flags.find("threads = 2\n") != std::string::npos);
  CHECK(of_flags.find("peer_key = \"" + kPeer + "\"\n") != std::string::npos);
  CHECK(of_flags.find("name it with private_key_file") == std::string::npos);
  CHECK(of_flags.find("private_key_file\n") != std::string::npos);
}

TEST_CASE("what a reload cannot change is named by its key") {
  const SaidOptions was{{"threads", {"2"}}, {"deny", {"10.0.0.0/8"}}, {"metrics", {"127.0.0.1:1"}}};
  CHECK(keys_for_restart(was, was).empty());
  CHECK(keys_for_restart(was, {{"threads", {"2"}}, {"metrics", {"127.0.0.1:1"}}}).empty());
  CHECK(keys_for_restart(was, {{"threads", {"3"}}, {"max-flows", {"7"}}}) == Words{"threads", "max_flows", "metrics"});
}

TEST_CASE("which files are TOML") {
  CHECK(is_run_file("x.toml"));
  CHECK_FALSE(is_run_file("x.conf"));
  TemporaryFile unnamed("gateway", "threads = 1\n[[gue]]\n");
  CHECK(is_run_file(unnamed.path));
}
