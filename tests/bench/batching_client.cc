// A WireGuard client that batches (UDP_SEGMENT, UDP_GRO) as load for the gateway: our own link and stack as a node with
// one address, no TUN device and no kernel TCP, so that the gateway is what is measured.
//
//   batching_client --private-key KEY --peer-key KEY --endpoint IP:PORT --address IP --connect IP:PORT
//                   --mode up|down|echo|connect [--count N] [--streams N]
//
// up, down: N bytes in all streams together; prints bytes and seconds. echo: N round trips of 64 bytes on one stream;
// prints the median and the 99th percentile in microseconds. connect: N connections one after another, each closed by
// us.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crypto/key_text.h"
#include "crypto/random.h"
#include "io/loop.h"
#include "link/wireguard_link.h"
#include "shard/shard.h"

namespace slipgate {
namespace {

[[noreturn]] void fail(const std::string &text) {
  std::fprintf(stderr, "batching_client: %s\n", text.c_str());
  std::exit(2);
}

struct Options {
  wireguard::Key private_key;
  wireguard::PublicKey peer_key;
  Endpoint endpoint, connect;
  IpAddress address;
  std::string mode = "up";
  uint64_t count = 1 << 30;
  uint64_t streams = 1;
};

Options parse(int argc, char **argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  auto value = [&](const char *name) {
    if (!given.contains(name)) fail(std::string("missing ") + name);
    return given[name];
  };
  Options options;
  std::optional<Secret<32>> key = key_from_base64(value("--private-key")), peer = key_from_base64(value("--peer-key"));
  std::optional<Endpoint> endpoint = Endpoint::parse(value("--endpoint")),
                          connect = Endpoint::parse(value("--connect"));
  std::optional<IpAddress> address = IpAddress::parse(value("--address"));
  if (!key || !peer || !endpoint || !connect || !address) fail("bad key, endpoint or address");
  options.private_key = *key;
  std::copy_n(peer->data(), 32, options.peer_key.begin());
  options.endpoint = *endpoint;
  options.connect = *connect;
  options.address = *address;
  options.mode = value("--mode");
  if (given.contains("--count")) options.count = std::stoull(given["--count"]);
  if (given.contains("--streams")) options.streams = std::stoull(given["--streams"]);
  return options;
}

// Nothing is served to the gateway: a client only calls.
class NoEvents final : public StackEvents {
  void on_tcp_request(StreamRequestPtr request) override { request->refuse(Refusal::reset()); }
  void on_datagram(const FlowKey &, uint32_t, Bytes, const DatagramInfo &, Bytes) override {}
  void on_echo(const FlowKey &, uint32_t, uint16_t, Bytes, const DatagramInfo &, Bytes) override {}
  void on_icmp_error(const FlowKey &, uint32_t, uint8_t, uint8_t, uint32_t) override {}
};

class Node {
 public:
  explicit Node(const Options &options) : options_(options), shard_(loop_, stack_config(), events_) {
    WireGuardLinkOptions link;
    link.private_key = options.private_key;
    link.transmit_queue_capacity = 4096;
    WireGuardPeerOptions peer;
    peer.config.public_key = options.peer_key;
    peer.config.endpoint = options.endpoint;
    peer.config.allowed_ips = {*IpPrefix::parse("0.0.0.0/0"), *IpPrefix::parse("::/0")};
    link.peers.push_back(peer);
    Result<std::unique_ptr<WireGuardLink>> opened = WireGuardLink::open(loop_, link, 0, shard_, shard_.counters());
    if (!opened) fail(opened.error().text);
    link_ = std::move(*opened);
    shard_.attach(*link_);
  }

  Loop &loop() { return loop_; }

  void connect(std::function<void(StreamPtr)> done) {
    FlowKey key;
    key.outside = {options_.address, next_port_++};
    if (next_port_ == 0) next_port_ = 10000;
    key.inside = options_.connect;
    key.protocol = Protocol::tcp;
    connecting_ = shard_.stack().connect(key, 1, [done = std::move(done)](StreamPtr stream, int error) {
      if (!stream) fail(std::string("connect: ") + std::strerror(error));
      done(std::move(stream));
    });
    loop_.at_turn_end(shard_, 1);
  }

 private:
  static StackConfig stack_config() {
    StackConfig config;
    fill_random({reinterpret_cast<uint8_t *>(config.secret), sizeof(config.secret)});
    return config;
  }

  Options options_;
  Loop loop_;
  NoEvents events_;
  Shard shard_;
  std::unique_ptr<WireGuardLink> link_;
  std::unique_ptr<Stack::Connecting> connecting_;
  uint16_t next_port_ = 10000;
};

// One bulk transfer; calls `done` when the server has ended it.
class Bulk final : public StreamWatcher {
 public:
  Bulk(StreamPtr stream, uint64_t bytes, bool up, std::function<void()> done)
      : stream_(std::move(stream)), left_(bytes), up_(up), done_(std::move(done)), block_(256 << 10, 'x') {
    stream_->watch(this);
    if (up_) on_writable();
  }
  void on_writable() override {
    if (!up_) return;
    while (left_ > 0) {
      iovec piece{block_.data(), std::min<uint64_t>(left_, block_.size())};
      Result<size_t> written = stream_->write_some({&piece, 1});
      if (!written) fail("write: " + written.error().text);
      if (*written == 0) return;
      left_ -= *written;
    }
    if (!finished_) stream_->shutdown_write();
    finished_ = true;
  }
  void on_readable() override {
    while (true) {
      Peeked peeked = stream_->peek(1 << 20);
      if (peeked.error) fail(std::string("read: ") + std::strerror(peeked.error));
      if (!up_) left_ -= std::min<uint64_t>(left_, peeked.size);
      if (peeked.size == 0) {
        if (peeked.end || (!up_ && left_ == 0)) std::exchange(done_, [] {})();
        return;
      }
      stream_->consume(peeked.size);
    }
  }

 private:
  StreamPtr stream_;
  uint64_t left_;
  const bool up_;
  bool finished_ = false;
  std::function<void()> done_;
  std::vector<char> block_;
};

// Round trips of 64 bytes.
class Echo final : public StreamWatcher {
 public:
  Echo(StreamPtr stream, uint64_t count, std::function<void()> done)
      : stream_(std::move(stream)), count_(count), done_(std::move(done)) {
    stream_->watch(this);
    call();
  }
  void on_writable() override {}
  void on_readable() override {
    Peeked peeked = stream_->peek(64);
    if (peeked.error || peeked.end) fail("echo: the server went away");
    received_ += peeked.size;
    if (peeked.size) stream_->consume(peeked.size);
    if (received_ < 64) return;
    times_.push_back(std::chrono::duration<double, std::micro>(BootClock::now() - called_).count());
    if (times_.size() < count_) return call();
    std::sort(times_.begin(), times_.end());
    std::printf("echo median_us %.1f p99_us %.1f count %zu\n", times_[times_.size() / 2],
                times_[times_.size() * 99 / 100], times_.size());
    done_();
  }

 private:
  void call() {
    received_ = 0;
    called_ = BootClock::now();
    char message[64] = {};
    iovec piece{message, sizeof(message)};
    Result<size_t> written = stream_->write_some({&piece, 1});
    if (!written || *written != sizeof(message)) fail("echo: write");
  }

  StreamPtr stream_;
  const uint64_t count_;
  std::function<void()> done_;
  size_t received_ = 0;
  Time called_;
  std::vector<double> times_;
};

int run(const Options &options) {
  Node node(options);
  Time start = BootClock::now();
  auto report = [&](uint64_t amount, const char *unit) {
    double seconds = std::chrono::duration<double>(BootClock::now() - start).count();
    std::printf("%s %llu %s seconds %.3f\n", options.mode.c_str(), static_cast<unsigned long long>(amount), unit,
                seconds);
    node.loop().stop();
  };
  std::vector<std::unique_ptr<Bulk>> bulks;
  std::unique_ptr<Echo> echo;
  uint64_t ended = 0, opened = 0;
  std::function<void()> next;
  if (options.mode == "up" || options.mode == "down") {
    next = [&] {
      node.connect([&](StreamPtr stream) {
        if (opened == 0) start = BootClock::now();
        bulks.push_back(
            std::make_unique<Bulk>(std::move(stream), options.count / options.streams, options.mode == "up", [&] {
              if (++ended == options.streams) report(options.count, "bytes");
            }));
        if (++opened < options.streams) node.loop().post(next);
      });
    };
  } else if (options.mode == "echo") {
    next = [&] {
      node.connect([&](StreamPtr stream) {
        echo = std::make_unique<Echo>(std::move(stream), options.count, [&] { node.loop().stop(); });
      });
    };
  } else if (options.mode == "connect") {
    next = [&] {
      node.connect([&](StreamPtr stream) {
        stream->shutdown_write();
        stream.reset();
        if (++opened == options.count) return report(opened, "connections");
        node.loop().post(next);
      });
    };
  } else {
    fail("--mode " + options.mode + " (expected up, down, echo or connect)");
  }
  node.loop().post(next);
  node.loop().run();
  return 0;
}

}  // namespace
}  // namespace slipgate

int main(int argc, char **argv) {
  return slipgate::run(slipgate::parse(argc, argv));
}
