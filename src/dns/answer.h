// The answer to a question, in a form from which each asker's own is made: its id, its spelling of the name, its size
// limit, its EDNS, the time that passed since.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "wire/dns.h"

namespace slipgate::dns {

// What we say in our own OPT records to both sides: a message of this size needs no fragments on any usual path
// (DNS flag day 2020).
inline constexpr uint16_t kOwnUdpSize = 1232;
// Larger answers over UDP are truncated whatever the client says (RFC 6891 section 6.2.5).
inline constexpr size_t kMaxUdpAnswer = 4096;

class Answer {
 public:
  // Without records: an error, or NODATA.
  Answer(const Question &question, Code code, bool authoritative = false);
  // The addresses that `question` asks for (A, AAAA or ANY) under its name; no records when there are none.
  static Answer of_addresses(const Question &question, std::span<const IpAddress> addresses, uint32_t ttl);
  static Answer of_name(const Question &question, const Name &name, uint32_t ttl);  // PTR
  // NXDOMAIN or NODATA in a zone of our own, whose SOA says for how long (RFC 2308 section 3). Asked for that SOA, this
  // is the answer.
  static Answer of_absence(const Question &question, Code code, const Name &zone, uint32_t ttl);
  // An upstream's message, whole and to this question; its OPT is taken out (RFC 6891 section 6.1.1: hop by hop).
  static std::optional<Answer> of_message(Bytes message, const Question &question);

  Code code() const;
  bool has_records() const { return answers_ > 0; }
  bool truncated() const { return flags_ & TC; }
  // How long it may be kept (RFC 2181 section 8, RFC 2308 section 5); zero: not at all.
  seconds lifetime() const;
  size_t size() const { return message_.size(); }

  // The message for who asked `query`, not longer than `limit`: additional records are left out before TC is set
  // (RFC 2181 section 9), and with TC there are no records.
  std::vector<uint8_t> render(const Query &query, seconds age, size_t limit) const;

 private:
  Answer() = default;
  void note_records(const Response &response);

  static constexpr seconds kLongest = hours(24);
  static constexpr seconds kLongestNegative = hours(1);  // RFC 2308 section 5: one to three hours

  std::vector<uint8_t> message_;  // without OPT; the counts are those of the sections below
  uint16_t flags_ = 0;
  uint8_t extended_code_ = 0;
  uint16_t answers_ = 0, authorities_ = 0, additionals_ = 0;
  size_t question_end_ = 0;
  size_t additionals_start_ = 0;
  std::vector<uint16_t> ttl_offsets_;
  seconds lifetime_{0};
};

}  // namespace slipgate::dns
