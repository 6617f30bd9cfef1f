#include "wireguard/allowed_ips.h"

#include <map>
#include <random>

#include "support/catch.h"

using namespace slipgate;
using namespace slipgate::wireguard;

namespace {

struct Someone final : PrefixOwner {
  Someone() : PrefixOwner(0) {}
  void lose_allowed_ip(const IpPrefix &) override {}
};

PrefixOwner &peer(int number) {
  static Someone everybody[64];
  return everybody[number];
}

// The same by looking at every prefix.
class NaiveTwin {
 public:
  void set(const IpPrefix &prefix, PrefixOwner &owner) { owners_[prefix] = &owner; }
  void remove(const IpPrefix &prefix) { owners_.erase(prefix); }
  PrefixOwner *find(const IpAddress &address) const {
    PrefixOwner *best = nullptr;
    int length = -1;
    for (const auto &[prefix, owner] : owners_) {
      if (prefix.contains(address) && prefix.length > length) best = owner, length = prefix.length;
    }
    return best;
  }
  const std::map<IpPrefix, PrefixOwner *> &all() const { return owners_; }

 private:
  std::map<IpPrefix, PrefixOwner *> owners_;
};

IpPrefix prefix(std::string_view text) {
  return *IpPrefix::parse(text);
}
IpAddress address(std::string_view text) {
  return *IpAddress::parse(text);
}

}  // namespace

TEST_CASE("the longest prefix wins, whatever the order of adding [wg-longest-prefix-wins]") {
  const std::vector<std::pair<std::string, int>> rows = {
      {"10.0.0.0/8", 1}, {"10.1.0.0/16", 2}, {"10.1.2.0/24", 3}, {"10.1.2.3/32", 4}, {"0.0.0.0/0", 5}};
  std::vector<int> order = {0, 1, 2, 3, 4};
  do {
    AllowedIps trie;
    for (int i : order) trie.set(prefix(rows[i].first), peer(rows[i].second));
    REQUIRE(trie.find(address("10.1.2.3")) == &peer(4));
    REQUIRE(trie.find(address("10.1.2.4")) == &peer(3));
    REQUIRE(trie.find(address("10.1.3.1")) == &peer(2));
    REQUIRE(trie.find(address("10.2.0.1")) == &peer(1));
    REQUIRE(trie.find(address("192.0.2.1")) == &peer(5));
    REQUIRE(trie.find(address("::1")) == nullptr);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_CASE("the whole of one family does not answer for the other") {
  AllowedIps trie;
  trie.set(prefix("::/0"), peer(6));
  REQUIRE(trie.find(address("10.0.0.1")) == nullptr);
  REQUIRE(trie.find(address("2001:db8::1")) == &peer(6));
  trie.set(prefix("0.0.0.0/0"), peer(4));
  REQUIRE(trie.find(address("10.0.0.1")) == &peer(4));
  trie.remove(prefix("::/0"));
  REQUIRE(trie.find(address("2001:db8::1")) == nullptr);
  REQUIRE(trie.find(address("10.0.0.1")) == &peer(4));
}

TEST_CASE("a prefix given again moves, and says whose it was") {
  AllowedIps trie;
  REQUIRE(trie.set(prefix("10.0.0.0/24"), peer(1)) == nullptr);
  REQUIRE(trie.set(prefix("10.0.0.0/24"), peer(2)) == &peer(1));
  REQUIRE(trie.find(address("10.0.0.9")) == &peer(2));
  REQUIRE(trie.size() == 1);
  trie.remove(prefix("10.0.0.0/25"));
  trie.remove(prefix("10.0.0.0/23"));
  REQUIRE(trie.size() == 1);
  trie.remove(prefix("10.0.0.0/24"));
  REQUIRE(trie.size() == 0);
  REQUIRE(trie.find(address("10.0.0.9")) == nullptr);
}

TEST_CASE("the trie and its naive twin agree on random prefixes, added, moved and removed") {
  std::mt19937_64 random(20240607);
  for (int round = 0; round < 6; round++) {
    AllowedIps trie;
    NaiveTwin twin;
    // Few different bits, so that prefixes nest and part in every way.
    auto random_address = [&] {
      std::array<uint8_t, 16> bytes{};
      const bool v4 = random() % 2;
      for (uint8_t &byte : bytes)
        byte = random() % 4 == 0 ? static_cast<uint8_t>(random()) : static_cast<uint8_t>(random() % 2 * 0x80);
      return v4 ? IpAddress::from_v4(Bytes(bytes).first(4)) : IpAddress::from_v6(bytes);
    };
    for (int step = 0; step < 1500; step++) {
      if (random() % 3 && step % 500 < 400) {
        const IpAddress network = random_address();
        const IpPrefix added(network, static_cast<int>(random() % (network.family_bits() + 1)));
        PrefixOwner &owner = peer(static_cast<int>(random() % 60));
        trie.set(added, owner);
        twin.set(added, owner);
      } else if (!twin.all().empty()) {
        auto gone = std::next(twin.all().begin(), static_cast<long>(random() % twin.all().size()))->first;
        trie.remove(gone);
        twin.remove(gone);
      }
      REQUIRE(trie.size() == twin.all().size());
      for (int look = 0; look < 4; look++) {
        const IpAddress wanted = random_address();
        if (trie.find(wanted) != twin.find(wanted)) FAIL("differs at " << wanted.to_string());
      }
    }
  }
}
