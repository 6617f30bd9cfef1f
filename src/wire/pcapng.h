// The pcapng capture format (draft-ietf-opsawg-pcapng): the blocks that we write, in the byte order of this machine, as
// the format wants it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace slipgate::pcapng {

// Section 4.1; first in a file.
void append_section(std::vector<uint8_t> &to, std::string_view application);

// Section 4.2. The interfaces of a section are numbered from 0 in the order of their blocks. Packets begin with their
// IP header (LINKTYPE_RAW); times are in nanoseconds.
void append_interface(std::vector<uint8_t> &to, std::string_view name, std::string_view description);

enum class Direction : uint8_t { inbound = 1, outbound = 2 };  // section 4.3.1, epb_flags

// Section 4.3. `lost`: packets of this interface that could not be captured since the last one that was.
struct Record {
  uint32_t interface = 0;
  uint64_t nanoseconds = 0;  // since 1970
  Direction direction = Direction::inbound;
  std::string_view comment;  // empty: none
  uint64_t lost = 0;
};
void append_packet(std::vector<uint8_t> &to, const Record &record, Bytes packet);

}  // namespace slipgate::pcapng
