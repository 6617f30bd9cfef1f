// Which peer a destination or source belongs to: cryptokey routing (whitepaper section 2), the longest prefix wins.
//
// A binary trie with skipped levels (Patricia, Morrison 1968), one for each family: 0.0.0.0/0 and ::/0 are different
// prefixes, and neither answers for the other's addresses. Lives on one shard; look-ups allocate nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"

namespace slipgate::wireguard {

// Whose prefixes are: a peer of this shard, or what is known here of another shard's.
class PrefixOwner {
 public:
  explicit PrefixOwner(uint32_t lives_on) : shard(lives_on) {}

  const uint32_t shard;                                      // where the peer lives
  virtual void lose_allowed_ip(const IpPrefix &prefix) = 0;  // somebody else's from now on

 protected:
  ~PrefixOwner() = default;
};

class AllowedIps {
 public:
  // The prefix is `owner`'s from now on. Whose it was before; null: nobody's.
  PrefixOwner *set(const IpPrefix &prefix, PrefixOwner &owner);
  void remove(const IpPrefix &prefix);

  struct Match {
    PrefixOwner *owner = nullptr;  // null: nobody's
    int length = 0;                // of the prefix
  };
  // Prefixes shorter than `shortest` do not count.
  Match match(const IpAddress &address, int shortest = 0) const;
  PrefixOwner *find(const IpAddress &address, int shortest = 0) const { return match(address, shortest).owner; }
  size_t size() const { return size_; }
  // Another one whenever anything changes.
  uint64_t version() const { return version_; }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};

  // An address of either family as 128 bits from the left.
  struct Bits {
    uint64_t high = 0;
    uint64_t low = 0;

    static Bits of(const IpAddress &address);
    bool at(int position) const;
    int common(const Bits &other) const;  // length of the common prefix
    Bits first(int length) const;
  };

  // Either somebody's prefix, or where two of them part, or both.
  struct Node {
    Bits bits;
    int length = 0;
    PrefixOwner *owner = nullptr;
    std::array<uint32_t, 2> child{kNone, kNone};
  };

  uint32_t make_node(const Bits &bits, int length, PrefixOwner *owner);
  void free_node(uint32_t node);

  std::array<uint32_t, 2> roots_{kNone, kNone};  // IPv6, IPv4
  std::vector<Node> nodes_;
  std::vector<uint32_t> free_;
  size_t size_ = 0;
  uint64_t version_ = 1;
};

// find() for who asks for the same address many times in a row, as a flow's packets do.
class LastOwner {
 public:
  PrefixOwner *find(const AllowedIps &table, const IpAddress &address) {
    if (version_ != table.version() || address_ != address) {  // lesson: wg-last-owner-forgotten
      address_ = address;
      owner_ = table.find(address);
      version_ = table.version();
    }
    return owner_;
  }
  // What find() would say: the answer to a packet from there is next.
  void note(const AllowedIps &table, const IpAddress &address, PrefixOwner &owner) {
    address_ = address;
    owner_ = &owner;
    version_ = table.version();
  }

 private:
  IpAddress address_;
  PrefixOwner *owner_ = nullptr;
  uint64_t version_ = 0;
};

}  // namespace slipgate::wireguard
