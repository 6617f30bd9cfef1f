#include "stack/connection_table.h"

#include <cstring>

#include "base/prefetch.h"
#include "stack/siphash.h"

namespace slipgate {

ConnectionTable::ConnectionTable(const uint64_t secret[2]) : secret_{secret[0], secret[1]}, slots_(kSmallest) {}

uint64_t ConnectionTable::hash_of(const FlowKey &key) const {
  uint8_t bytes[40];
  std::memcpy(bytes, key.inside.address.v6_bytes().data(), 16);
  std::memcpy(bytes + 16, key.outside.address.v6_bytes().data(), 16);
  std::memcpy(bytes + 32, &key.inside.port, 2);
  std::memcpy(bytes + 34, &key.outside.port, 2);
  std::memcpy(bytes + 36, &key.link, 2);
  bytes[38] = static_cast<uint8_t>(key.protocol);
  bytes[39] = 0;
  return siphash(secret_, bytes);
}

TcpEntry *ConnectionTable::find(const FlowKey &key) const {
  uint64_t hash = hash_of(key);
  size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].entry; at = (at + 1) & mask) {
    if (slots_[at].hash != hash) continue;
    TcpEntry *entry = slots_[at].entry;
    prefetch(entry, reinterpret_cast<const char *>(entry) + kTouched);
    if (entry->key == key) return entry;
  }
  return nullptr;
}

void ConnectionTable::place(TcpEntry &entry) {
  size_t mask = slots_.size() - 1;
  size_t at = entry.hash & mask;
  while (slots_[at].entry) at = (at + 1) & mask;
  slots_[at] = {entry.hash, &entry};
}

void ConnectionTable::resize(size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot &slot : old) {
    if (slot.entry) place(*slot.entry);
  }
}

void ConnectionTable::insert(TcpEntry &entry) {
  if ((size_ + 1) * 4 > slots_.size() * 3) resize(slots_.size() * 2);
  entry.hash = hash_of(entry.key);
  entry.in_table = true;
  place(entry);
  size_++;
}

void ConnectionTable::remove(TcpEntry &entry) {
  if (!entry.in_table) return;
  entry.in_table = false;
  size_--;
  size_t mask = slots_.size() - 1;
  size_t hole = entry.hash & mask;
  while (slots_[hole].entry != &entry) hole = (hole + 1) & mask;
  // Close the gap: entries behind it move up unless they would come before their own place.
  for (size_t at = (hole + 1) & mask; slots_[at].entry; at = (at + 1) & mask) {
    size_t home = slots_[at].hash & mask;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole] = {};
  if (slots_.size() > kSmallest && size_ * 8 < slots_.size()) resize(slots_.size() / 2);
}

size_t ConnectionTable::distance(const TcpEntry &entry) const {
  size_t mask = slots_.size() - 1;
  size_t steps = 0;
  while (slots_[(entry.hash + steps) & mask].entry != &entry) steps++;
  return steps;
}

TcpEntry *ConnectionTable::any() const {
  for (const Slot &slot : slots_) {
    if (slot.entry) return slot.entry;
  }
  return nullptr;
}

}  // namespace slipgate
