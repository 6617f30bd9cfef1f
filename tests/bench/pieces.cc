// The pieces of the path, one by one (Google Benchmark).
#include <benchmark/benchmark.h>

#include <random>

#include "crypto/aead.h"
#include "crypto/blake2s.h"
#include "crypto/x25519.h"
#include "dns/server.h"
#include "flow/flow_table.h"
#include "rig.h"
#include "wire/checksum.h"
#include "wire/flow_key.h"

namespace slipgate::bench {
namespace {

std::vector<uint8_t> bytes_like(size_t size) {
  std::vector<uint8_t> bytes(size);
  std::minstd_rand random(1);
  for (uint8_t &byte : bytes) byte = static_cast<uint8_t>(random());
  return bytes;
}

void BM_aead_seal(benchmark::State &state) {
  const Secret<32> secret;
  const AeadKey key(secret);
  std::vector<uint8_t> message = bytes_like(static_cast<size_t>(state.range(0)) + kAeadTag);
  uint64_t counter = 0;
  for (auto _ : state) key.seal(counter++, message);
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_aead_seal)->Arg(64)->Arg(1420)->Arg(8900);

void BM_aead_open(benchmark::State &state) {
  const Secret<32> secret;
  const AeadKey key(secret);
  std::vector<uint8_t> sealed = bytes_like(static_cast<size_t>(state.range(0)) + kAeadTag);
  key.seal(1, sealed);
  std::vector<uint8_t> message(sealed.size());
  for (auto _ : state) {
    message = sealed;
    if (!key.open(1, message)) state.SkipWithError("does not open");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_aead_open)->Arg(64)->Arg(1420)->Arg(8900);

void BM_x25519(benchmark::State &state) {
  const Secret<32> ours = generate_private_key();
  const X25519PublicKey theirs = public_key_of(generate_private_key());
  for (auto _ : state) benchmark::DoNotOptimize(x25519(ours, theirs));
}
BENCHMARK(BM_x25519);

void BM_mac_of_initiation(benchmark::State &state) {
  const std::vector<uint8_t> key = bytes_like(32), message = bytes_like(116);
  for (auto _ : state) benchmark::DoNotOptimize(blake2s_mac(key, {message}));
}
BENCHMARK(BM_mac_of_initiation);

void BM_checksum(benchmark::State &state) {
  const std::vector<uint8_t> bytes = bytes_like(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(ones_complement_sum(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_checksum)->Arg(20)->Arg(1380);

void BM_copy_and_sum(benchmark::State &state) {
  const std::vector<uint8_t> from = bytes_like(static_cast<size_t>(state.range(0)));
  std::vector<uint8_t> to(from.size());
  for (auto _ : state) benchmark::DoNotOptimize(copy_and_sum(to.data(), from.data(), from.size()));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_copy_and_sum)->Arg(1380);

void BM_parse_packet(benchmark::State &state) {
  TcpClient client(1);
  std::vector<uint8_t> packet(kFullPacket);
  packet.resize(client.data(0, packet.data()));
  for (auto _ : state) benchmark::DoNotOptimize(parse_packet(packet));
}
BENCHMARK(BM_parse_packet);

FlowKey key_of(uint32_t number) {
  FlowKey key;
  key.inside = {IpAddress::v4(10, 0, static_cast<uint8_t>(number >> 24), static_cast<uint8_t>(number >> 16)),
                static_cast<uint16_t>(number)};
  key.outside = {IpAddress::v4(192, 0, 2, 1), 443};
  return key;
}

struct NoOwner final : FlowOwner {
  void on_idle(Flow &) override {}
};

void BM_flow_table_find(benchmark::State &state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  FlowLimits limits;
  limits.max_flows = limits.max_flows_per_client = flows;
  TimerWheel timers{Time(seconds(1000))};
  const uint64_t secret[2] = {1, 2};
  FlowTable table(limits, timers, secret);
  NoOwner owner;
  for (uint32_t i = 0; i < flows; i++) table.open(key_of(i), 1, FlowState::established, owner);
  if (table.size() != flows) state.SkipWithError("not all flows were admitted");
  std::minstd_rand random(1);
  for (auto _ : state) {
    if (!table.find(key_of(static_cast<uint32_t>(random()) % flows))) state.SkipWithError("not found");
  }
}
BENCHMARK(BM_flow_table_find)->Arg(1)->Arg(10000)->Arg(100000);

// A segment into the stack, of so many in one turn.
void BM_segment_in(benchmark::State &state) {
  StackRig rig(1);
  rig.open_all();
  const int64_t at_once = state.range(0);
  for (auto _ : state) {
    state.PauseTiming();
    for (int64_t i = 0; i < at_once; i++) rig.add([&](uint8_t *at) { return rig.client.data(0, at); });
    state.ResumeTiming();
    rig.handle();
  }
  state.SetItemsProcessed(state.iterations() * at_once);
}
BENCHMARK(BM_segment_in)->Arg(1)->Arg(16)->Arg(44);

// As many segments out of it as one turn's acknowledgment lets out.
void BM_segments_out(benchmark::State &state) {
  StackRig rig(1, true);
  rig.open_all();
  const uint64_t before = rig.client.received();
  for (auto _ : state) {
    rig.acknowledge();
    rig.handle();
  }
  state.SetItemsProcessed(static_cast<int64_t>((rig.client.received() - before) / kPayload));
}
BENCHMARK(BM_segments_out);

// A question and its answer from a file of names, without the packets around them.
void BM_dns_local_answer(benchmark::State &state) {
  Loop loop;
  Counters counters;
  dns::Options options;
  options.hosts_path = options.resolv_conf_path = "/dev/null";
  options.domain = "bench.internal";
  dns::Server server(loop, counters, options);
  server.set_names({{"web", {IpAddress::v4(192, 0, 2, 1)}}});
  dns::Query query;
  query.question = {*dns::Name::parse("web.bench.internal"), static_cast<uint16_t>(dns::Type::A),
                    static_cast<uint16_t>(dns::Class::IN)};
  const std::vector<uint8_t> message = dns::make_query(query);
  size_t bytes = 0;
  for (auto _ : state) server.query(message, dns::Transport::udp, 1, [&](Bytes answer) { bytes += answer.size(); });
  if (bytes == 0) state.SkipWithError("no answer");
}
BENCHMARK(BM_dns_local_answer);

// The same from the cache: found, made anew for who asks.
void BM_dns_cached_answer(benchmark::State &state) {
  dns::Query query;
  query.question = {*dns::Name::parse("web.example"), static_cast<uint16_t>(dns::Type::A),
                    static_cast<uint16_t>(dns::Class::IN)};
  const IpAddress address = IpAddress::v4(192, 0, 2, 1);
  dns::Cache cache;
  const Time now = BootClock::now();
  dns::Answer kept = *dns::Answer::of_message(
      dns::Answer::of_addresses(query.question, {&address, 1}, 300).render(query, seconds(0), dns::kMaxMessage),
      query.question);
  cache.put(dns::Cache::key(query), std::move(kept), now);
  const std::vector<uint8_t> message = dns::make_query(query);
  for (auto _ : state) {
    dns::Query asked = std::get<dns::Query>(dns::parse_query(message));
    std::optional<dns::Cache::Found> found = cache.find(dns::Cache::key(asked), now + seconds(1));
    if (!found) return state.SkipWithError("not kept");
    benchmark::DoNotOptimize(found->answer->render(asked, found->age, dns::kMaxMessage));
  }
}
BENCHMARK(BM_dns_cached_answer);

}  // namespace
}  // namespace slipgate::bench

BENCHMARK_MAIN();
