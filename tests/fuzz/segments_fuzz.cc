// Packets of a peer that are joined for the kernel, and what the kernel would cut of them; then bytes as if they were
// the kernel's, cut. Whatever is joined can be cut again, and no byte is lost.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "link/segments.h"

using namespace slipgate;

namespace {

class Pool final : public PacketSource {
 public:
  Packet allocate(size_t size) override { return pool_.allocate(size); }

 private:
  BufferPool pool_{Packet::kHeadroom + 65600, 256, 16};
};

class Cutting final : public JoinedPackets {
 public:
  explicit Cutting(Pool &pool) : pool_(pool) {}
  size_t bytes = 0;

  void write(std::span<const iovec> pieces) override {
    VirtioNetHeader header;
    std::memcpy(&header, pieces[0].iov_base, sizeof(header));
    std::vector<uint8_t> packet;
    for (const iovec &piece : pieces.subspan(1)) {
      const auto *from = static_cast<const uint8_t *>(piece.iov_base);
      packet.insert(packet.end(), from, from + piece.iov_len);
    }
    if (packet.size() > 65535 && header.segmentation) std::abort();
    std::vector<Packet> cut;
    if (cut_packet(header, packet, pool_, cut)) std::abort();
    for (const Packet &each : cut) bytes += each.size();
    if (header.segmentation && cut.size() < 2) std::abort();
  }

 private:
  Pool &pool_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Pool pool;
  Cutting cutting(pool);
  PacketJoiner joiner(cutting, true);
  // Each packet: two bytes of length, then itself; a length above 0x8000 repeats the packet before with the next
  // sequence number, so that something can join.
  std::vector<std::vector<uint8_t>> packets;
  size_t at = 0;
  while (at + 2 <= size && packets.size() < 200) {
    const size_t word = static_cast<size_t>(data[at] << 8 | data[at + 1]);
    at += 2;
    if (word & 0x8000 && !packets.empty()) {
      packets.push_back(packets.back());
      continue;
    }
    const size_t length = std::min(word & 0x7fff, size - at);
    if (length == 0) break;
    packets.emplace_back(data + at, data + at + length);
    at += length;
  }
  for (std::vector<uint8_t> &packet : packets) joiner.add(packet);
  joiner.flush();

  if (size > sizeof(VirtioNetHeader)) {
    VirtioNetHeader header;
    std::memcpy(&header, data, sizeof(header));
    std::vector<Packet> cut;
    cut_packet(header, Bytes(data + sizeof(header), size - sizeof(header)), pool, cut);
  }
  return 0;
}
