#include "config/tun.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "support/catch.h"

using namespace slipgate;

namespace {

class File {
 public:
  explicit File(const std::string &more = "", const std::string &name = "wg7.conf") {
    REQUIRE(mkdtemp(folder_));
    path = fmt::format("{}/{}", folder_, name);
    std::ofstream(path) << "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nListenPort = 7\n"
                        << "Address = 10.7.0.2/24, fd07::2/64\nMTU = 1400\n"
                        << more
                        << "[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\nAllowedIPs = 0.0.0.0/0\n"
                        << "Endpoint = 192.0.2.1:51820\n";
    chmod(path.c_str(), 0600);
  }
  ~File() { std::filesystem::remove_all(folder_); }
  std::string path;

 private:
  char folder_[32] = "/tmp/tun_test.XXXXXX";
};

TunCommand read(std::vector<std::string> arguments) {
  return read_tun_command(arguments);
}

}  // namespace

TEST_CASE("a wg-quick file says what the interface is; options win") {
  File file;
  TunCommand command = read({file.path});
  REQUIRE(command.problems.empty());
  CHECK(command.notes.empty());
  const TunOptions &options = command.options;
  CHECK(options.interface == "wg7");
  CHECK(options.wireguard.listen.port == 7);
  CHECK(options.wireguard.mtu == 1400);
  CHECK(options.wireguard.peers.size() == 1);
  REQUIRE(options.addresses.size() == 2);
  CHECK(options.addresses[0].address == *IpAddress::parse("10.7.0.2"));
  CHECK(options.addresses[0].length == 24);
  CHECK(options.table == TunOptions::Table::automatic);
  CHECK_FALSE(options.mark);

  command = read({file.path, "--interface", "tun9", "--mtu", "1280", "--table", "100", "--fwmark", "5"});
  REQUIRE(command.problems.empty());
  CHECK(command.options.interface == "tun9");
  CHECK(command.options.wireguard.mtu == 1280);
  CHECK(command.options.table == TunOptions::Table::numbered);
  CHECK(command.options.table_number == 100);
  CHECK(command.options.mark == 5);
}

TEST_CASE("Table and FwMark of the file count, what wg-quick alone does is named") {
  File file("Table = off\nFwMark = 0xca6c\nPostUp = true\nSaveConfig = true\n");
  TunCommand command = read({file.path});
  REQUIRE(command.problems.empty());
  CHECK(command.options.table == TunOptions::Table::off);
  CHECK(command.options.mark == 0xca6c);
  REQUIRE(command.notes.size() == 1);
  CHECK(command.notes[0].text == "PostUp, SaveConfig: no effect here (wg-quick does that)");
  command = read({file.path, "--table", "auto"});
  CHECK(command.options.table == TunOptions::Table::automatic);

  CHECK(read({File("Table = main\n").path}).problems.size() == 1);
  CHECK(read({File("FwMark = 0x1ffffffff\n").path}).problems.size() == 1);
  CHECK(read({File("FwMark = off\n").path}).options.mark == 0u);
}

TEST_CASE("every problem of the command line is said") {
  File file;
  CHECK(read({}).problems.size() == 1);
  CHECK(read({"/nowhere.conf"}).problems.size() == 1);
  CHECK(read({file.path, "--mtu", "1", "--table", "x", "--interface", "a/b", "--fwmark", "-1"}).problems.size() == 4);
  CHECK(read({"--help"}).help);
  File long_name("", "an_interface_name_that_is_too_long.conf");
  CHECK(read({long_name.path}).problems.size() == 1);
  CHECK(read({long_name.path, "--interface", "short"}).problems.empty());
}

TEST_CASE("an interface's name is one that wg-quick and the kernel take") {
  for (const char *name : {"wg0", "a", "123456789012345", "x_=+.-"}) CHECK(is_interface_name(name));
  for (const char *name : {"", "1234567890123456", "a b", "a/b", ".", "..", "tun%d"})
    CHECK_FALSE(is_interface_name(name));
}
