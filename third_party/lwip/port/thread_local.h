/* Makes lwIP's variables thread-local without editing its sources: every one of its units is compiled with this header
   included first (-include) and with -fopenmp.

   A declaration followed by `#pragma omp threadprivate` makes the variable thread-local storage, for static ones too
   when they are declared here ahead of their definition. Nothing of the OpenMP runtime is used. A unit that forgot this
   header fails to link (TLS definition against non-TLS reference). The C++ side reaches the variables through the
   accessors of port/access.h. */
#ifndef SLIPGATE_LWIP_THREAD_LOCAL_H
#define SLIPGATE_LWIP_THREAD_LOCAL_H

#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/opt.h"
#include "lwip/priv/nd6_priv.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/udp.h"

#pragma omp threadprivate(ip_data, netif_list, netif_default)
#pragma omp threadprivate(tcp_active_pcbs, tcp_tw_pcbs, tcp_bound_pcbs, tcp_listen_pcbs)
#pragma omp threadprivate(tcp_ticks, tcp_active_pcbs_changed, tcp_input_pcb)
#pragma omp threadprivate(udp_pcbs)

extern struct nd6_neighbor_cache_entry neighbor_cache[LWIP_ND6_NUM_NEIGHBORS];
extern struct nd6_destination_cache_entry destination_cache[LWIP_ND6_NUM_DESTINATIONS];
extern struct nd6_prefix_list_entry prefix_list[LWIP_ND6_NUM_PREFIXES];
extern struct nd6_router_list_entry default_router_list[LWIP_ND6_NUM_ROUTERS];
#pragma omp threadprivate(neighbor_cache, destination_cache, prefix_list, default_router_list)
#pragma omp threadprivate(reachable_time, retrans_timer)

#ifdef THREAD_LOCAL_TCP
static u16_t tcp_port;
static u8_t tcp_timer, tcp_timer_ctr;
#pragma omp threadprivate(tcp_port, tcp_timer, tcp_timer_ctr)
#endif

#ifdef THREAD_LOCAL_TCP_IN
static struct tcp_seg inseg;
static struct tcp_hdr *tcphdr;
static u16_t tcphdr_optlen, tcphdr_opt1len, tcp_optidx, tcplen;
static u8_t *tcphdr_opt2;
static u32_t seqno, ackno;
static tcpwnd_size_t recv_acked;
static u8_t flags, recv_flags;
static struct pbuf *recv_data;
#pragma omp threadprivate(inseg, tcphdr, tcphdr_optlen, tcphdr_opt1len, tcp_optidx, tcplen, tcphdr_opt2)
#pragma omp threadprivate(seqno, ackno, recv_acked, flags, recv_flags, recv_data)
#endif

#ifdef THREAD_LOCAL_UDP
static u16_t udp_port;
#pragma omp threadprivate(udp_port)
#endif

#ifdef THREAD_LOCAL_NETIF
static u8_t netif_num;
#pragma omp threadprivate(netif_num)
#endif

#ifdef THREAD_LOCAL_IP4
static u16_t ip_id;
#pragma omp threadprivate(ip_id)
#endif

#ifdef THREAD_LOCAL_ND6
static netif_addr_idx_t nd6_cached_destination_index;
static ip6_addr_t multicast_address;
#pragma omp threadprivate(nd6_cached_destination_index, multicast_address)
#endif

#endif
