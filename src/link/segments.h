// What a network card with segmentation offloads does, for packets that come from or go to a kernel by a TUN device:
// cuts the large packets of a TCP connection or UDP flow into those that fit the path, and joins packets that follow
// each other into large ones.
//
// Lives on one shard. Nothing here allocates per packet, but the buffers of the packets cut.
#pragma once

#include <sys/uio.h>

#include <array>
#include <optional>
#include <span>
#include <vector>

#include "base/drop_reason.h"
#include "base/packet.h"
#include "wire/virtio_net.h"

namespace slipgate {

// Where the packets that are cut get their buffers from: with headroom and tailroom for a link's framing.
class PacketSource {
 public:
  virtual Packet allocate(size_t size) = 0;  // empty: there is none

 protected:
  ~PacketSource() = default;
};

// Cuts `packet` as its header says, in one copy that also makes the checksums, and appends the pieces to `to`. What is
// returned happened to the packet, or to what was left of it.
std::optional<DropReason> cut_packet(const VirtioNetHeader &header, Bytes packet, PacketSource &source,
                                     std::vector<Packet> &to);

// Who takes joined packets.
class JoinedPackets {
 public:
  // The first piece is a VirtioNetHeader.
  virtual void write(std::span<const iovec> pieces) = 0;

 protected:
  ~JoinedPackets() = default;
};

// Joins packets of one flow that follow each other in a batch, when taking the large packet apart again gives what
// came: same addresses, ports, TTL and traffic class; no IP options, no fragments; TCP: next in sequence, no flags but
// ACK and PSH, equal options; a PSH or a shorter segment ends the run. UDP: of one size, the last may be shorter. The
// kernel takes a joined packet's checksums for granted, so each packet's own is verified before it joins.
//
// Packets of one flow keep their order; those of different flows need not.
class PacketJoiner {
 public:
  // `join_udp`: the kernel takes runs of datagrams, too.
  PacketJoiner(JoinedPackets &to, bool join_udp);

  // From the IP header on. The bytes must stay where they are until flush(), and may be changed.
  void add(MutableBytes packet);
  void flush();

 private:
  static constexpr size_t kRuns = 16;      // flows whose packets may alternate in a batch
  static constexpr size_t kSegments = 64;  // of one run: UDP_MAX_SEGMENTS of kernels before 6.9
  static constexpr size_t kMostBytes = 65535;

  // What one look at a packet finds.
  struct Parsed {
    bool has_flow = false;  // TCP or UDP, not fragmented: the fields below count
    bool joinable = false;  // and may be part of a run
    bool ends_run = false;  // nothing joins behind it
    uint8_t protocol = 0;
    size_t transport = 0;  // offset of the TCP or UDP header
    size_t headers = 0;    // bytes before the payload
    size_t length = 0;     // of the packet, as the IP header says
    uint32_t sequence = 0;
    uint64_t hash = 0;  // of addresses and ports
  };

  struct Run {
    Parsed first;
    uint8_t *bytes = nullptr;  // of the first packet
    size_t segment = 0;        // payload bytes of the first packet
    size_t payload = 0;        // of all
    uint32_t next_sequence = 0;
    bool verified = false;  // the first packet's checksums
    VirtioNetHeader header{};
    std::array<iovec, kSegments + 1> pieces;
    size_t count = 0;  // of pieces
  };

  Parsed parse(MutableBytes packet) const;
  bool join(Run &run, const Parsed &parsed, uint8_t *bytes);
  void begin(const Parsed &parsed, uint8_t *bytes);
  void write_alone(uint8_t *bytes, size_t size);
  void write_run(size_t index);

  JoinedPackets &to_;
  const bool join_udp_;
  std::vector<Run> runs_;  // the first open_ are in use
  size_t open_ = 0;
};

}  // namespace slipgate
