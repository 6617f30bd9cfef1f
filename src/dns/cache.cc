#include "dns/cache.h"

namespace slipgate::dns {

std::string Cache::key(const Query &query) {
  std::string key = query.question.name.key();
  bool dnssec_ok = query.edns && query.edns->dnssec_ok;
  for (uint16_t number : {query.question.type, query.question.klass}) {
    key += {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
  }
  key += static_cast<char>(query.recursion_desired | query.authentic_data << 1 | query.checking_disabled << 2 |
                           dnssec_ok << 3);
  return key;
}

void Cache::put(const std::string &key, Answer answer, Time now) {
  seconds lifetime = answer.lifetime();
  if (lifetime <= seconds(0) || answer.size() > kMostBytes) return;
  if (auto found = by_key_.find(key); found != by_key_.end()) erase(found->second);
  bytes_ += answer.size();
  entries_.push_front({key, std::move(answer), now, now + lifetime});
  by_key_.emplace(key, entries_.begin());
  while (entries_.size() > kMostEntries || bytes_ > kMostBytes) {  // lesson: dns-cache-bounded
    erase(std::prev(entries_.end()));
  }
}

std::optional<Cache::Found> Cache::find(const std::string &key, Time now) {
  auto found = by_key_.find(key);
  if (found == by_key_.end()) return std::nullopt;
  Entries::iterator entry = found->second;
  if (now >= entry->expires) {
    erase(entry);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, entry);
  return Found{&entry->answer, std::chrono::duration_cast<seconds>(now - entry->stored)};
}

void Cache::clear() {
  entries_.clear();
  by_key_.clear();
  bytes_ = 0;
}

void Cache::erase(Entries::iterator entry) {
  bytes_ -= entry->answer.size();
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace slipgate::dns
