// Who a segment belongs to: a hash table of connections and of SYNs that are held, by their FlowKey, under a keyed
// hash.
//
// Open addressing with linear probing, at most three quarters full, twice as large when it is. An entry is owned by
// whoever put it there and takes itself out before it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "wire/flow_key.h"

namespace slipgate {

// What the table holds.
struct TcpEntry {
  enum class Kind : uint8_t { request, connection };

  TcpEntry(Kind entry_kind, const FlowKey &flow_key, uint32_t flow_client)
      : key(flow_key), client(flow_client), kind(entry_kind) {}
  TcpEntry(const TcpEntry &) = delete;
  TcpEntry &operator=(const TcpEntry &) = delete;

  const FlowKey key;
  const uint32_t client;
  const Kind kind;
  bool in_table = false;
  uint64_t hash = 0;  // the table's
};

class ConnectionTable {
 public:
  explicit ConnectionTable(const uint64_t secret[2]);
  ConnectionTable(const ConnectionTable &) = delete;
  ConnectionTable &operator=(const ConnectionTable &) = delete;

  TcpEntry *find(const FlowKey &key) const;
  void insert(TcpEntry &entry);  // its key is not in the table
  void remove(TcpEntry &entry);  // may not be in the table
  size_t size() const { return size_; }

  // How far from its own place an entry of the table lies.
  size_t distance(const TcpEntry &entry) const;
  // Any entry, null when there is none.
  TcpEntry *any() const;

 private:
  static constexpr size_t kSmallest = 64;
  static constexpr size_t kTouched = 512;  // bytes of a connection that a segment touches

  struct Slot {
    uint64_t hash;
    TcpEntry *entry;  // null: free
  };
  uint64_t hash_of(const FlowKey &key) const;
  void place(TcpEntry &entry);
  void resize(size_t slots);

  const uint64_t secret_[2];
  std::vector<Slot> slots_;  // a power of two
  size_t size_ = 0;
};

}  // namespace slipgate
