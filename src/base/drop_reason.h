// Why a packet, a request or a flow was not served. The name is the counter's name, the log's word and the test's
// expectation. To add one: one line here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace slipgate {

// X(name, "what happened, for a person")
#define SLIPGATE_DROP_REASONS(X)                                                        \
  /* wire */                                                                            \
  X(too_short, "shorter than its header says")                                          \
  X(bad_version, "neither IPv4 nor IPv6")                                               \
  X(bad_header, "header field out of range")                                            \
  X(bad_checksum, "checksum does not match")                                            \
  X(bad_option, "malformed option or extension header")                                 \
  X(unknown_protocol, "transport protocol not served")                                  \
  X(bad_source, "source address that nobody may use")                                   \
  X(bad_destination, "destination address or port that nobody may use")                 \
  /* wireguard */                                                                       \
  X(wireguard_bad_type, "not a WireGuard message")                                      \
  X(wireguard_bad_length, "WireGuard message of a wrong length")                        \
  X(wireguard_bad_mac1, "mac1 wrong: sender does not know our public key")              \
  X(wireguard_bad_mac2, "mac2 wrong or missing under load: cookie sent")                \
  X(wireguard_bad_handshake, "handshake message does not authenticate")                 \
  X(wireguard_unknown_peer, "handshake of a peer that is not configured")               \
  X(wireguard_replayed_handshake, "initiation with an old timestamp")                   \
  X(wireguard_handshake_flood, "too many initiations of one source or peer")            \
  X(wireguard_unknown_index, "receiver index that no session has")                      \
  X(wireguard_expired_session, "session too old or used up")                            \
  X(wireguard_bad_tag, "transport packet does not authenticate")                        \
  X(wireguard_replay, "counter seen before or too old")                                 \
  X(wireguard_bad_source, "inner source address not in the peer's AllowedIPs")          \
  X(wireguard_bad_inner, "inner packet is not IP or longer than what came")             \
  X(wireguard_bad_cookie, "cookie reply that we did not ask for or that does not open") \
  X(wireguard_no_peer, "no peer has the destination in its AllowedIPs")                 \
  X(wireguard_no_endpoint, "peer has no endpoint yet")                                  \
  X(wireguard_staged_overflow, "too many packets waiting for a handshake")              \
  X(wireguard_handshake_gave_up, "peer did not answer the handshake for 90 s")          \
  X(wireguard_no_session, "no session to the peer")                                     \
  /* gue */                                                                             \
  X(gue_bad_header, "shorter than its GUE header says")                                 \
  X(gue_unknown_variant, "GUE variant that does not exist")                             \
  X(gue_control_message, "GUE control message: none is served")                         \
  X(gue_unknown_field, "GUE flag or private data that nobody agreed on")                \
  X(gue_unknown_protocol, "GUE payload that is neither IPv4 nor IPv6")                  \
  X(gue_bad_inner, "inside is no IP packet, or not the one that was announced")         \
  X(gue_bad_source, "inner source address not in --allowed-ips")                        \
  X(gue_stranger, "datagram from elsewhere than --peer-endpoint")                       \
  X(gue_no_peer, "nobody was heard of to send to")                                      \
  /* stack */                                                                           \
  X(no_connection, "TCP segment of no connection")                                      \
  X(duplicate_syn, "SYN of a request that is being dialled")                            \
  X(request_cancelled, "client gave up before the answer")                              \
  X(stack_refused, "segment not acceptable to the connection")                          \
  X(out_of_order_limit, "too much out-of-order data of one flow or client")             \
  X(held_limit, "client's connections hold too much that is not read")                  \
  X(fragment_overlap, "overlapping fragments (RFC 5722, RFC 8900)")                     \
  X(fragment_limit, "too many fragments waiting")                                       \
  X(fragment_timeout, "fragments that never became whole")                              \
  X(fragment_malformed, "fragment with impossible offset or length")                    \
  X(ttl_expired, "TTL or hop limit ran out")                                            \
  X(icmp_ignored, "ICMP message that concerns no flow")                                 \
  X(buffers_exhausted, "packet buffers exhausted")                                      \
  /* flows */                                                                           \
  X(denied_by_policy, "destination not allowed by the policy")                          \
  X(too_many_flows, "--max-flows reached")                                              \
  X(too_many_flows_of_client, "--max-flows-per-client reached")                         \
  X(too_many_connecting, "--max-connecting-per-client reached")                         \
  X(rate_of_client, "packet beyond the client's --rate")                                \
  X(connection_refused, "host connection refused")                                      \
  X(host_unreachable, "host or network unreachable from here")                          \
  X(host_timeout, "host connection timed out")                                          \
  X(host_error, "host socket failed")                                                   \
  X(descriptors_exhausted, "no more file descriptors")                                  \
  X(no_ping_socket, "kernel refuses ping sockets (net.ipv4.ping_group_range)")          \
  X(no_ipv6, "host has no IPv6")                                                        \
  X(no_service, "nothing is served at this address and port")                           \
  X(egress_no_udp, "--egress proxy carries no datagrams")                               \
  X(egress_no_echo, "--egress proxy carries no echoes")                                 \
  X(proxy_unreachable, "--egress proxy unreachable")                                    \
  X(proxy_failed, "--egress proxy breaks its protocol")                                 \
  X(proxy_login, "--egress proxy refuses our login, or wants one")                      \
  X(idle_timeout, "flow idle for too long")                                             \
  X(message_too_long, "datagram too long for the path")                                 \
  X(send_failed, "host socket did not take the datagram")                               \
  /* links and dns */                                                                   \
  X(sender_too_fast, "sender is faster than it can be served beside others")            \
  X(link_queue_full, "transmit queue of the link full")                                 \
  X(mailbox_full, "too much waits for the shard of the peer")                           \
  X(link_send_failed, "link's socket did not take the datagram")                        \
  X(dns_malformed, "malformed DNS message")                                             \
  X(dns_limit, "too many DNS queries in flight, or streams")                            \
  X(dns_upstream_failed, "upstream resolver did not answer")

enum class DropReason : uint8_t {
#define X(name, text) name,
  SLIPGATE_DROP_REASONS(X)
#undef X
};

#define X(name, text) +1
inline constexpr size_t kDropReasons = 0 SLIPGATE_DROP_REASONS(X);
#undef X

std::string_view name_of(DropReason reason);         // "bad_checksum"
std::string_view description_of(DropReason reason);  // "checksum does not match"

}  // namespace slipgate
