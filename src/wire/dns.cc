#include "wire/dns.h"

#include <algorithm>

namespace slipgate::dns {

namespace {

constexpr uint8_t kPointer = 0xc0;    // RFC 1035 section 4.1.4: the two upper bits of a label's length
constexpr uint16_t kAtQuestion = 12;  // where a message's first question stands: behind the header
constexpr uint16_t kDnssecOk = 0x8000;

uint8_t lower(uint8_t c) {
  return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool equal_text(Bytes a, Bytes b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](uint8_t x, uint8_t y) { return lower(x) == lower(y); });
}

const Name kInAddrArpa = *Name::parse("in-addr.arpa");
const Name kIp6Arpa = *Name::parse("ip6.arpa");

}  // namespace

bool Name::append_label(Bytes label) {
  // size_ counts the root label at the end, which moves back.
  if (label.empty() || label.size() > kMaxLabel || size_ + 1 + label.size() > kMaxSize) return false;
  uint8_t *at = bytes_.data() + size_ - 1;
  at[0] = static_cast<uint8_t>(label.size());
  std::memcpy(at + 1, label.data(), label.size());
  at[1 + label.size()] = 0;
  size_ = static_cast<uint8_t>(size_ + 1 + label.size());
  return true;
}

std::optional<Name> Name::parse(std::string_view text) {
  Name name;
  if (text == ".") return name;
  if (text.empty()) return std::nullopt;
  std::array<uint8_t, kMaxLabel> label;
  size_t size = 0;
  for (size_t i = 0; i < text.size(); i++) {
    uint8_t c = static_cast<uint8_t>(text[i]);
    if (c == '.') {
      if (!name.append_label(Bytes(label).first(size))) return std::nullopt;
      size = 0;
      continue;
    }
    if (c == '\\') {
      if (++i == text.size()) return std::nullopt;
      auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
      c = static_cast<uint8_t>(text[i]);
      if (digit(i)) {
        if (!digit(i + 1) || !digit(i + 2)) return std::nullopt;
        int value = (text[i] - '0') * 100 + (text[i + 1] - '0') * 10 + (text[i + 2] - '0');
        if (value > 255) return std::nullopt;
        c = static_cast<uint8_t>(value);
        i += 2;
      }
    }
    if (size == kMaxLabel) return std::nullopt;
    label[size++] = c;
  }
  if (size != 0 && !name.append_label(Bytes(label).first(size))) return std::nullopt;
  return name;
}

std::optional<Name> Name::read(ByteReader &reader) {
  Name name;
  ByteReader labels = reader;
  size_t lowest = reader.position();  // a pointer must go before this: each jump goes strictly back
  bool jumped = false;
  for (;;) {
    uint8_t length = labels.u8();
    if (!labels.ok()) return std::nullopt;
    if (length == 0) break;
    if ((length & kPointer) == kPointer) {
      size_t target = static_cast<size_t>(length & ~kPointer) << 8 | labels.u8();
      if (!labels.ok() || target >= lowest) return std::nullopt;  // lesson: dns-pointer-loop
      if (!jumped) reader.seek(labels.position());
      jumped = true;
      lowest = target;
      labels.seek(target);
      continue;
    }
    if (length & kPointer) return std::nullopt;  // 01 and 10 are not in use (RFC 6891 section 5)
    Bytes label = labels.take(length);
    if (!labels.ok() || !name.append_label(label)) return std::nullopt;
  }
  if (!jumped) reader.seek(labels.position());
  return name;
}

Name Name::reverse(const IpAddress &address) {
  std::string text;
  Bytes bytes = address.family_bytes();
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (size_t i = bytes.size(); i-- > 0;) {
    if (address.is_v4()) {
      text += std::to_string(bytes[i]) + '.';
    } else {
      text += {kDigits[bytes[i] & 0xf], '.', kDigits[bytes[i] >> 4], '.'};
    }
  }
  return *parse(text + (address.is_v4() ? "in-addr.arpa" : "ip6.arpa"));
}

std::optional<IpAddress> Name::reversed_address() const {
  // Back through text: short, and reverse() of what is found must give this name again, which rules out every odd form.
  std::array<uint8_t, 16> bytes{};
  ByteReader labels{this->bytes()};
  bool v4 = is_within(kInAddrArpa);
  if (!v4 && !is_within(kIp6Arpa)) return std::nullopt;
  size_t count = v4 ? 4 : 32;
  for (size_t i = count; i-- > 0;) {
    Bytes label = labels.take(labels.u8());
    if (label.empty() || label.size() > (v4 ? 3u : 1u)) return std::nullopt;
    unsigned value = 0;
    for (uint8_t c : label) {
      c = lower(c);
      bool letter = !v4 && c >= 'a' && c <= 'f';
      if (!letter && (c < '0' || c > '9')) return std::nullopt;
      value = value * (v4 ? 10 : 16) + (letter ? c - 'a' + 10u : c - '0' + 0u);
    }
    if (v4) {
      bytes[i] = static_cast<uint8_t>(value);
    } else {
      bytes[i / 2] = static_cast<uint8_t>(bytes[i / 2] | value << (i % 2 ? 0 : 4));
    }
  }
  IpAddress address = v4 ? IpAddress::from_v4(Bytes(bytes).first(4)) : IpAddress::from_v6(bytes);
  if (!(reverse(address) == *this)) return std::nullopt;
  return address;
}

std::string Name::to_string() const {
  if (is_root()) return ".";
  std::string text;
  ByteReader labels{bytes()};
  for (Bytes label = labels.take(labels.u8()); !label.empty(); label = labels.take(labels.u8())) {
    if (!text.empty()) text += '.';
    for (uint8_t c : label) {
      if (c == '.' || c == '\\') {
        text += {'\\', static_cast<char>(c)};
      } else if (c > ' ' && c < 0x7f) {
        text += static_cast<char>(c);
      } else {
        text += {'\\', static_cast<char>('0' + c / 100), static_cast<char>('0' + c / 10 % 10),
                 static_cast<char>('0' + c % 10)};
      }
    }
  }
  return text;
}

std::string Name::key() const {
  // Lengths are at most 63, below 'A': lower() leaves them.
  std::string key(size_, '\0');
  std::transform(bytes_.begin(), bytes_.begin() + size_, key.begin(), lower);
  return key;
}

bool Name::is_within(const Name &zone) const {
  Bytes rest = bytes();
  while (rest.size() > zone.size_) rest = rest.subspan(1 + rest[0]);
  return equal_text(rest, zone.bytes());
}

bool Name::operator==(const Name &other) const {
  return equal_text(bytes(), other.bytes());
}

namespace {

bool read_question(ByteReader &reader, Question &question) {
  std::optional<Name> name = Name::read(reader);
  if (!name) return false;
  question.name = *name;
  question.type = reader.u16();
  question.klass = reader.u16();
  return reader.ok();
}

std::optional<Record> read_record(ByteReader &reader) {
  Record record;
  record.start = reader.position();
  if (!Name::read(reader)) return std::nullopt;
  record.type = reader.u16();
  record.klass = reader.u16();
  record.ttl_offset = reader.position();
  record.ttl = reader.u32();
  record.data_size = reader.u16();
  record.data_offset = reader.position();
  reader.skip(record.data_size);
  if (!reader.ok()) return std::nullopt;
  return record;
}

bool read_records(ByteReader &reader, unsigned count, std::vector<Record> &records) {
  for (unsigned i = 0; i < count; i++) {
    std::optional<Record> record = read_record(reader);
    if (!record) return false;
    records.push_back(*record);
  }
  return true;
}

}  // namespace

std::variant<Query, BadQuery> parse_query(Bytes message) {
  BadQuery bad;
  const Header *header = view_as<Header>(message);
  if (!header || header->flags & QR) return bad;
  bad.answerable = true;
  bad.id = header->id;
  bad.flags = header->flags;
  if ((bad.flags >> kOpcodeShift & kOpcodeMask) != 0) {
    bad.code = Code::NotImp;
    return bad;
  }

  Query query;
  query.id = header->id;
  query.recursion_desired = header->flags & RD;
  query.authentic_data = header->flags & AD;
  query.checking_disabled = header->flags & CD;
  ByteReader reader(message);
  reader.skip(sizeof(Header));
  if (header->questions != 1 || !read_question(reader, query.question)) return bad;
  unsigned records = header->answers + header->authorities + header->additionals;
  for (unsigned i = 0; i < records; i++) {
    std::optional<Record> record = read_record(reader);
    if (!record) return bad;
    if (!record->is(Type::OPT)) continue;
    // RFC 6891 section 6.1.1: more than one, or one that is not owned by the root, is FORMERR.
    if (query.edns || message[record->start] != 0) return bad;
    query.edns = read_opt(*record);
  }
  return query;
}

const Record *Response::opt() const {
  for (const Record &record : additionals) {
    if (record.is(Type::OPT)) return &record;
  }
  return nullptr;
}

std::optional<Response> parse_response(Bytes message) {
  const Header *header = view_as<Header>(message);
  if (!header || !(header->flags & QR) || header->questions != 1) return std::nullopt;
  Response response;
  response.id = header->id;
  response.flags = header->flags;
  ByteReader reader(message);
  reader.skip(sizeof(Header));
  if (!read_question(reader, response.question)) return std::nullopt;
  response.question_end = reader.position();
  if (!read_records(reader, header->answers, response.answers) ||
      !read_records(reader, header->authorities, response.authorities) ||
      !read_records(reader, header->additionals, response.additionals)) {
    return std::nullopt;
  }
  return response;
}

Edns read_opt(const Record &opt) {
  // RFC 6891 section 6.1.3: the class is the size, the TTL is code, version and flags.
  Edns edns;
  edns.udp_size = opt.klass;
  edns.extended_code = static_cast<uint8_t>(opt.ttl >> 24);
  edns.version = static_cast<uint8_t>(opt.ttl >> 16);
  edns.dnssec_ok = opt.ttl & kDnssecOk;
  return edns;
}

void write_header(ByteWriter &writer, uint16_t id, uint16_t flags, uint16_t questions, uint16_t answers,
                  uint16_t authorities, uint16_t additionals) {
  Header header{id, flags, questions, answers, authorities, additionals};
  writer.put(bytes_of(header));
}

void write_question(ByteWriter &writer, const Question &question) {
  writer.put(question.name.bytes());
  writer.u16(question.type);
  writer.u16(question.klass);
}

void write_record(ByteWriter &writer, const Question &question, const Name &owner, Type type, uint32_t ttl,
                  Bytes data) {
  if (owner == question.name && !owner.is_root()) {
    writer.u16(kPointer << 8 | kAtQuestion);
  } else {
    writer.put(owner.bytes());
  }
  writer.u16(static_cast<uint16_t>(type));
  writer.u16(static_cast<uint16_t>(Class::IN));
  writer.u32(ttl);
  writer.u16(static_cast<uint16_t>(data.size()));
  writer.put(data);
}

void write_opt(ByteWriter &writer, const Edns &edns) {
  writer.u8(0);  // the root
  writer.u16(static_cast<uint16_t>(Type::OPT));
  writer.u16(edns.udp_size);
  writer.u32(static_cast<uint32_t>(edns.extended_code) << 24 | static_cast<uint32_t>(edns.version) << 16 |
             (edns.dnssec_ok ? kDnssecOk : 0));
  writer.u16(0);  // no options
}

std::array<uint8_t, sizeof(Header)> make_refusal(const BadQuery &bad) {
  std::array<uint8_t, sizeof(Header)> message;
  ByteWriter writer{MutableBytes(message)};
  uint16_t kept = bad.flags & (kOpcodeMask << kOpcodeShift | RD);
  write_header(writer, bad.id, static_cast<uint16_t>(QR | RA | kept | static_cast<uint16_t>(bad.code)), 0, 0, 0, 0);
  return message;
}

std::vector<uint8_t> make_query(const Query &query) {
  std::vector<uint8_t> message(sizeof(Header) + Name::kMaxSize + 4 + kOptSize);
  ByteWriter writer{MutableBytes(message)};
  uint16_t flags = static_cast<uint16_t>((query.recursion_desired ? RD : 0) | (query.authentic_data ? AD : 0) |
                                         (query.checking_disabled ? CD : 0));
  write_header(writer, query.id, flags, 1, 0, 0, query.edns ? 1 : 0);
  write_question(writer, query.question);
  if (query.edns) write_opt(writer, *query.edns);
  message.resize(writer.size());
  return message;
}

}  // namespace slipgate::dns
