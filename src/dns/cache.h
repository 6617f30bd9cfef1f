// Answers that are still good, the least recently used going first when there are too many.
//
// Lives on one shard.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/time.h"
#include "dns/answer.h"

namespace slipgate::dns {

class Cache {
 public:
  static constexpr size_t kMostEntries = 4096;
  static constexpr size_t kMostBytes = 4 << 20;  // of messages; keys and links add a third or so

  struct Found {
    const Answer *answer;
    seconds age;
  };

  // What tells two questions apart: name, type, class, and the flags that change what an upstream sends.
  static std::string key(const Query &query);

  void put(const std::string &key, Answer answer, Time now);  // does nothing with one that may not be kept
  std::optional<Found> find(const std::string &key, Time now);
  void clear();
  size_t entries() const { return by_key_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    Answer answer;
    Time stored;
    Time expires;
  };
  using Entries = std::list<Entry>;

  void erase(Entries::iterator entry);

  Entries entries_;  // the last used in front
  std::unordered_map<std::string, Entries::iterator> by_key_;
  size_t bytes_ = 0;
};

}  // namespace slipgate::dns
