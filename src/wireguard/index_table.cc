#include "wireguard/index_table.h"

#include <utility>

#include "crypto/random.h"

namespace slipgate::wireguard {

IndexTable::IndexTable(int shard_bits, uint32_t shard)
    : shard_bits_(shard_bits), shard_(shard & ((uint32_t{1} << shard_bits) - 1)), slots_(64) {}

// Indices are random, but their low bits are the shard's.
size_t IndexTable::home(uint32_t index) const {
  return (index >> shard_bits_) & (slots_.size() - 1);
}

size_t IndexTable::slot_of(uint32_t index) const {
  size_t slot = home(index);
  while (slots_[slot].peer && slots_[slot].index != index) slot = (slot + 1) & (slots_.size() - 1);
  return slot;
}

uint32_t IndexTable::add(Peer &peer) {
  if ((size_ + 1) * 2 > slots_.size()) grow();
  while (true) {
    const uint32_t index =
        (random_u32() & ~((uint32_t{1} << shard_bits_) - 1)) | shard_;  // lesson: wg-index-carries-shard
    Entry &entry = slots_[slot_of(index)];
    if (entry.peer) continue;  // lesson: wg-index-not-reused
    entry = {index, &peer, nullptr};
    size_++;
    return index;
  }
}

void IndexTable::set_keypair(uint32_t index, Keypair &keypair) {
  if (Entry &entry = slots_[slot_of(index)]; entry.peer) entry.keypair = &keypair;
}

void IndexTable::remove(uint32_t index) {
  size_t hole = slot_of(index);
  if (!slots_[hole].peer) return;
  size_--;
  // Entries behind the hole that were pushed past it move up (Knuth 6.4, algorithm R).
  const size_t mask = slots_.size() - 1;
  for (size_t slot = (hole + 1) & mask; slots_[slot].peer; slot = (slot + 1) & mask) {
    const size_t wanted = home(slots_[slot].index);
    if (((slot - wanted) & mask) >= ((slot - hole) & mask)) {
      slots_[hole] = slots_[slot];
      hole = slot;
    }
  }
  slots_[hole] = {};
}

const IndexTable::Entry *IndexTable::find(uint32_t index) const {
  const Entry &entry = slots_[slot_of(index)];
  return entry.peer ? &entry : nullptr;
}

void IndexTable::grow() {
  std::vector<Entry> old = std::exchange(slots_, std::vector<Entry>(slots_.size() * 2));
  for (const Entry &entry : old) {
    if (entry.peer) slots_[slot_of(entry.index)] = entry;
  }
}

}  // namespace slipgate::wireguard
