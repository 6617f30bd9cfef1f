/* lwIP's thread-local variables behind functions, for src/stack/world.cc: C++ must not name them (it would need
   -fopenmp, and g++'s UBSan reports a false null load).

   One netif, one listener and one UDP PCB per thread; the lists that lwIP searches hold what is shown to it and nothing
   else. All functions: on the thread that called access_start(). */
#ifndef SLIPGATE_LWIP_ACCESS_H
#define SLIPGATE_LWIP_ACCESS_H

#include "lwip/ip_addr.h"
#include "lwip/tcp.h"
#include "lwip/udp.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Packets that lwIP sends, from the IP header on; still lwIP's after the call. */
typedef err_t (*access_output_fn)(struct pbuf *packet);

/* Counted: the first makes the thread's netif and PCBs, the last access_stop() removes them. */
void access_start(access_output_fn output, tcp_accept_fn accept);
void access_stop(void);
u8_t access_netif_index(void);

/* What lwIP sees from now on: these two PCBs (or null), time `ticks` of TCP_SLOW_INTERVAL, segments for packets of
 * `mtu`. */
void access_show(struct tcp_pcb *active, struct tcp_pcb *time_wait, u32_t ticks, u16_t mtu);
/* Nothing any more; which PCBs there are now. */
void access_hide(struct tcp_pcb **active, struct tcp_pcb **time_wait);
/* What it sees now. */
struct tcp_pcb *access_active(void);

/* A segment, from its TCP header on; lwIP frees it. */
void access_tcp_input(struct pbuf *segment, const ip_addr_t *source, const ip_addr_t *destination);
/* The same for a SYN, with a listener on its port. */
void access_tcp_accept(struct pbuf *segment, const ip_addr_t *source, const ip_addr_t *destination, u16_t port);
/* A datagram, from its UDP header on: its payload, which is the caller's now; null when lwIP refused it. */
struct pbuf *access_udp_input(struct pbuf *datagram, const ip_addr_t *source, const ip_addr_t *destination, u16_t port);
err_t access_udp_send(struct pbuf *payload, const ip_addr_t *source, u16_t source_port, const ip_addr_t *destination,
                      u16_t destination_port, u8_t ttl, u8_t traffic_class);
/* Shows the PCB one slow tick, which ends at `ticks`. */
void access_slow_tick(struct tcp_pcb *pcb, u32_t ticks);

#ifdef __cplusplus
}
#endif
#endif
