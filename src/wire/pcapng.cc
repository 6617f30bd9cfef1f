#include "wire/pcapng.h"

#include <algorithm>
#include <cstring>

namespace slipgate::pcapng {
namespace {

constexpr uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kEnhancedPacket = 6;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr uint16_t kLinkTypeRaw = 101;
constexpr size_t kLongestText = 1000;

// Option codes (section 3.5.2, and of each block).
constexpr uint16_t kEndOfOptions = 0;
constexpr uint16_t kComment = 1;
constexpr uint16_t kSectionApplication = 4;
constexpr uint16_t kInterfaceName = 2;
constexpr uint16_t kInterfaceDescriptionText = 3;
constexpr uint16_t kInterfaceTimeResolution = 9;
constexpr uint16_t kPacketFlags = 2;
constexpr uint16_t kPacketDropCount = 4;

// A block is written behind what is there; its length stands before and behind it.
class Block {
 public:
  Block(std::vector<uint8_t> &to, uint32_t type) : to_(to), start_(to.size()) {
    put(type);
    put(uint32_t{0});  // the length, when it is known
  }
  ~Block() {
    put(static_cast<uint32_t>(to_.size() - start_ + sizeof(uint32_t)));
    const auto length = static_cast<uint32_t>(to_.size() - start_);
    std::memcpy(to_.data() + start_ + sizeof(uint32_t), &length, sizeof(length));
  }
  Block(const Block &) = delete;
  Block &operator=(const Block &) = delete;

  template <typename T>
  void put(T value) {
    const auto *bytes = reinterpret_cast<const uint8_t *>(&value);
    to_.insert(to_.end(), bytes, bytes + sizeof(value));
  }
  // To the next 32 bits.
  void put_padded(Bytes bytes) {
    to_.insert(to_.end(), bytes.begin(), bytes.end());
    to_.resize(to_.size() + (0 - bytes.size()) % 4);
  }
  void option(uint16_t code, Bytes value) {
    put(code);
    put(static_cast<uint16_t>(value.size()));
    put_padded(value);
  }
  void text(uint16_t code, std::string_view text) {
    if (!text.empty()) option(code, bytes_of(text.substr(0, kLongestText)));
  }
  template <typename T>
  void number(uint16_t code, T value) {
    option(code, Bytes(reinterpret_cast<const uint8_t *>(&value), sizeof(value)));
  }
  void end_options() { put(uint32_t{kEndOfOptions}); }

 private:
  std::vector<uint8_t> &to_;
  const size_t start_;
};

}  // namespace

void append_section(std::vector<uint8_t> &to, std::string_view application) {
  Block block(to, kSectionHeader);
  block.put(kByteOrderMagic);
  block.put(uint16_t{1});  // version 1.0
  block.put(uint16_t{0});
  block.put(int64_t{-1});  // the section's length: to the end
  block.text(kSectionApplication, application);
  block.end_options();
}

void append_interface(std::vector<uint8_t> &to, std::string_view name, std::string_view description) {
  constexpr uint8_t kNanoseconds = 9;  // 10^-9
  Block block(to, kInterfaceDescription);
  block.put(kLinkTypeRaw);
  block.put(uint16_t{0});
  block.put(uint32_t{0});  // no limit of length
  block.text(kInterfaceName, name);
  block.text(kInterfaceDescriptionText, description);
  block.number(kInterfaceTimeResolution, kNanoseconds);
  block.end_options();
}

void append_packet(std::vector<uint8_t> &to, const Record &record, Bytes packet) {
  Block block(to, kEnhancedPacket);
  block.put(record.interface);
  block.put(static_cast<uint32_t>(record.nanoseconds >> 32));
  block.put(static_cast<uint32_t>(record.nanoseconds));
  block.put(static_cast<uint32_t>(packet.size()));  // captured
  block.put(static_cast<uint32_t>(packet.size()));  // as it was
  block.put_padded(packet);
  block.text(kComment, record.comment);
  block.number(kPacketFlags, static_cast<uint32_t>(record.direction));
  if (record.lost) block.number(kPacketDropCount, record.lost);
  block.end_options();
}

}  // namespace slipgate::pcapng
