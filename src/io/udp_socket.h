// The batched UDP socket of a link: one unconnected socket for both families, whose datagrams come and go in runs.
//
// The kernel joins datagrams of one sender into up to 64 kB (UDP_GRO) and cuts what we send (UDP_SEGMENT): a datagram
// costs a tenth of a system call. Replies leave from the address that was written to (pktinfo). Where a kernel or a
// network card knows none of this, the same calls work one datagram at a time.
//
// Lives on one shard.
#pragma once

#include <linux/filter.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "base/address.h"
#include "base/counters.h"
#include "base/packet.h"
#include "base/result.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/poller.h"

namespace slipgate {

struct Datagram {
  Packet packet;
  DatagramPath path;
};

class UdpSocketOwner {
 public:
  // Datagrams that came, in order; take the packets. Each may be written in its own bytes; one that came alone has room
  // before and behind, too. May destroy the socket.
  virtual void on_datagrams(std::span<Datagram> datagrams) = 0;
  // The queue was not empty and is now: who held back because of queued() may go on.
  virtual void on_queue_empty() = 0;

 protected:
  ~UdpSocketOwner() = default;
};

// The system calls, so that tests can make the kernel misbehave.
struct UdpSystemCalls {
  int (*receive_many)(int descriptor, mmsghdr *messages, unsigned count, int flags);
  int (*send_many)(int descriptor, mmsghdr *messages, unsigned count, int flags);
};

struct UdpSocketOptions {
  Endpoint listen;               // ::: both families (IPv4 alone on a host without IPv6); port 0: the kernel's choice
  bool reuse_port = false;       // one socket of several shards
  size_t queue_capacity = 1024;  // datagrams kept while the kernel takes no more; the rest is dropped and counted
  int kernel_buffer = 4 << 20;   // bytes asked for each way; the kernel may give less
  const UdpSystemCalls *calls = nullptr;  // null: the kernel's
};

class UdpSocket final : public Pollable {
 public:
  // Buffers of a pool for batches hold a joined run with headroom; kBatchBuffer is their capacity.
  static constexpr uint32_t kBatchBuffer = Packet::kHeadroom + 65536 + Packet::kTailroom;

  // `batches`: buffers of kBatchBuffer bytes. `singles`: small ones, for datagrams that would keep a large one alive.
  static Result<std::unique_ptr<UdpSocket>> open(Loop &loop, UdpSocketOwner &owner, BufferPool &batches,
                                                 BufferPool &singles, Counters &counters,
                                                 const UdpSocketOptions &options);
  ~UdpSocket();

  Endpoint local() const;                // with the port that the kernel chose
  Result<void> set_mark(uint32_t mark);  // SO_MARK of what is sent
  // Which of the sockets of one port (reuse_port) gets a datagram: the program sees its first byte at offset 0 and
  // returns a number in the order of binding; beyond the last, the sender's address decides. For all of the port.
  Result<void> steer(std::span<const sock_filter> program);
  bool has_ipv6() const { return family_ == AF_INET6; }

  // Puts a datagram behind those that wait. path.local unspecified: the kernel's choice of source.
  void queue(Packet packet, const DatagramPath &path);
  // Sends what waits: runs of datagrams of one path and one size (the last may be shorter) in one message each. What
  // the kernel does not take now stays queued and goes when it does.
  void flush();
  size_t queued() const { return outgoing_.size() - head_; }

  void on_events(uint32_t events) override;

 private:
  static constexpr size_t kReceiveMessages = 8;  // 64 kB each
  static constexpr size_t kReceiveCalls = 8;     // in a turn, until there are
  static constexpr size_t kEnough = 64;          // datagrams
  static constexpr size_t kSendMessages = 64;    // per sendmmsg
  static constexpr size_t kSendPieces = 1024;    // iovecs of one sendmmsg: UIO_MAXIOV
  static constexpr size_t kMaxSegments = 64;     // UDP_MAX_SEGMENTS of kernels before 6.7
  static constexpr size_t kMaxRun = 65507;       // bytes of one message: the largest UDP payload over IPv4

  struct Incoming;
  struct Outgoing;

  UdpSocket(Loop &loop, UdpSocketOwner &owner, BufferPool &batches, BufferPool &singles, Counters &counters,
            const UdpSocketOptions &options);
  Result<void> bind(const UdpSocketOptions &options);
  bool receive();
  void watch();
  void take(size_t slot, size_t size, size_t segment, const DatagramPath &path);
  size_t build(bool with_local);
  size_t run_length(size_t first) const;
  void advance(size_t datagrams);
  void drop_first(size_t datagrams, DropReason reason);
  void drain_errors();

  Loop &loop_;
  UdpSocketOwner &owner_;
  BufferPool &batches_;
  BufferPool &singles_;
  Counters &counters_;
  const UdpSystemCalls &calls_;
  const size_t queue_capacity_;
  Fd descriptor_;
  int family_ = AF_INET6;
  bool segments_ = false;      // UDP_SEGMENT works here
  size_t singly_ = 0;          // so many datagrams of the queue go one by one: their run was refused
  bool blocked_ = false;       // the kernel's buffer is full: wait for EPOLLOUT
  bool *destroyed_ = nullptr;  // set while the owner is called
  std::vector<Datagram> received_;
  std::vector<Datagram> outgoing_;
  size_t head_ = 0;  // first of outgoing_ that was not sent
  std::unique_ptr<Incoming> incoming_;
  std::unique_ptr<Outgoing> messages_;
};

}  // namespace slipgate
