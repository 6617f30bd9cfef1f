#include "wireguard/allowed_ips.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace slipgate::wireguard {

AllowedIps::Bits AllowedIps::Bits::of(const IpAddress &address) {
  if (address.is_v4()) {
    be32 word;
    std::memcpy(&word, address.v4_bytes().data(), sizeof(word));
    return {uint64_t{word.value()} << 32, 0};
  }
  be64 high, low;
  std::memcpy(&high, address.v6_bytes().data(), sizeof(high));
  std::memcpy(&low, address.v6_bytes().data() + 8, sizeof(low));
  return {high, low};
}

bool AllowedIps::Bits::at(int position) const {
  return position < 64 ? high >> (63 - position) & 1 : low >> (127 - position) & 1;
}

int AllowedIps::Bits::common(const Bits &other) const {
  if (high != other.high) return std::countl_zero(high ^ other.high);
  return 64 + std::countl_zero(low ^ other.low);
}

AllowedIps::Bits AllowedIps::Bits::first(int length) const {
  auto mask = [](int bits) {
    return bits <= 0 ? uint64_t{0} : bits >= 64 ? ~uint64_t{0} : ~uint64_t{0} << (64 - bits);
  };
  return {high & mask(length), low & mask(length - 64)};
}

AllowedIps::Match AllowedIps::match(const IpAddress &address, int shortest) const {
  const Bits bits = Bits::of(address);
  Match best;
  for (uint32_t at = roots_[address.is_v4()]; at != kNone;) {
    const Node &node = nodes_[at];
    if (bits.common(node.bits) < node.length) break;
    if (node.owner && node.length >= shortest) best = {node.owner, node.length};  // lesson: wg-longest-prefix-wins
    if (node.length == address.family_bits()) break;
    at = node.child[bits.at(node.length)];
  }
  return best;
}

PrefixOwner *AllowedIps::set(const IpPrefix &prefix, PrefixOwner &owner) {
  const Bits bits = Bits::of(prefix.address).first(prefix.length);
  const int length = prefix.length;
  const int family = prefix.address.is_v4();
  version_++;

  // Down to the first node that is not a prefix of ours. Nodes are named by their parent's side, as making one may move
  // all.
  uint32_t parent = kNone;
  uint32_t at = roots_[family];
  while (at != kNone && nodes_[at].length < length && bits.common(nodes_[at].bits) >= nodes_[at].length) {
    parent = at;
    at = nodes_[at].child[bits.at(nodes_[at].length)];
  }
  auto attach = [&](uint32_t node) {
    if (parent == kNone) {
      roots_[family] = node;
    } else {
      nodes_[parent].child[bits.at(nodes_[parent].length)] = node;
    }
  };

  if (at == kNone) {
    attach(make_node(bits, length, &owner));
    size_++;
    return nullptr;
  }
  const int common = std::min({bits.common(nodes_[at].bits), nodes_[at].length, length});
  if (common == length && nodes_[at].length == length) {
    PrefixOwner *before = std::exchange(nodes_[at].owner, &owner);
    if (!before) size_++;
    return before;
  }
  size_++;
  if (common == length) {
    // Ours is a prefix of the node that stands there.
    const uint32_t node = make_node(bits, length, &owner);
    nodes_[node].child[nodes_[at].bits.at(length)] = at;
    attach(node);
    return nullptr;
  }
  // The two part: a node that is nobody's, with both below it.
  const uint32_t fork = make_node(bits.first(common), common, nullptr);
  const uint32_t leaf = make_node(bits, length, &owner);
  nodes_[fork].child[bits.at(common)] = leaf;
  nodes_[fork].child[!bits.at(common)] = at;
  attach(fork);
  return nullptr;
}

void AllowedIps::remove(const IpPrefix &prefix) {
  const Bits bits = Bits::of(prefix.address).first(prefix.length);
  const int family = prefix.address.is_v4();
  version_++;
  uint32_t grandparent = kNone;
  uint32_t parent = kNone;
  uint32_t at = roots_[family];
  while (at != kNone && nodes_[at].length < prefix.length) {
    if (bits.common(nodes_[at].bits) < nodes_[at].length) return;
    grandparent = parent;
    parent = at;
    at = nodes_[at].child[bits.at(nodes_[at].length)];
  }
  if (at == kNone || nodes_[at].length != prefix.length || bits.common(nodes_[at].bits) < prefix.length ||
      !nodes_[at].owner)
    return;
  nodes_[at].owner = nullptr;
  size_--;

  // A node that is nobody's and has not two below it goes; then its parent may be such a one.
  auto splice = [&](uint32_t above, uint32_t node) {
    const Node &gone = nodes_[node];
    if (gone.owner || (gone.child[0] != kNone && gone.child[1] != kNone)) return false;
    const uint32_t below = gone.child[0] != kNone ? gone.child[0] : gone.child[1];
    if (above == kNone) {
      roots_[family] = below;
    } else {
      std::array<uint32_t, 2> &sides = nodes_[above].child;
      sides[sides[1] == node] = below;
    }
    free_node(node);
    return true;
  };
  if (splice(parent, at) && parent != kNone) splice(grandparent, parent);
}

uint32_t AllowedIps::make_node(const Bits &bits, int length, PrefixOwner *owner) {
  if (free_.empty()) {
    nodes_.push_back({bits, length, owner, {kNone, kNone}});
    return static_cast<uint32_t>(nodes_.size() - 1);
  }
  const uint32_t node = free_.back();
  free_.pop_back();
  nodes_[node] = {bits, length, owner, {kNone, kNone}};
  return node;
}

void AllowedIps::free_node(uint32_t node) {
  nodes_[node] = {};
  free_.push_back(node);
}

}  // namespace slipgate::wireguard
