#include "wireguard/handshake_limiter.h"

namespace slipgate::wireguard {
namespace {

// What one attacker surely has: an IPv4 address, or a /64. No number stands for both: networks that begin with 32 zero
// bits are not routed.
uint64_t network_of(const IpAddress &source) {
  be64 network;
  if (source.is_v4()) {
    be32 address;
    std::memcpy(&address, source.v4_bytes().data(), sizeof(address));
    return address;
  }
  std::memcpy(&network, source.v6_bytes().data(), sizeof(network));
  return network;
}

}  // namespace

HandshakeLimiter::Verdict HandshakeLimiter::judge(const IpAddress &source, bool proven, Time now) {
  const uint64_t network = network_of(source);
  const uint64_t hash = hash_(bytes_of(network));
  if (proven) return proven_.take(hash, network, now) ? Verdict::admit : Verdict::drop;
  if (!unproven_.take(hash, network, now)) return Verdict::ask_cookie;  // lesson: wg-limit-per-source
  static const Allowance kAll(kUnproven, kUnprovenBurst);
  return kAll.take(all_unproven_full_at_, now) ? Verdict::admit : Verdict::ask_cookie;
}

bool HandshakeLimiter::Table::take(uint64_t hash, uint64_t network, Time now) {
  static const Allowance kSource(kPerSource, kPerSourceBurst);
  Entry *set = &entries_[hash % kSets * kWays];
  Entry *chosen = set;
  for (Entry *entry = set; entry < set + kWays; entry++) {
    if (entry->network == network) {
      chosen = entry;
      break;
    }
    if (entry->full_at < chosen->full_at) chosen = entry;
  }
  if (chosen->network != network) *chosen = {network, Time::min()};
  return kSource.take(chosen->full_at, now);
}

}  // namespace slipgate::wireguard
