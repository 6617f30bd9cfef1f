#include "wire/gue.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "base/address.h"
#include "support/catch.h"
#include "wire/checksum.h"
#include "wire/udp.h"

namespace slipgate {

namespace {

using Data = std::vector<uint8_t>;

Data joined(std::initializer_list<int> head, const Data &rest = {}) {
  Data all;
  for (int byte : head) all.push_back(static_cast<uint8_t>(byte));
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

const Data kV4{0x45, 0, 0, 20}, kV6{0x60, 0, 0, 0, 0, 0};

// Where the packet begins, or the name of why there is none.
std::string outcome(const std::variant<GuePayload, DropReason> &parsed) {
  if (const auto *reason = std::get_if<DropReason>(&parsed)) return std::string(name_of(*reason));
  const GuePayload &payload = std::get<GuePayload>(parsed);
  return std::to_string(payload.offset) + (payload.v4 ? " v4" : " v6") + (payload.has_header ? " header" : "") +
         (payload.unfinished ? " unfinished" : "");
}

}  // namespace

TEST_CASE("GUE variants, and what is refused of them: gue-length, gue-unknown-flag, gue-private-data") {
  struct Row {
    Data datagram;
    std::string outcome;
  };
  const Row rows[] = {
      // variant 1 and FOU
      {kV4, "0 v4"},
      {kV6, "0 v6"},
      {{0x40}, "0 v4"},
      {{0x50, 0, 0, 0}, "gue_unknown_variant"},
      {{0x70, 0, 0, 0}, "gue_unknown_variant"},
      // variant 0
      {joined({0, 4, 0, 0}, kV4), "4 v4 header"},
      {joined({0, 41, 0, 0}, kV6), "4 v6 header"},
      {joined({0, 4, 0, 0}), "gue_bad_inner"},
      {joined({0, 4, 0, 0}, kV6), "gue_bad_inner"},
      {joined({0, 41, 0, 0}, kV4), "gue_bad_inner"},
      {joined({0, 4, 0, 0}, {0, 4, 0, 0}), "gue_bad_inner"},
      {joined({0, 47, 0, 0}, kV4), "gue_unknown_protocol"},
      {joined({0, 59, 0, 0}, kV4), "gue_unknown_protocol"},
      {joined({0x20, 4, 0, 0}, kV4), "gue_control_message"},
      {joined({0x20, 0, 0, 0}), "gue_control_message"},
      // lengths
      {{}, "gue_bad_header"},
      {{0}, "gue_bad_header"},
      {{0, 4, 0}, "gue_bad_header"},
      {joined({0x02, 4, 0, 0}, kV4), "gue_bad_header"},
      {joined({0x1f, 4, 0, 0}, Data(123, 0x45)), "gue_bad_header"},
      {joined({0x1f, 4, 0, 0}, Data(125, 0x45)), "gue_unknown_field"},
      // flags, fields, private data
      {joined({0, 4, 0x80, 0}, kV4), "gue_unknown_field"},
      {joined({0, 4, 0, 2}, kV4), "gue_unknown_field"},
      {joined({0x01, 4, 0, 2, 0, 0, 0, 0}, kV4), "gue_unknown_field"},
      {joined({0x01, 4, 0, 0, 0, 0, 0, 0}, kV4), "gue_unknown_field"},
      {joined({0, 4, 0, 1}, kV4), "gue_unknown_field"},
      {joined({0x01, 4, 0, 1, 0, 0, 0, 0}, kV4), "8 v4 header"},
      {joined({0x01, 4, 0, 1, 0, 0, 0, 1}, kV4), "gue_unknown_field"},
      {joined({0x01, 4, 0, 1, 0x80, 0, 0, 0}, kV4), "gue_unknown_field"},
      {joined({0x02, 4, 0, 1, 0x80, 0, 0, 0, 0, 20, 0, 26}, kV4), "12 v4 header unfinished"},
      {joined({0x02, 41, 0, 1, 0x80, 0, 0, 0, 0, 20, 0, 26}, kV6), "12 v6 header unfinished"},
      {joined({0x03, 4, 0, 1, 0x80, 0, 0, 0, 0, 20, 0, 26, 0, 0, 0, 0}, kV4), "gue_unknown_field"},
      // variants 2 and 3
      {joined({0x80, 4, 0, 0}, kV4), "gue_unknown_variant"},
      {joined({0xc0, 4, 0, 0}, kV4), "gue_unknown_variant"},
  };
  for (const Row &row : rows) {
    INFO(fmt::format("{:02x}", fmt::join(row.datagram, " ")));
    CHECK(outcome(parse_gue(row.datagram)) == row.outcome);
  }
}

TEST_CASE("the packet is of the family that the header names: gue-inner-version") {
  CHECK(outcome(parse_gue(joined({0, 4, 0, 0}, kV6))) == "gue_bad_inner");
  CHECK(outcome(parse_gue(joined({0, 41, 0, 0}, kV4))) == "gue_bad_inner");
}

TEST_CASE("FOU is the packet and nothing else") {
  CHECK(outcome(parse_fou(kV4)) == "0 v4");
  CHECK(outcome(parse_fou(kV6)) == "0 v6");
  CHECK(outcome(parse_fou(joined({0, 4, 0, 0}, kV4))) == "gue_bad_inner");
  CHECK(outcome(parse_fou({})) == "gue_bad_inner");
}

TEST_CASE("a header that we write is one that we read") {
  for (bool v4 : {true, false}) {
    const GueHeader header = gue_header(v4);
    const Bytes bytes = bytes_of(header);
    CHECK(outcome(parse_gue(joined({bytes[0], bytes[1], bytes[2], bytes[3]}, v4 ? kV4 : kV6))) ==
          (v4 ? "4 v4 header" : "4 v6 header"));
  }
}

TEST_CASE("a checksum that was left to us is the one that belongs there") {
  const IpAddress source = IpAddress::v4(10, 0, 0, 2), destination = IpAddress::v4(203, 0, 113, 2);
  Data packet(20 + 8 + 5, 7);  // an odd number of bytes, too
  const auto length = static_cast<uint16_t>(packet.size() - 20);
  auto &udp = *view_as<UdpHeader>(MutableBytes(packet).subspan(20));
  udp.length = length;
  udp.checksum = pseudo_header_sum(source, destination, 17, length);
  REQUIRE(finish_checksum(packet, {.start = uint16_t{20}, .field = uint16_t{26}}));
  const uint16_t sum =
      add_sums(pseudo_header_sum(source, destination, 17, length), ones_complement_sum(Bytes(packet).subspan(20)));
  CHECK(sum == 0xffff);
}

TEST_CASE("a checksum outside of the packet is not written: gue-remote-checksum-bounds") {
  const uint16_t rows[][2] = {{20, 29}, {20, 30}, {31, 31}, {65535, 65535}, {0, 65535}, {21, 20}};
  for (const auto &[start, field] : rows) {
    Data room(64, 0), before(64, 0);
    MutableBytes packet = MutableBytes(room).first(30);
    INFO(start << ' ' << field);
    CHECK_FALSE(finish_checksum(packet, {.start = start, .field = field}));
    CHECK(room == before);
  }
  Data packet(30, 0);
  CHECK(finish_checksum(packet, {.start = uint16_t{20}, .field = uint16_t{28}}));
}

}  // namespace slipgate
