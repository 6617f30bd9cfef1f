// The protocol's numbers (whitepaper section 6.1), apart from ours.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace slipgate::wireguard {

// The whitepaper's, by its names.
inline constexpr uint64_t REKEY_AFTER_MESSAGES = uint64_t{1} << 60;
inline constexpr uint64_t REJECT_AFTER_MESSAGES = ~uint64_t{0} - (uint64_t{1} << 13);  // 2^64 - 2^13 - 1
inline constexpr Duration REKEY_AFTER_TIME = seconds(120);
inline constexpr Duration REJECT_AFTER_TIME = seconds(180);
inline constexpr Duration REKEY_ATTEMPT_TIME = seconds(90);
inline constexpr Duration REKEY_TIMEOUT = seconds(5);
inline constexpr Duration KEEPALIVE_TIMEOUT = seconds(10);

// Sections 5.3 and 5.4.7: our cookie secret changes, and a cookie is used, for so long.
inline constexpr Duration COOKIE_SECRET_MAX_AGE = seconds(120);
// A cookie that arrived this close to its end may be out of date at its maker's when it gets there.
inline constexpr Duration COOKIE_SECRET_LATENCY = seconds(5);

// Section 6.1: "a random jitter" is added to retries, so that two peers that began together do not go on together.
inline constexpr Duration REKEY_TIMEOUT_JITTER = milliseconds(333);

// Ours. Room for reordering that comes with receive batches and many queues (RFC 6479 section 1).
inline constexpr size_t kReplayWindow = 8192;
// A peer's initiations closer together than this are dropped: an honest one waits REKEY_TIMEOUT.
inline constexpr Duration kInitiationSpacing = milliseconds(20);
// Packets waiting for a handshake: per peer, and the buffers they hold on the whole device.
inline constexpr size_t kStagedPackets = 128;
inline constexpr size_t kStagedBytes = size_t{32} << 20;
// Packets are padded to a multiple of this (section 5.4.6).
inline constexpr size_t kPadding = 16;

}  // namespace slipgate::wireguard
