#include "gateway/gateway.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "base/log.h"
#include "crypto/x25519.h"
#include "gateway/capture_file.h"
#include "gateway/gateway_shard.h"
#include "gateway/peer_names.h"
#include "gateway/shard_threads.h"

namespace slipgate {

namespace {

uint32_t thread_count(const GatewayOptions &options) {
  if (options.gue) return 1;
  if (options.threads) return options.threads;
  cpu_set_t usable;
  if (::sched_getaffinity(0, sizeof(usable), &usable) != 0) return 1;
  return std::clamp<uint32_t>(static_cast<uint32_t>(CPU_COUNT(&usable)), 1, kMostThreads);
}

bool is_local(const Forward &forward) {
  return forward.direction == Forward::Direction::local;
}

}  // namespace

// What knows all shards: where each peer lives, and which of them listens for which forward.
class Gateway::Impl final : public WireGuardControl, TimerTarget {
 public:
  Impl(Loop &control, const GatewayOptions &options)
      : control_(control),
        options_(options),
        budget_(limits_in_force(options).max_flows),
        population_(thread_count(options)),
        chosen_by_kernel_(options.wireguard.listen.port == 0),
        public_key_(public_key_of(options.wireguard.private_key)) {}

  ~Impl() {
    alive_.reset();
    threads_.reset();
  }

  Result<void> open(const BeforeThreads &before_threads) {
    const auto count = static_cast<uint32_t>(population_.size());
    if (!options_.pcap.empty()) {
      Result<std::unique_ptr<CaptureFile>> file = CaptureFile::open(options_.pcap, options_.gue ? "gue" : "wireguard");
      if (!file) return file.error();
      capture_ = std::move(*file);
    }
    if (before_threads) {
      if (Result<void> done = before_threads(); !done) return done;
    }
    if (capture_) capture_->start();
    const std::vector<PlacedPeer> peers = place(options_.wireguard.peers);
    Endpoint listen = options_.wireguard.listen;  // the port that the first shard found, for the others
    Result<std::unique_ptr<ShardThreads>> started = ShardThreads::start(count, [&](Loop &loop, uint32_t number) {
      GatewayOptions options = options_;
      options.wireguard.place = {number, count};
      options.wireguard.listen = listen;
      auto tell = [this, alive = std::weak_ptr<void>(alive_)](std::string peer, const DatagramPath &path) {
        control_.post([this, alive, peer = std::move(peer), path] {
          if (!alive.expired() && on_handshake) on_handshake(peer, path);
        });
      };
      Result<std::unique_ptr<GatewayShard>> shard =
          GatewayShard::open(loop, options, peers, budget_, mapped_ports_, std::move(tell));
      if (shard) {
        listen.port = (*shard)->listening().port;
        (*shard)->on_forward_target = [this, alive = std::weak_ptr<void>(alive_)] {
          control_.post([this, alive] {
            if (!alive.expired()) peers_changed();
          });
        };
      }
      if (shard && capture_) {
        (*shard)->capture_to([this](std::vector<uint8_t> records) { return capture_->put(std::move(records)); });
      }
      return shard;
    });
    if (!started) return started.error();
    threads_ = std::move(*started);
    if (has_wireguard()) {
      public_key_ = threads_->ask(0, [](GatewayShard &shard) { return shard.wireguard().public_key(); });
    }
    name_peers();  // a forward may lead to one by its name
    if (Result<void> added = configure_forwards(options_.forwards); !added) return added;
    return {};
  }

  Result<void> reload(const GatewayOptions &fresh, std::vector<std::string> &unchanged) {
    if (fresh.wireguard.listen != options_.wireguard.listen) unchanged.push_back("the listening port");
    if (fresh.wireguard.private_key != options_.wireguard.private_key) unchanged.push_back("the private key");
    if (fresh.addresses != options_.addresses) unchanged.push_back("the inside addresses");
    if (fresh.mtu != options_.mtu) unchanged.push_back("the MTU");
    if (fresh.threads != options_.threads) unchanged.push_back("the number of threads");
    if (fresh.dns != options_.dns) unchanged.push_back("where DNS is answered");
    if (fresh.pingable != options_.pingable) unchanged.push_back("which addresses answer echo");
    std::vector<wireguard::PublicKey> gone;
    for (const auto &[key, shard] : shard_of_) {
      const bool kept =
          std::any_of(fresh.wireguard.peers.begin(), fresh.wireguard.peers.end(),
                      [&key = key](const WireGuardPeerOptions &peer) { return peer.config.public_key == key; });
      if (!kept) gone.push_back(key);
    }
    for (const wireguard::PublicKey &key : gone) forget(key);
    const std::vector<PlacedPeer> peers = place(fresh.wireguard.peers);
    threads_->ask_all([&](GatewayShard &shard) {
      shard.change_peers(gone, peers);
      shard.set_policy(fresh.policy);
      shard.set_egress(fresh.egress);
    });
    peers_changed();
    return configure_forwards(fresh.forwards);
  }

  void drain(Duration most, std::function<void()> drained) {
    auto left = std::make_shared<uint32_t>(threads_->count());
    auto one_drained = [this, left, drained = std::move(drained)] {
      control_.post([left, drained] {
        if (--*left == 0) drained();
      });
    };
    threads_->ask_all([&](GatewayShard &shard) { shard.drain(most, one_drained); });
  }

  GatewayStatus status() {
    std::vector<GatewayStatus> all = threads_->ask_all([](GatewayShard &shard) { return shard.status(); });
    GatewayStatus sum = std::move(all[0]);
    for (size_t i = 1; i < all.size(); i++) {
      sum.flows += all[i].flows;
      sum.connections += all[i].connections;
      sum.counters += all[i].counters;
      std::move(all[i].peers.begin(), all[i].peers.end(), std::back_inserter(sum.peers));
    }
    return sum;
  }

  std::vector<FlowStatus> flows() {
    std::vector<FlowStatus> sum;
    for (std::vector<FlowStatus> &one : threads_->ask_all([](GatewayShard &shard) { return shard.flows(); })) {
      std::move(one.begin(), one.end(), std::back_inserter(sum));
    }
    return sum;
  }

  // --- forwards ------------------------------------------------------------------------------------------------------

  // Connections are accepted by the first shard and handed to the peer's; datagrams are received where their peer
  // lives.
  Result<size_t> add_forward(const Forward &forward) {
    size_t index = 0;
    while (index < forwards_.size() && forwards_[index].forward) index++;
    if (index == kMostForwards) return Error{ENOSPC, fmt::format("{} forwards are the most there can be", index)};
    if (index == forwards_.size()) forwards_.emplace_back();
    Standing &standing = forwards_[index];
    standing = {std::make_shared<const Forward>(forward), forward.listen, 0};
    threads_->ask_all([&](GatewayShard &shard) { shard.set_forward(index, standing.forward); });
    if (!is_local(forward)) return index;
    if (!forward.is_tcp()) standing.shard = shard_for(forward);
    Result<Endpoint> local = threads_->ask(
        standing.shard, [&](GatewayShard &shard) { return shard.forwards().listen(index, forward.listen); });
    if (!local) {
      remove_forward(index);
      return local.error();
    }
    standing.local = *local;
    log::info("forward {}: listening on {} {}", forward.spec, forward.is_tcp() ? "tcp" : "udp", local->to_string());
    return index;
  }

  void remove_forward(size_t index) {
    if (index >= forwards_.size()) return;
    forwards_[index].forward = nullptr;
    threads_->ask_all([&](GatewayShard &shard) { shard.set_forward(index, nullptr); });
  }

  std::vector<ForwardStatus> forwards() const {
    std::vector<ForwardStatus> all;
    for (size_t i = 0; i < forwards_.size(); i++) {
      const Standing &each = forwards_[i];
      if (each.forward) all.push_back({i, *each.forward, each.local, each.problem});
    }
    return all;
  }

  // --- WireGuard's userspace API -------------------------------------------------------------------------------------

  WireGuardSettings settings() const override {
    if (!has_wireguard()) return {};
    return threads_->ask(0, [](GatewayShard &shard) { return shard.wireguard().settings(); });
  }

  // All shards or none: what may fail comes first, and is undone where it was done.
  Result<void> change(const wireguard::Key *private_key, std::optional<uint16_t> listen_port,
                      std::optional<uint32_t> mark) override {
    if (!has_wireguard()) return Error{0, "this gateway has no WireGuard link"};
    // 0 lets the kernel choose, which it did already unless a port was named.
    const bool chosen_by_kernel = listen_port == uint16_t{0};
    if (chosen_by_kernel && chosen_by_kernel_) listen_port.reset();
    const WireGuardSettings before = settings();
    const bool moves = listen_port && *listen_port != before.listen_port;
    Result<void> done;
    // One after another: their sockets make one group, in the order of their numbers, and the others join the first.
    for (uint32_t number = 0; number < threads_->count() && done; number++) {
      done = threads_->ask(number, [&](GatewayShard &shard) -> Result<void> {
        WireGuardLink &link = shard.wireguard();
        if (mark) {
          if (Result<void> marked = link.set_mark(*mark); !marked) return marked;
        }
        if (!moves) return {};
        Result<uint16_t> port = link.bind(*listen_port);
        if (!port) return port.error();
        listen_port = *port;
        return {};
      });
    }
    threads_->ask_all([&](GatewayShard &shard) {
      WireGuardLink &link = shard.wireguard();
      if (done) {
        link.use_bound();
        if (private_key) link.set_private_key(*private_key);
      } else {
        link.drop_bound();
        (void)link.set_mark(before.mark);
      }
    });
    if (!done) return done;
    if (listen_port) chosen_by_kernel_ = chosen_by_kernel;
    if (private_key) {  // the peer of our own public key is none any more
      public_key_ = threads_->ask(0, [](GatewayShard &shard) { return shard.wireguard().public_key(); });
      forget(public_key_);
    }
    return {};
  }

  std::vector<wireguard::PeerStatus> peers() const override {
    std::vector<wireguard::PeerStatus> sum;
    if (!has_wireguard()) return sum;
    for (auto &one : threads_->ask_all([](GatewayShard &shard) { return shard.wireguard().peers(); })) {
      std::move(one.begin(), one.end(), std::back_inserter(sum));
    }
    return sum;
  }

  std::optional<wireguard::PeerConfig> peer(const wireguard::PublicKey &key) const override {
    auto found = shard_of_.find(key);
    if (found == shard_of_.end()) return std::nullopt;
    return threads_->ask(found->second, [&](GatewayShard &shard) { return shard.wireguard().peer(key); });
  }

  size_t peer_count() const override { return shard_of_.size(); }

  void set_peer(const wireguard::PeerConfig &config) override {
    if (!has_wireguard() || config.public_key == public_key_) return;
    const uint32_t home = place(config.public_key);
    threads_->tell_all([config, home](GatewayShard &shard) { shard.set_peer(config, home); });
    peers_changed();
  }

  void remove_peer(const wireguard::PublicKey &key) override {
    if (!has_wireguard()) return;
    forget(key);
    threads_->tell_all([key](GatewayShard &shard) { shard.remove_peer(key); });
    peers_changed();
  }

  void settle() override {
    threads_->ask_all([](GatewayShard &) {});
  }

  std::function<void(std::string, const DatagramPath &)> on_handshake;

 private:
  static constexpr size_t kMostForwards = 4096;
  static constexpr Duration kLook = milliseconds(100);
  static constexpr Duration kListenAgain = seconds(2);

  // A forward, where it listens, and which shard does if it is of direction local.
  struct Standing {
    ForwardPtr forward;  // null: the slot is free
    Endpoint local;
    uint32_t shard = 0;
    std::string problem;      // why nothing listens any more; empty: something does
    bool configured = false;  // else it was added while we ran
  };

  // Those of the configuration that are not there yet come, those that are not its any more go; the first error, when
  // all that can has been done.
  Result<void> configure_forwards(const std::vector<Forward> &forwards) {
    for (size_t index = 0; index < forwards_.size(); index++) {
      const Standing &each = forwards_[index];
      if (!each.forward || !each.configured) continue;
      if (std::find(forwards.begin(), forwards.end(), *each.forward) == forwards.end()) remove_forward(index);
    }
    Result<void> done;
    for (const Forward &forward : forwards) {
      const bool stands = std::any_of(forwards_.begin(), forwards_.end(), [&](const Standing &each) {
        return each.forward && each.configured && *each.forward == forward;
      });
      if (stands) continue;
      Result<size_t> added = add_forward(forward);
      if (added) forwards_[*added].configured = true;
      if (!added && done) done = added.error();
    }
    return done;
  }

  bool has_wireguard() const { return !options_.gue; }

  // Where a peer lives: where it did, or a new one where the fewest do.
  uint32_t place(const wireguard::PublicKey &key) {
    auto [found, added] = shard_of_.try_emplace(key, 0);
    if (added) {
      auto fewest = std::min_element(population_.begin(), population_.end());
      ++*fewest;
      found->second = static_cast<uint32_t>(fewest - population_.begin());
    }
    return found->second;
  }

  std::vector<PlacedPeer> place(const std::vector<WireGuardPeerOptions> &peers) {
    std::vector<PlacedPeer> placed;
    for (const WireGuardPeerOptions &peer : peers) {
      if (peer.config.public_key != public_key_) placed.push_back({peer, place(peer.config.public_key)});
    }
    return placed;
  }

  void forget(const wireguard::PublicKey &key) {
    auto found = shard_of_.find(key);
    if (found == shard_of_.end()) return;
    population_[found->second]--;
    shard_of_.erase(found);
  }

  uint32_t shard_for(const Forward &forward) {
    const std::optional<IpAddress> target = IpAddress::parse(forward.target);
    if (!target) return 0;
    return threads_->ask(0, [&](GatewayShard &shard) { return shard.shard_of(*target); }).value_or(0);
  }

  // Names and addresses of peers are looked at a little later, once for all that change meanwhile.
  void peers_changed() {
    if (!look_.armed()) control_.timers().arm(look_, control_.now() + kLook);
  }

  void on_timer(Timer &timer, Time) override {
    move_datagram_forwards();
    if (&timer == &look_) name_peers();
  }

  void name_peers() {
    const auto names = named_hosts(own_addresses(options_), peers());
    threads_->ask_all([&](GatewayShard &shard) { shard.set_names(names); });
  }

  // To where their targets' peers live now. One that cannot listen there is tried again.
  void move_datagram_forwards() {
    for (size_t index = 0; index < forwards_.size(); index++) {
      Standing &each = forwards_[index];
      if (!each.forward || !is_local(*each.forward) || each.forward->is_tcp()) continue;
      const std::string before = each.problem;
      uint32_t shard = each.shard;
      if (before.empty()) {
        shard = threads_->ask(each.shard, [&](GatewayShard &from) { return from.forwards().home(index); })
                    .value_or(each.shard);
        if (shard == each.shard) continue;
        threads_->ask(each.shard, [&](GatewayShard &from) { from.forwards().stop(index); });
      } else {
        shard = shard_for(*each.forward);
      }
      Result<Endpoint> local =
          threads_->ask(shard, [&](GatewayShard &to) { return to.forwards().listen(index, each.local); });
      each.shard = shard;
      each.problem = local ? "" : local.error().text;
      if (!local) control_.timers().arm(again_, control_.now() + kListenAgain);
      if (each.problem == before) continue;
      if (local) {
        log::info("forward {}: listening again on udp {}", each.forward->spec, local->to_string());
      } else {
        log::error("{}; trying again", each.problem);
      }
    }
  }

  Loop &control_;
  const GatewayOptions options_;
  FlowBudget budget_;
  MappedPorts mapped_ports_;
  std::map<wireguard::PublicKey, uint32_t> shard_of_;
  std::vector<size_t> population_;  // peers of each shard
  bool chosen_by_kernel_ = false;   // the port
  wireguard::PublicKey public_key_{};
  std::vector<Standing> forwards_;  // by number
  Timer look_{*this};               // at peers that have changed
  Timer again_{*this};              // forwards that could not listen
  std::shared_ptr<void> alive_ = std::make_shared<int>();
  std::unique_ptr<CaptureFile> capture_;  // null: off
  std::unique_ptr<ShardThreads> threads_;
};

Gateway::Gateway(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->on_handshake = [this](std::string peer, const DatagramPath &path) {
    if (on_handshake) on_handshake(std::move(peer), path);
  };
}

Gateway::~Gateway() = default;

Result<std::unique_ptr<Gateway>> Gateway::open(Loop &control, const GatewayOptions &options,
                                               const BeforeThreads &before_threads) {
  auto impl = std::make_unique<Impl>(control, options);
  if (Result<void> opened = impl->open(before_threads); !opened) return opened.error();
  return std::unique_ptr<Gateway>(new Gateway(std::move(impl)));
}

Result<void> Gateway::reload(const GatewayOptions &options, std::vector<std::string> &unchanged) {
  return impl_->reload(options, unchanged);
}

void Gateway::drain(Duration most, std::function<void()> drained) {
  impl_->drain(most, std::move(drained));
}

GatewayStatus Gateway::status() const {
  return impl_->status();
}

Result<size_t> Gateway::add_forward(const Forward &forward) {
  return impl_->add_forward(forward);
}

void Gateway::remove_forward(size_t number) {
  impl_->remove_forward(number);
}

std::vector<ForwardStatus> Gateway::forwards() const {
  return impl_->forwards();
}

WireGuardControl &Gateway::wireguard() {
  return *impl_;
}

std::vector<FlowStatus> Gateway::flows() const {
  return impl_->flows();
}

}  // namespace slipgate
