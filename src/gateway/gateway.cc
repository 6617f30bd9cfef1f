#include "gateway/gateway.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/log.h"
#include "gateway/capture_file.h"
#include "gateway/gateway_shard.h"
#include "gateway/link_peers.h"
#include "gateway/peer_names.h"
#include "gateway/shard_threads.h"

namespace slipgate {

namespace {

uint32_t thread_count(const GatewayOptions &options) {
  const bool one_peer = std::none_of(options.links.begin(), options.links.end(),
                                     [](const LinkOptions &link) { return link.wireguard() != nullptr; });
  if (one_peer) return 1;
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
class Gateway::Impl final : TimerTarget {
 public:
  Impl(Loop &control, const GatewayOptions &options)
      : control_(control),
        options_(options),
        budget_(limits_in_force(options).max_flows),
        population_(thread_count(options)) {
    for (const LinkOptions &link : options_.links) {
      const auto number = static_cast<uint16_t>(peers_.size());
      peers_.push_back(link.wireguard() ? std::make_unique<LinkPeers>(number, *link.wireguard(), population_,
                                                                      [this] { peers_changed(); })
                                        : nullptr);
    }
  }

  ~Impl() {
    alive_.reset();
    threads_.reset();
  }

  Result<void> open(const BeforeThreads &before_threads) {
    const auto count = static_cast<uint32_t>(population_.size());
    if (!options_.pcap.empty()) {
      std::vector<std::string> names;
      for (const LinkOptions &link : options_.links) names.push_back(link.name);
      Result<std::unique_ptr<CaptureFile>> file = CaptureFile::open(options_.pcap, names);
      if (!file) return file.error();
      capture_ = std::move(*file);
    }
    if (before_threads) {
      if (Result<void> done = before_threads(); !done) return done;
    }
    if (capture_) capture_->start();
    const std::vector<PlacedPeer> peers = place(options_.links);
    GatewayOptions opened = options_;  // with the ports that the first shard found, for the others
    Result<std::unique_ptr<ShardThreads>> started = ShardThreads::start(count, [&](Loop &loop, uint32_t number) {
      auto tell = [this, alive = std::weak_ptr<void>(alive_)](std::string peer, const DatagramPath &path) {
        control_.post([this, alive, peer = std::move(peer), path] {
          if (!alive.expired() && on_handshake) on_handshake(peer, path);
        });
      };
      Result<std::unique_ptr<GatewayShard>> shard =
          GatewayShard::open(loop, opened, {number, count}, peers, budget_, mapped_ports_, std::move(tell));
      for (uint16_t link = 0; shard && link < opened.links.size(); link++) {
        if (WireGuardLinkOptions *wireguard = opened.links[link].wireguard()) {
          wireguard->listen.port = (*shard)->listening(link).port;
        }
      }
      if (shard) {
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
    for (auto &link : peers_) {
      if (link) link->started(*threads_);
    }
    name_peers();  // a forward may lead to one by its name
    rates_ = options_.rates;
    set_rates();
    for (const RateRule &rule : rates_) {
      if (!knows(rule.peer)) log::warn("--rate {}: no such peer yet", rule.peer);
    }
    if (Result<void> added = configure_forwards(options_.forwards); !added) return added;
    return {};
  }

  Result<void> reload(const GatewayOptions &fresh, std::vector<std::string> &unchanged) {
    if (fresh.threads != options_.threads) unchanged.push_back("the number of threads");
    std::vector<PeerName> gone;
    std::vector<PlacedPeer> changed;
    for (size_t number = 0; number < options_.links.size(); number++) {
      const LinkOptions &was = options_.links[number];
      const LinkOptions *is = link_named(fresh.links, was);
      if (!is) {
        unchanged.push_back("link " + was.name + ": that it is gone");
        continue;
      }
      compare(was, *is, unchanged);
      if (!was.wireguard()) continue;
      for (PeerName &peer : peers_[number]->forget_others(is->wireguard()->peers)) gone.push_back(std::move(peer));
      for (PlacedPeer &peer : peers_[number]->place(is->wireguard()->peers)) changed.push_back(std::move(peer));
    }
    for (const LinkOptions &link : fresh.links) {
      if (!link_named(options_.links, link)) unchanged.push_back("link " + link.name + ": that it is new");
    }
    rates_ = fresh.rates;
    threads_->ask_all([&](GatewayShard &shard) {
      shard.change_peers(gone, changed);
      shard.set_policy(fresh.policy);
      shard.set_egress(fresh.egress);
      shard.set_dns(fresh);
      shard.set_rates(rates_);
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
      for (size_t link = 0; link < sum.links.size(); link++) {
        LinkStatus &more = all[i].links[link];
        sum.links[link].counters += more.counters;
        std::move(more.peers.begin(), more.peers.end(), std::back_inserter(sum.links[link].peers));
        sum.links[link].rates.merge(more.rates);
      }
    }
    return sum;
  }

  Result<void> set_rate(const RateRule &rule) {
    if (!knows(rule.peer)) return Error{ENOENT, fmt::format("no peer {}; `status` names them", rule.peer)};
    auto said = std::find_if(rates_.begin(), rates_.end(), [&](const RateRule &r) { return r.peer == rule.peer; });
    RateRule merged = rule;
    if (said != rates_.end()) {
      if (!merged.up) merged.up = said->up;
      if (!merged.down) merged.down = said->down;
      rates_.erase(said);
    }
    if (rates_.size() >= kMostRates)
      return Error{ENOSPC, fmt::format("{} rates are the most there can be", kMostRates)};
    rates_.push_back(merged);
    set_rates();
    return {};
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

  WireGuardControl *wireguard(size_t link) { return peers_[link].get(); }

  std::function<void(std::string, const DatagramPath &)> on_handshake;

 private:
  static constexpr size_t kMostForwards = 4096;
  static constexpr size_t kMostRates = 4096;
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
      if (std::find(forwards.begin(), forwards.end(), *each.forward) == forwards.end()) {
        log::info("forward {}: removed", each.forward->spec);
        remove_forward(index);
      }
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

  std::vector<PlacedPeer> place(const std::vector<LinkOptions> &links) {
    std::vector<PlacedPeer> placed;
    for (size_t number = 0; number < links.size(); number++) {
      if (!peers_[number]) continue;
      for (PlacedPeer &peer : peers_[number]->place(links[number].wireguard()->peers))
        placed.push_back(std::move(peer));
    }
    return placed;
  }

  static const LinkOptions *link_named(const std::vector<LinkOptions> &links, const LinkOptions &like) {
    for (const LinkOptions &link : links) {
      if (link.name == like.name && link.outside.index() == like.outside.index()) return &link;
    }
    return nullptr;
  }

  void compare(const LinkOptions &was, const LinkOptions &is, std::vector<std::string> &unchanged) const {
    auto differs = [&](bool does, std::string_view what) {
      if (does)
        unchanged.push_back(options_.links.size() == 1 ? std::string(what)
                                                       : fmt::format("link {}: {}", was.name, what));
    };
    differs(is.addresses != was.addresses, "the inside addresses");
    differs(is.mtu != was.mtu, "the MTU");
    differs(is.interface != was.interface, "the interface");
    differs(is.transmit_queue_capacity != was.transmit_queue_capacity, "the transmit queue");
    if (was.gue()) return differs(*is.gue() != *was.gue(), "what is about GUE");
    differs(is.wireguard()->listen != was.wireguard()->listen, "the listening port");
    differs(is.wireguard()->private_key != was.wireguard()->private_key, "the private key");
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
    if (!rates_.empty()) set_rates();
  }

  bool knows(const std::string &peer) {
    const std::vector<bool> all = threads_->ask_all([&](GatewayShard &shard) { return shard.knows(peer); });
    return std::find(all.begin(), all.end(), true) != all.end();
  }

  void set_rates() {
    threads_->ask_all([&](GatewayShard &shard) { shard.set_rates(rates_); });
  }

  void name_peers() {
    std::vector<wireguard::PeerStatus> peers;
    for (auto &link : peers_) {
      if (link) std::ranges::move(link->peers(), std::back_inserter(peers));
    }
    const auto names = named_hosts(own_addresses(options_), peers);
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
  std::vector<size_t> population_;                 // peers of each shard
  std::vector<std::unique_ptr<LinkPeers>> peers_;  // by their link's number; null: it is not WireGuard's
  std::vector<Standing> forwards_;                 // by number
  std::vector<RateRule> rates_;                    // later ones win
  Timer look_{*this};                              // at peers that have changed
  Timer again_{*this};                             // forwards that could not listen
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

Result<void> Gateway::set_rate(const RateRule &rule) {
  return impl_->set_rate(rule);
}

WireGuardControl *Gateway::wireguard(size_t link) {
  return impl_->wireguard(link);
}

std::vector<FlowStatus> Gateway::flows() const {
  return impl_->flows();
}

}  // namespace slipgate
