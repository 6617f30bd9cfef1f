// Receiver indices that we handed out, and what each stands for: a session or an initiation of ours that waits for its
// answer. Random (nobody can guess one, or tell from one how many there are), with the shard in the low bits, and never
// one that is still in use.
//
// Lives on one shard. Constant time, whatever the number of peers; look-ups allocate nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace slipgate::wireguard {

class Keypair;
class Peer;

class IndexTable {
 public:
  struct Entry {
    uint32_t index = 0;
    Peer *peer = nullptr;        // null: the slot is free
    Keypair *keypair = nullptr;  // null: a pending initiation
  };

  // Every index has its low `shard_bits` bits equal to `shard`.
  IndexTable(int shard_bits, uint32_t shard);

  // A new index, which stands for a pending initiation of `peer` until set_keypair().
  uint32_t add(Peer &peer);
  void set_keypair(uint32_t index, Keypair &keypair);
  void remove(uint32_t index);

  // Null: nobody has this index. Valid until the next add() or remove().
  const Entry *find(uint32_t index) const;
  size_t size() const { return size_; }

 private:
  size_t home(uint32_t index) const;
  size_t slot_of(uint32_t index) const;  // where it is, or the free slot where it belongs
  void grow();

  const int shard_bits_;
  const uint32_t shard_;
  std::vector<Entry> slots_;  // open addressing; a power of two, at most half full
  size_t size_ = 0;
};

}  // namespace slipgate::wireguard
