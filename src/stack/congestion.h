// How fast a connection may send: the one interface between the sender (sender.h), which knows what was sent, delivered
// and lost, and an algorithm, which makes a window and a rate of that. Quantities are bytes, bytes per second and
// bytes of payload; `now` comes from outside.
//
// One per connection that has something in flight.
#pragma once

#include <cstdint>
#include <memory>

#include "base/time.h"
#include "stack/options.h"

namespace slipgate {

// What the acknowledgments of one turn said: a delivery-rate sample (draft-ietf-ccwg-bbr section 4.1) and what came
// with it.
struct Delivery {
  Time now{};
  uint32_t newly_delivered = 0;      // acknowledged or reported (SACK) for the first time
  uint32_t newly_lost = 0;           // found lost
  uint32_t prior_in_flight = 0;      // before any of it
  uint32_t in_flight = 0;            // with all of it
  uint32_t acknowledgments = 0;      // segments that said so
  Duration round_trip{};             // of the packet sent last, 0: none was measured
  Duration smoothed{};               // SRTT, 0: not measured yet
  Duration minimum{};                // the least of the last minutes, 0: not measured yet
  uint64_t delivered_total = 0;      // over the connection's life, these included
  uint64_t prior_delivered = 0;      // as the sampled packet was sent
  uint32_t sampled = 0;              // bytes delivered since then, 0: no sample
  double rate = 0;                   // of the sample, bytes per second, 0: no sample
  uint32_t sent_in_flight = 0;       // in flight as the sampled packet was sent, it included
  uint64_t lost_since = 0;           // lost since then
  bool application_limited = false;  // the sample measures the writer, not the path
  bool window_limited = false;       // the window is all in use
  bool advanced = false;             // the cumulative acknowledgment moved
  uint32_t window_end = 0;           // sequence number behind what was sent
  uint32_t acknowledged = 0;         // sequence number of the cumulative acknowledgment
};

// A run of bytes that was found lost.
struct Loss {
  uint32_t size = 0;
  uint32_t sent_in_flight = 0;  // in flight as it was sent, it included
  uint64_t lost_since = 0;      // lost since then, it included
  uint64_t delivered_total = 0;
  bool application_limited = false;
};

class CongestionControl {
 public:
  // RFC 6928: before the first acknowledgment.
  static constexpr uint32_t kInitialSegments = 10;

  virtual ~CongestionControl() = default;

  virtual uint32_t window() const = 0;
  // 0: send whatever the window allows at once.
  virtual double pacing_rate() const = 0;
  // How many bytes may leave together.
  virtual uint32_t quantum() const = 0;

  virtual void on_lost(const Loss &loss) = 0;
  virtual void on_delivery(const Delivery &delivery) = 0;
  // A repetition of `size` bytes leaves, or new data in recovery.
  virtual void on_sent(uint32_t size) = 0;
  // Fast recovery begins (RFC 6675 section 5), with so much outstanding; and ends. `in_flight` leaves out what is lost.
  virtual void on_recovery(uint32_t outstanding, Time now) = 0;
  virtual void on_recovered(uint32_t in_flight) = 0;
  // Something arrived with a mark of congestion (RFC 3168); once a round trip, and not in recovery.
  virtual void on_marked(uint32_t in_flight, uint64_t delivered_total, Time now) = 0;
  // The retransmission timer expired; `again`: once more for the same data.
  virtual void on_timeout(uint32_t in_flight, bool again, Time now) = 0;
  // What was taken for a loss was none (every repetition was a duplicate).
  virtual void on_spurious(Time now) = 0;
  // Sending begins again with nothing in flight, after `idle`.
  virtual void on_restart(Time now, Duration idle, Duration timeout) = 0;
};

// `round_trip`: of the handshake, 0 when it was not measured. `seed`: any number, for choices that must not be alike on
// all connections.
std::unique_ptr<CongestionControl> make_congestion_control(Congestion kind, uint32_t mss, Duration round_trip, Time now,
                                                           uint32_t seed);

}  // namespace slipgate
