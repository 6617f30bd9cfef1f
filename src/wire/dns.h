// DNS messages: RFC 1035 section 4, EDNS(0) of RFC 6891, names of RFC 1035 section 3.1 compared as RFC 4343 says.
//
// Everything is read with bounds: a compression pointer must point before the name that it stands in, so no message can
// make a reader go round.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/endian.h"

namespace slipgate::dns {

// RFC 1035 section 4.1.1
//    0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
//  +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
//  |                      ID                       |
//  |QR|   Opcode  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
//  |       QDCOUNT, ANCOUNT, NSCOUNT, ARCOUNT      |
//  +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
struct Header {
  be16 id;
  be16 flags;
  be16 questions;
  be16 answers;
  be16 authorities;
  be16 additionals;
};
static_assert(sizeof(Header) == 12);

inline constexpr uint16_t QR = 0x8000, AA = 0x0400, TC = 0x0200, RD = 0x0100, RA = 0x0080, AD = 0x0020, CD = 0x0010;
inline constexpr int kOpcodeShift = 11;
inline constexpr uint16_t kOpcodeMask = 0xf;
inline constexpr uint16_t kCodeMask = 0xf;

inline constexpr size_t kMaxMessage = 65535;  // what the length before a message on TCP can say
inline constexpr size_t kPlainUdpSize = 512;  // RFC 1035 section 2.3.4: a UDP answer to who says nothing else
inline constexpr size_t kOptSize = 11;        // an OPT record without options

enum class Type : uint16_t {
  A = 1,
  NS = 2,
  CNAME = 5,
  SOA = 6,
  PTR = 12,
  MX = 15,
  TXT = 16,
  AAAA = 28,
  OPT = 41,
  IXFR = 251,
  AXFR = 252,
  ANY = 255,
};

enum class Class : uint16_t { IN = 1, CH = 3 };

enum class Code : uint16_t {  // RFC 6895 section 2.3
  NoError = 0,
  FormErr = 1,
  ServFail = 2,
  NXDomain = 3,
  NotImp = 4,
  Refused = 5,
  BADVERS = 16,
};

// A name in its wire form without compression, at most 255 bytes, spelled as it was written. Equal names may differ in
// case (RFC 4343).
class Name {
 public:
  static constexpr size_t kMaxSize = 255;
  static constexpr size_t kMaxLabel = 63;

  Name() { bytes_[0] = 0; }  // the root

  // "example.org" or "example.org."; \. and \DDD escape (RFC 1035 section 5.1). Empty labels, long labels: nothing.
  static std::optional<Name> parse(std::string_view text);
  // The name at the reader's position, which then stands behind it. Nothing (and the reader may be anywhere) when it is
  // malformed.
  static std::optional<Name> read(ByteReader &reader);
  // The name under in-addr.arpa or ip6.arpa that an address is looked up by (RFC 1035 section 3.5, RFC 3596
  // section 2.5).
  static Name reverse(const IpAddress &address);

  Bytes bytes() const { return Bytes(bytes_).first(size_); }
  bool is_root() const { return size_ == 1; }
  // Without the last dot; the root is ".".
  std::string to_string() const;
  // The wire form in lower case: what tables are keyed by.
  std::string key() const;
  // The address whose reverse() this is.
  std::optional<IpAddress> reversed_address() const;
  // Equal to `zone` or below it.
  bool is_within(const Name &zone) const;

  bool operator==(const Name &other) const;

 private:
  bool append_label(Bytes label);

  uint8_t size_ = 1;
  std::array<uint8_t, kMaxSize> bytes_;
};

struct Question {
  Name name;
  uint16_t type = 0;
  uint16_t klass = 0;

  bool is(Type other) const { return type == static_cast<uint16_t>(other); }
  bool operator==(const Question &) const = default;
};

// What an OPT record says (RFC 6891 section 6.1.3).
struct Edns {
  uint16_t udp_size = kPlainUdpSize;  // the largest UDP message that its sender takes
  uint8_t extended_code = 0;          // upper bits of the response code
  uint8_t version = 0;
  bool dnssec_ok = false;
};

struct Query {
  uint16_t id = 0;
  bool recursion_desired = false;
  bool authentic_data = false;     // RFC 6840 section 5.7: wants to see AD in the answer
  bool checking_disabled = false;  // RFC 4035 section 3.2.2
  Question question;
  std::optional<Edns> edns;

  // The largest answer over UDP.
  size_t udp_limit() const { return edns && edns->udp_size > kPlainUdpSize ? edns->udp_size : kPlainUdpSize; }
};

// A message that is no query that can be served.
struct BadQuery {
  bool answerable = false;  // false: not even a header, or itself a response; silence, or two servers may talk for ever
  uint16_t id = 0;
  uint16_t flags = 0;
  Code code = Code::FormErr;
};

// One question in the opcode QUERY, and at most one OPT (RFC 6891 section 6.1.1). Records of other kinds are passed
// over.
std::variant<Query, BadQuery> parse_query(Bytes message);

// Where a resource record lies in its message.
struct Record {
  size_t start = 0;  // of its owner name
  uint16_t type = 0;
  uint16_t klass = 0;
  uint32_t ttl = 0;
  size_t ttl_offset = 0;
  size_t data_offset = 0;
  size_t data_size = 0;

  bool is(Type other) const { return type == static_cast<uint16_t>(other); }
  size_t end() const { return data_offset + data_size; }
};

// A whole response, with its records found. RDATA is not looked into.
struct Response {
  uint16_t id = 0;
  uint16_t flags = 0;
  Question question;
  size_t question_end = 0;
  std::vector<Record> answers, authorities, additionals;

  Code code() const { return static_cast<Code>(flags & kCodeMask); }
  // The OPT record among the additionals, read.
  const Record *opt() const;
};

// Nothing when it is no response, has not exactly one question, or a record passes the end.
std::optional<Response> parse_response(Bytes message);

Edns read_opt(const Record &opt);

// Writes a message: begin with write_header() (the counts are what will be written), then the question, then records.
void write_header(ByteWriter &writer, uint16_t id, uint16_t flags, uint16_t questions, uint16_t answers,
                  uint16_t authorities, uint16_t additionals);
void write_question(ByteWriter &writer, const Question &question);
// A record of class IN. An owner that equals `question` (which stands behind the header) becomes a pointer to it.
void write_record(ByteWriter &writer, const Question &question, const Name &owner, Type type, uint32_t ttl, Bytes data);
void write_opt(ByteWriter &writer, const Edns &edns);

// The header alone, which refuses `bad`: no question can be repeated.
std::array<uint8_t, sizeof(Header)> make_refusal(const BadQuery &bad);

// A whole query, with an OPT record when `edns` is given.
std::vector<uint8_t> make_query(const Query &query);

}  // namespace slipgate::dns
