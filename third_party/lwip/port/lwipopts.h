/* lwIP's options. What each does: lwip/opt.h. Why it has this value: here. */
#ifndef SLIPGATE_LWIPOPTS_H
#define SLIPGATE_LWIPOPTS_H

/* One thread per world, no operating system layer, no sockets: the raw interface, driven by src/stack alone. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_TIMERS 0 /* the stack's timer wheel visits the connections that need it */
#define LWIP_STATS 0

/* Both families, TCP and UDP; everything between IP and the wire is ours. */
#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define LWIP_IPV6_SCOPES 0 /* any destination is reached through the one netif */
#define LWIP_TCP 1
#define LWIP_UDP 1
#define LWIP_ICMP 1
#define LWIP_ICMP6 1
#define LWIP_RAW 0
#define LWIP_ARP 0
#define LWIP_ETHERNET 0
#define LWIP_IGMP 0
#define LWIP_IPV6_MLD 0
#define LWIP_IPV6_AUTOCONFIG 0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT 0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define LWIP_ND6_QUEUEING 0
#define LWIP_ND6_TCP_REACHABILITY_HINTS 0
#define LWIP_ND6_NUM_NEIGHBORS 1
#define LWIP_ND6_NUM_DESTINATIONS 1
#define LWIP_ND6_NUM_PREFIXES 1
#define LWIP_ND6_NUM_ROUTERS 1
#define IP_REASSEMBLY 0 /* src/stack/reassembly.h */
#define IP_FRAG 0       /* src/stack/fragments.h */
#define LWIP_IPV6_REASS 0
#define LWIP_IPV6_FRAG 0
#define IP_FORWARD 0
#define LWIP_IPV6_FORWARD 0
#define LWIP_NETIF_LOOPBACK 0
#define LWIP_HAVE_LOOPIF 0

/* Memory from malloc: its thread cache is as fast as pools, and nothing is kept for connections that are gone. Our own
   limits come first, so that lwIP never has to kill a connection to make room. */
#define MEM_ALIGNMENT 8
#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1

/* Checksums: verified before lwIP sees a packet, filled in by the copy into the packet that leaves. */
#define CHECKSUM_GEN_IP 0
#define CHECKSUM_GEN_TCP 0
#define CHECKSUM_GEN_UDP 0
#define CHECKSUM_GEN_ICMP 0
#define CHECKSUM_GEN_ICMP6 0
#define CHECKSUM_CHECK_IP 0
#define CHECKSUM_CHECK_TCP 0
#define CHECKSUM_CHECK_UDP 0
#define CHECKSUM_CHECK_ICMP 0
#define CHECKSUM_CHECK_ICMP6 0

#define LWIP_SUPPORT_CUSTOM_PBUF 1 /* received packets are lent to lwIP, not copied */
#define IP_DEFAULT_TTL 64

/* TCP. The netif's MTU and the peer's option limit the segments further. */
#define TCP_MSS 65000
/* Scale 7: windows up to 8 MiB in steps of 128 bytes. TCP_WND is only the most that a window may be tuned to. */
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 7
#define TCP_WND (8 * 1024 * 1024 - 128)
/* Zero steps: the stack announces windows itself (connection.cc) and must not be overruled by these. */
#define TCP_WND_UPDATE_THRESHOLD TCP_WND
#define TCP_SND_BUF (16 * 1024 * 1024)
#define TCP_SND_QUEUELEN 0xfff0 /* in pbufs; the send buffer's bytes are the limit that counts */
#define TCP_OVERSIZE 0          /* nothing is copied into lwIP's buffers */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1
#define LWIP_TCP_SACK_OUT 1
#define LWIP_TCP_MAX_SACK_NUM 4
#define LWIP_TCP_TIMESTAMPS 0
#define LWIP_TCP_KEEPALIVE 0
#define TCP_LISTEN_BACKLOG 0
#define SO_REUSE 0
/* Out-of-order data of one flow (datapath: 0 would be unlimited). */
#define TCP_QUEUE_OOSEQ 1
#define TCP_OOSEQ_MAX_BYTES (4 * 1024 * 1024)
#define TCP_OOSEQ_MAX_PBUFS 4096

/* The slow timer every 100 ms: retransmission after 200 ms at the earliest, not after a second. */
#define TCP_TMR_INTERVAL 50
#define LWIP_TCP_RTO_TIME 1000 /* RFC 6298 section 2.1 */
#define TCP_MSL 15000UL /* LAST_ACK without a word from the peer; TIME_WAIT is bounded by the stack's own timer */
#define TCP_MAXRTX 12
#define TCP_SYNMAXRTX 12 /* one a second: an opening towards a client fails after 13 s */

#define LWIP_HOOK_FILENAME "hooks.h"

#ifndef SLIPGATE_LWIP_ASSERT
#define LWIP_NOASSERT 1
#endif

#endif
