#include "flow/forward_spec.h"

#include "support/catch.h"

using namespace slipgate;

namespace {

// "udp 127.0.0.1:80 -> 10.0.0.2:81", or the error.
std::string parsed(std::string_view spec, Forward::Direction direction) {
  Result<Forward> forward = parse_forward(spec, direction);
  if (!forward) return forward.error().text;
  static const char *const kTransports[] = {"tcp", "udp", "udprpc", "tcppp", "tcppp2", "udpspp"};
  return std::string(kTransports[static_cast<int>(forward->transport)]) + " " + forward->listen.to_string() + " -> " +
         (forward->socket.index() != 0 ? to_string(forward->socket)
                                       : forward->target + ":" + std::to_string(forward->target_port));
}
std::string local(std::string_view spec) {
  return parsed(spec, Forward::Direction::local);
}
std::string remote(std::string_view spec) {
  return parsed(spec, Forward::Direction::remote);
}

}  // namespace

TEST_CASE("the four forms of a local forward") {
  CHECK(local("8080") == "tcp 127.0.0.1:8080 -> :0");
  CHECK(local("0.0.0.0:8080") == "tcp 0.0.0.0:8080 -> :0");
  CHECK(local("8080:10.0.0.2:80") == "tcp 127.0.0.1:8080 -> 10.0.0.2:80");
  CHECK(local("192.0.2.5:8080:10.0.0.2:80") == "tcp 192.0.2.5:8080 -> 10.0.0.2:80");
  CHECK(local("8080:phone.example:80") == "tcp 127.0.0.1:8080 -> phone.example:80");
}

TEST_CASE("the four forms of a remote forward") {
  CHECK(remote("8080") == "tcp 0.0.0.0:8080 -> 127.0.0.1:0");
  CHECK(remote("10.0.0.1:8080") == "tcp 10.0.0.1:8080 -> 127.0.0.1:0");
  CHECK(remote("8080:192.168.1.9:80") == "tcp 0.0.0.0:8080 -> 192.168.1.9:80");
  CHECK(remote("10.0.0.1:8080:nas.lan:80") == "tcp 10.0.0.1:8080 -> nas.lan:80");
}

TEST_CASE("protocols") {
  CHECK(local("tcp://80") == "tcp 127.0.0.1:80 -> :0");
  CHECK(local("udp://53:10.0.0.2:53") == "udp 127.0.0.1:53 -> 10.0.0.2:53");
  CHECK(local("udprpc://53") == "udprpc 127.0.0.1:53 -> :0");
  CHECK(local("tcppp://80") == "tcppp 127.0.0.1:80 -> :0");
  CHECK(local("udpspp://80") == "udpspp 127.0.0.1:80 -> :0");
  CHECK(local("sctp://80").find("\"sctp\" is not a protocol") != std::string::npos);
}

TEST_CASE("protocols that only one direction has, or means otherwise") {
  CHECK(remote("tcppp://80") == "tcppp 0.0.0.0:80 -> 127.0.0.1:0");
  CHECK(remote("tcppp2://80:web.lan:8080") == "tcppp2 0.0.0.0:80 -> web.lan:8080");
  CHECK(remote("tcppp2://80:unix:/run/web.sock") == "tcppp2 0.0.0.0:80 -> unix:/run/web.sock");
  CHECK(local("tcppp2://80").find("takes both versions of the PROXY protocol; expected tcppp") != std::string::npos);
}

TEST_CASE("sockets of the host") {
  CHECK(remote("8080:unix:/run/web.sock") == "tcp 0.0.0.0:8080 -> unix:/run/web.sock");
  CHECK(remote("8080:unix:/run/a:b[c.sock") == "tcp 0.0.0.0:8080 -> unix:/run/a:b[c.sock");
  CHECK(remote("8080:unix:@web") == "tcp 0.0.0.0:8080 -> unix:@web");
  CHECK(remote("10.0.0.1:8080:vsock:3:1024") == "tcp 10.0.0.1:8080 -> vsock:3:1024");
  CHECK(remote("[fd00::1]:8080:vsock:4294967295:0") == "tcp [fd00::1]:8080 -> vsock:4294967295:0");
  CHECK(remote("8080:tipc:18888:17") == "tcp 0.0.0.0:8080 -> tipc:18888:17");
  CHECK(remote("8080:firecracker:/run/a:b.sock:52") == "tcp 0.0.0.0:8080 -> firecracker:/run/a:b.sock:52");
  CHECK(remote("8080:[unix]:80") == "tcp 0.0.0.0:8080 -> unix:80");
  CHECK(remote("unix.lan:80:10.0.0.2:80").find("\"unix.lan\" is not an address") != std::string::npos);
  const std::string longest = "/" + std::string(106, 'x');
  CHECK(remote("80:unix:" + longest) == "tcp 0.0.0.0:80 -> unix:" + longest);

  struct Row {
    std::string spec;
    const char *named;
  };
  for (const Row &row : {Row{"80:unix:web.sock", "\"web.sock\" is neither an absolute path nor @NAME"},
                         Row{"80:unix:", "\"\" is neither"}, Row{"80:unix:/", "\"/\" is neither"},
                         Row{"80:unix:" + longest + "x", "longer than 107 bytes"},
                         Row{"80:vsock:3", "\"3\" is not two numbers"}, Row{"80:vsock:3:x", "\"3:x\""},
                         Row{"80:vsock:4294967296:1", "\"4294967296:1\""}, Row{"80:tipc:1:2:3", "\"1:2:3\""},
                         Row{"80:firecracker:/run/x", "no vsock port"}, Row{"80:firecracker:x:1", "\"x\" is neither"},
                         Row{"unix:/run/x", "needs a port"}, Row{"x:unix:/run/x", "\"x\" is not a port"},
                         Row{"udp://80:unix:/run/x", "datagrams cannot go to a stream socket"}}) {
    const std::string error = remote(row.spec);
    INFO(error);
    CHECK(error.find(row.named) != std::string::npos);
    CHECK(error.find("firecracker:/UDS:PORT") != std::string::npos);
  }
  CHECK(local("80:unix:/run/x").find("only -R leads to a socket of the host") != std::string::npos);
}

TEST_CASE("one IPv6 literal makes the defaults IPv6") {
  CHECK(local("[::1]:8080") == "tcp [::1]:8080 -> :0");
  CHECK(local("8080:[fd00::2]:80") == "tcp [::1]:8080 -> fd00::2:80");
  CHECK(local("[2001:db8::1]:8080:[fd00::2]:80") == "tcp [2001:db8::1]:8080 -> fd00::2:80");
  CHECK(remote("[fd00::1]:8080") == "tcp [fd00::1]:8080 -> ::1:0");
  CHECK(remote("8080:[2001:db8::1]:80") == "tcp [::]:8080 -> 2001:db8::1:80");
  CHECK(local("[[::1]]:8080") == "tcp [::1]:8080 -> :0");
}

TEST_CASE("empty parts mean the defaults") {
  CHECK(local(":8080") == "tcp 127.0.0.1:8080 -> :0");
  CHECK(local("8080::80") == "tcp 127.0.0.1:8080 -> :80");
  CHECK(local("8080:10.0.0.2:") == "tcp 127.0.0.1:8080 -> 10.0.0.2:0");
  CHECK(local("::10.0.0.2:80") == "tcp 127.0.0.1:0 -> 10.0.0.2:80");
  CHECK(local("0") == "tcp 127.0.0.1:0 -> :0");
  CHECK(local("") == "tcp 127.0.0.1:0 -> :0");
  CHECK(remote("8080::80") == "tcp 0.0.0.0:8080 -> 127.0.0.1:80");
}

TEST_CASE("words that ssh users write") {
  CHECK(local("localhost:8080:10.0.0.2:80") == "tcp 127.0.0.1:8080 -> 10.0.0.2:80");
  CHECK(local("*:8080") == "tcp 0.0.0.0:8080 -> :0");
  CHECK(remote("8080:localhost:80") == "tcp 0.0.0.0:8080 -> localhost:80");
}

TEST_CASE("errors of -L and -R name the value") {
  struct Row {
    const char *spec;
    const char *named;
  };
  for (const Row &row :
       {Row{"65536", "\"65536\" is not a port"}, Row{"http", "\"http\" is not a port"},
        Row{"8080:80", "\"8080\" is not an address"}, Row{"80:10.0.0.300:80", "\"10.0.0.300\""},
        Row{"80:10.0.0.1:x", "\"x\" is not a port"}, Row{"1:2:3:4:5", "5 parts"}, Row{"[::1:80", "brackets"},
        Row{"::1]:80", "brackets"}, Row{"80:/run/x:1", "\"/run/x\""}, Row{"-1", "\"-1\""}}) {
    std::string error = local(row.spec);
    INFO(error);
    CHECK(error.find(row.named) != std::string::npos);
    CHECK(error.find("expected") != std::string::npos);
  }
  CHECK(remote("0").find("needs a port") != std::string::npos);
}

TEST_CASE("wgslirpy's three fields") {
  Result<Forward> forward = parse_incoming("127.0.0.1:8080,10.0.2.1:1234,10.0.2.15:80", Forward::Transport::tcp);
  REQUIRE(forward);
  CHECK(forward->listen == *Endpoint::parse("127.0.0.1:8080"));
  CHECK(forward->source == *Endpoint::parse("10.0.2.1:1234"));
  CHECK(forward->target == "10.0.2.15");
  CHECK(forward->target_port == 80);
  CHECK(forward->direction == Forward::Direction::local);

  forward = parse_incoming("[::]:53,,[fd00::2]:53", Forward::Transport::udp);
  REQUIRE(forward);
  CHECK(forward->transport == Forward::Transport::udp);
  CHECK_FALSE(forward->source);
  CHECK(forward->target == "fd00::2");

  forward = parse_incoming("127.0.0.1:53,10.0.2.1:0,phone.home.internal:80", Forward::Transport::tcp);
  REQUIRE(forward);
  CHECK(forward->target == "phone.home.internal");
  CHECK(forward->target_port == 80);

  forward = parse_incoming("tcppp://1.2.3.4:5,,10.0.2.15:80", Forward::Transport::tcp);
  REQUIRE(forward);
  CHECK(forward->transport == Forward::Transport::tcp_proxy);
  forward = parse_incoming("udpspp://1.2.3.4:5,,10.0.2.15:80", Forward::Transport::udp);
  REQUIRE(forward);
  CHECK(forward->transport == Forward::Transport::udp_spp);
  for (const char *spec :
       {"udp://1.2.3.4:5,,10.0.2.15:80", "", "1.2.3.4:5", "1.2.3.4:5,1.2.3.4:5", "1.2.3.4:5,,1.2.3.4:5,",
        "1.2.3.4,,1.2.3.4:5", "1.2.3.4:5,,1.2.3.4", "1.2.3.4:5,x,1.2.3.4:5", "1.2.3.4:5,,1.2.3.4:0",
        "1.2.3.4:5,[::1]:1,1.2.3.4:5", "name:5,,1.2.3.4:5", "1.2.3.4:5,,name", "1.2.3.4:5,,name:0",
        "1.2.3.4:5,,na me:5", "1.2.3.4:5,,fd00::2:5", "1.2.3.4:5,,"}) {
    INFO(spec);
    Result<Forward> bad = parse_incoming(spec, Forward::Transport::tcp);
    REQUIRE_FALSE(bad);
    CHECK(bad.error().text.find("expected HOST:PORT,[SRC:PORT],DST:PORT") != std::string::npos);
  }
}
