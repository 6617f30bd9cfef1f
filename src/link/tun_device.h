// A TUN device: the kernel's end of a cable whose other end is this process. IP packets in batches, both ways.
//
// The kernel hands over what it would give to a network card with segmentation offloads (up to 64 kB of one TCP
// connection, cut here to size) and takes the same (packets of one flow joined here), so that a system call and a
// journey through the kernel's stack carry some forty packets. Where a kernel knows less, single packets go.
//
// Lives on one shard. Needs CAP_NET_ADMIN in its network namespace to be made, and nothing afterwards. The interface
// goes when this goes; it may be moved to another namespace meanwhile.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/packet.h"
#include "base/result.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/poller.h"
#include "link/segments.h"

namespace slipgate {

class TunEvents {
 public:
  // Packets that the kernel sends by the interface: not longer than its MTU, with room for a link's framing. Take them.
  virtual void from_tun(std::span<Packet> packets) = 0;
  // Somebody deleted the interface; nothing more comes.
  virtual void on_tun_gone() = 0;

 protected:
  ~TunEvents() = default;
};

class TunDevice final : public Pollable, private PacketSource, private JoinedPackets {
 public:
  // Makes the interface `name`, which is down.
  static Result<std::unique_ptr<TunDevice>> open(Loop &loop, TunEvents &events, Counters &counters,
                                                 const std::string &name, uint16_t mtu);
  ~TunDevice();

  // As the kernel calls it: a name with %d in it gets a number.
  const std::string &name() const { return name_; }

  // Packets for the kernel, from the IP header on. They stay the caller's; their bytes may be changed.
  void write(std::span<Packet> packets);

  // No from_tun() until resume(): what the kernel wants to send waits in its queue, and its senders with it.
  void pause() { paused_ = true; }
  void resume();

  void on_events(uint32_t events) override;

 private:
  static constexpr size_t kLongestPacket = 65535;
  static constexpr size_t kBatch = 256;  // packets that are handed over at once, and some more of the last one read

  TunDevice(Loop &loop, TunEvents &events, Counters &counters);
  Result<void> make(const std::string &name, uint16_t mtu);
  Packet allocate(size_t size) override;
  void write(std::span<const iovec> pieces) override;

  Loop &loop_;
  TunEvents &events_;
  Counters &counters_;
  Fd descriptor_;
  std::string name_;
  bool paused_ = false;
  bool *destroyed_ = nullptr;  // set while the events' owner is called
  BufferPool small_;           // packets of usual MTUs
  BufferPool large_;
  std::vector<Packet> batch_;
  std::unique_ptr<std::array<uint8_t, kLongestPacket + 1>> incoming_;
  std::unique_ptr<PacketJoiner> joiner_;
};

}  // namespace slipgate
