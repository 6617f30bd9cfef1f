/* Functions of src/stack that lwIP calls where its options name them. */
#ifndef SLIPGATE_LWIP_HOOKS_H
#define SLIPGATE_LWIP_HOOKS_H

#include "lwip/arch.h"
#include "lwip/ip_addr.h"

struct tcp_pcb;

#ifdef __cplusplus
extern "C" {
#endif
/* RFC 6528: the initial sequence number of a connection. */
u32_t slipgate_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port);
#ifdef __cplusplus
}
#endif
#define LWIP_HOOK_TCP_ISN slipgate_tcp_isn

#endif
