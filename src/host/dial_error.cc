#include "host/dial_error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "host/error_queue.h"
#include "wire/icmp.h"

namespace slipgate {

bool is_exhaustion(int code) {
  return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

std::string DialError::to_string() const {
  std::string text = std::generic_category().message(code);
  if (has_icmp) {
    text += fmt::format(" (ICMP{} type {} code {})", icmp_is_v4 ? "" : "v6", icmp_type, icmp_code);
  }
  if (reason) text += fmt::format(": {}", description_of(*reason));
  return text;
}

DialError local_error(int code) {
  DialError error{.code = code, .local = true};
  switch (code) {
    case ENOENT:
    case EHOSTUNREACH:  // TIPC: nobody has bound the service
    case ENODEV:        // vsock: nobody has the CID
      error.reason = DropReason::connection_refused;
      break;
    case EAFNOSUPPORT:
    case EACCES:
    case EPERM:
      error.reason = DropReason::host_error;
      break;
    default:
      break;
  }
  return error;
}

Refusal refusal_for(const DialError &error, bool client_is_v4) {
  if (error.local) return error.code == ETIMEDOUT || error.code == ECANCELED ? Refusal::silence() : Refusal::reset();
  if (error.has_icmp && error.icmp_is_v4 == client_is_v4) {
    bool expired = error.icmp_type == (client_is_v4 ? icmp::kTimeExceeded : icmpv6::kTimeExceeded);
    return Refusal::unreachable(error.icmp_type, error.icmp_code, expired ? error.reporter : IpAddress());
  }
  uint8_t type, code;
  switch (error.code) {
    case ETIMEDOUT:
    case ECANCELED:
    case EINVAL:  // what Linux says of a blackhole route
      return Refusal::silence();
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case EACCES:
    case EPERM:
    case ENOPROTOOPT:
    case EAFNOSUPPORT:
      if (describe_in_icmp(error.code, client_is_v4, type, code)) return Refusal::unreachable(type, code);
      break;
    case EADDRNOTAVAIL:
      // IPv6: the host has no address to speak from, so the client shall fall back at once. IPv4: local ports ran out.
      if (!client_is_v4) return Refusal::unreachable(1, 0);
      break;
    default:
      break;
  }
  return Refusal::reset();
}

DropReason drop_reason_for(const DialError &error) {
  if (error.reason) return *error.reason;
  switch (error.code) {
    case ECONNREFUSED:
    case ECONNRESET:
      return DropReason::connection_refused;
    case ETIMEDOUT:
      return DropReason::host_timeout;
    case ECANCELED:
      return DropReason::request_cancelled;
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case EACCES:
    case EPERM:
    case ENOPROTOOPT:
    case EINVAL:
      return DropReason::host_unreachable;
    case EAFNOSUPPORT:
      return DropReason::no_ipv6;
    case EADDRNOTAVAIL:
      return error.icmp_is_v4 ? DropReason::host_error : DropReason::no_ipv6;
    default:
      return is_exhaustion(error.code) ? DropReason::descriptors_exhausted : DropReason::host_error;
  }
}

}  // namespace slipgate
