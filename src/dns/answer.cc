#include "dns/answer.h"

#include <algorithm>
#include <array>

namespace slipgate::dns {

namespace {

uint16_t low_bits(Code code) {
  return static_cast<uint16_t>(code) & kCodeMask;
}

// RFC 2181 section 8: a TTL with the top bit set counts as 0.
uint32_t ttl_of(const Record &record) {
  return record.ttl > INT32_MAX ? 0 : record.ttl;
}

// RFC 2308 section 4: the MINIMUM field is the last of the SOA's data, behind two names and four numbers.
std::optional<uint32_t> soa_minimum(Bytes message, const Record &record) {
  constexpr size_t kNumbers = 20;
  if (!record.is(Type::SOA) || record.data_size < kNumbers + 2) return std::nullopt;
  ByteReader reader(message);
  reader.seek(record.end() - 4);
  return reader.u32();
}

}  // namespace

Answer::Answer(const Question &question, Code code, bool authoritative) {
  flags_ = static_cast<uint16_t>(QR | RA | (authoritative ? AA : 0) | low_bits(code));
  extended_code_ = static_cast<uint8_t>(static_cast<uint16_t>(code) >> 4);
  message_.resize(sizeof(Header) + question.name.bytes().size() + 4);
  ByteWriter writer{MutableBytes(message_)};
  write_header(writer, 0, flags_, 1, 0, 0, 0);
  write_question(writer, question);
  question_end_ = additionals_start_ = writer.size();
}

Answer Answer::of_addresses(const Question &question, std::span<const IpAddress> addresses, uint32_t ttl) {
  Answer answer(question, Code::NoError, true);
  constexpr size_t kRecord = 12 + 16;  // pointer, type, class, TTL, length, and an address
  answer.message_.resize(answer.question_end_ + addresses.size() * kRecord + Name::kMaxSize);
  ByteWriter writer{MutableBytes(answer.message_)};
  writer.reserve(answer.question_end_);
  for (const IpAddress &address : addresses) {
    Type type = address.is_v4() ? Type::A : Type::AAAA;
    if (!question.is(type) && !question.is(Type::ANY)) continue;
    write_record(writer, question, question.name, type, ttl, address.family_bytes());
    answer.answers_++;
  }
  answer.message_.resize(writer.size());
  answer.additionals_start_ = writer.size();
  return answer;
}

Answer Answer::of_name(const Question &question, const Name &name, uint32_t ttl) {
  Answer answer(question, Code::NoError, true);
  answer.message_.resize(answer.question_end_ + 12 + 2 * Name::kMaxSize);
  ByteWriter writer{MutableBytes(answer.message_)};
  writer.reserve(answer.question_end_);
  write_record(writer, question, question.name, Type::PTR, ttl, name.bytes());
  answer.answers_ = 1;
  answer.message_.resize(writer.size());
  answer.additionals_start_ = writer.size();
  return answer;
}

Answer Answer::of_absence(const Question &question, Code code, const Name &zone, uint32_t ttl) {
  // RFC 1035 section 3.3.13: its primary server and who is responsible (nobody), serial, refresh, retry, expire,
  // minimum.
  std::array<uint8_t, 2 * Name::kMaxSize + 20> room;
  ByteWriter data{MutableBytes(room)};
  data.put(zone.bytes());
  data.put(Name().bytes());
  for (uint32_t number : {1u, ttl, ttl, ttl, ttl}) data.u32(number);

  bool wanted = question.is(Type::SOA) && question.name == zone;
  Answer answer(question, code, true);
  answer.message_.resize(answer.question_end_ + Name::kMaxSize + 10 + data.size());
  ByteWriter writer{MutableBytes(answer.message_)};
  writer.reserve(answer.question_end_);
  write_record(writer, question, zone, Type::SOA, ttl, Bytes(room).first(data.size()));
  (wanted ? answer.answers_ : answer.authorities_) = 1;
  answer.message_.resize(writer.size());
  answer.additionals_start_ = writer.size();
  return answer;
}

std::optional<Answer> Answer::of_message(Bytes message, const Question &question) {
  std::optional<Response> response = parse_response(message);
  if (!response || !(response->question == question) || message.size() > kMaxMessage) return std::nullopt;
  // Spelled out, not by a pointer into the header: render() writes the client's spelling over it.
  if (response->question_end != sizeof(Header) + question.name.bytes().size() + 4) return std::nullopt;
  Answer answer;
  size_t end = message.size();
  std::vector<Record> &additionals = response->additionals;
  for (size_t i = 0; i < additionals.size(); i++) {
    if (!additionals[i].is(Type::OPT)) continue;
    answer.extended_code_ = read_opt(additionals[i]).extended_code;
    // What stands behind it (TSIG, SIG(0)) is hop by hop as well, or additional: it goes, too, and no offset moves.
    end = additionals[i].start;
    additionals.resize(i);
    break;
  }
  answer.message_.assign(message.begin(), message.begin() + static_cast<ptrdiff_t>(end));
  answer.flags_ = response->flags;
  answer.note_records(*response);
  return answer;
}

void Answer::note_records(const Response &response) {
  answers_ = static_cast<uint16_t>(response.answers.size());
  authorities_ = static_cast<uint16_t>(response.authorities.size());
  additionals_ = static_cast<uint16_t>(response.additionals.size());
  question_end_ = response.question_end;
  additionals_start_ = question_end_;
  if (!response.answers.empty()) additionals_start_ = response.answers.back().end();
  if (!response.authorities.empty()) additionals_start_ = response.authorities.back().end();

  bool positive = response.question.is(Type::ANY) && !response.answers.empty();
  uint32_t shortest = kLongest.count();
  std::optional<uint32_t> negative;
  for (const std::vector<Record> *section : {&response.answers, &response.authorities, &response.additionals}) {
    for (const Record &record : *section) {
      ttl_offsets_.push_back(static_cast<uint16_t>(record.ttl_offset));
      shortest = std::min(shortest, ttl_of(record));
      if (section == &response.answers && record.type == response.question.type) positive = true;
      if (section != &response.authorities) continue;
      if (std::optional<uint32_t> minimum = soa_minimum(message_, record))
        negative = std::min(*minimum, ttl_of(record));
    }
  }
  if (truncated() || extended_code_ != 0) return;
  if (positive && code() == Code::NoError) lifetime_ = seconds(shortest);
  // NXDOMAIN and NODATA, also at the end of a CNAME chain: only when a SOA says for how long (RFC 2308 section 5).
  bool absent = code() == Code::NXDomain || (code() == Code::NoError && !positive);
  if (absent && negative) lifetime_ = std::min(seconds(std::min(shortest, *negative)), kLongestNegative);
}

Code Answer::code() const {
  return static_cast<Code>(extended_code_ << 4 | (flags_ & kCodeMask));
}

seconds Answer::lifetime() const {
  return lifetime_;
}

std::vector<uint8_t> Answer::render(const Query &query, seconds age, size_t limit) const {
  size_t opt_size = query.edns ? kOptSize : 0;
  size_t room = std::min(limit, kMaxMessage) - opt_size;  // a limit is at least kPlainUdpSize
  uint16_t flags = flags_;
  uint16_t answers = answers_, authorities = authorities_, additionals = additionals_;
  size_t size = message_.size();
  if (size > room) {
    size = additionals_start_;
    additionals = 0;
  }
  if (size > room || truncated()) {
    size = question_end_;
    answers = authorities = additionals = 0;
    flags |= TC;
  }

  std::vector<uint8_t> message(size + opt_size);
  ByteWriter writer{MutableBytes(message)};
  flags = static_cast<uint16_t>((flags & ~(RD | CD)) | QR | RA | (query.recursion_desired ? RD : 0) |
                                (query.checking_disabled ? CD : 0));
  // RFC 6840 section 5.8: AD only for who understands it.
  if (!query.authentic_data && !(query.edns && query.edns->dnssec_ok)) flags &= static_cast<uint16_t>(~AD);
  write_header(writer, query.id, flags, 1, answers, authorities,
               static_cast<uint16_t>(additionals + (query.edns ? 1 : 0)));
  // The name as this client spells it: it may compare the case of every letter. Of equal length, so nothing moves.
  write_question(writer, query.question);
  writer.put(Bytes(message_).subspan(question_end_, size - question_end_));
  for (uint16_t offset : ttl_offsets_) {
    if (offset + sizeof(be32) > size) break;
    be32 ttl;
    std::memcpy(&ttl, message.data() + offset, sizeof(ttl));
    ttl = static_cast<uint32_t>(std::max<int64_t>(0, static_cast<int64_t>(ttl.value()) - age.count()));
    std::memcpy(message.data() + offset, &ttl, sizeof(ttl));
  }
  if (query.edns) write_opt(writer, {kOwnUdpSize, extended_code_, 0, query.edns->dnssec_ok});
  return message;
}

}  // namespace slipgate::dns
