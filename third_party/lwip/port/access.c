#include "access.h"

#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"

static __thread int users;
static __thread int initialized;
static __thread struct netif the_netif;
static __thread struct tcp_pcb_listen *listener;
static __thread struct udp_pcb *datagrams;
static __thread access_output_fn output_function;
static __thread struct pbuf *received_payload;
/* lwIP's own counter of timer calls, which it hides: both begin at 0 and count the same calls. */
static __thread u8_t timer_calls;

/* Used for first port numbers that nothing asks for; nothing secret depends on it. */
uint32_t slipgate_lwip_random(void) {
  static __thread uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return state;
}

static err_t output4(struct netif *netif, struct pbuf *packet, const ip4_addr_t *to) {
  (void)netif;
  (void)to;
  return output_function(packet);
}

static err_t output6(struct netif *netif, struct pbuf *packet, const ip6_addr_t *to) {
  (void)netif;
  (void)to;
  return output_function(packet);
}

static err_t start_netif(struct netif *netif) {
  netif->name[0] = 's';
  netif->name[1] = 'g';
  netif->output = output4;
  netif->output_ip6 = output6;
  netif->mtu = 1500;
  netif->mtu6 = 1500;
  return ERR_OK;
}

static err_t no_input(struct pbuf *packet, struct netif *netif) {
  (void)netif;
  pbuf_free(packet);
  return ERR_OK;
}

static void datagram_received(void *argument, struct udp_pcb *pcb, struct pbuf *payload, const ip_addr_t *from, u16_t port) {
  (void)argument;
  (void)pcb;
  (void)from;
  (void)port;
  received_payload = payload;
}

void access_start(access_output_fn output, tcp_accept_fn accept) {
  if (users++) return;
  if (!initialized) {
    lwip_init();
    initialized = 1;
  }
  output_function = output;
  /* The netif's address is never used: every packet names its source. It only must not be "any". */
  ip4_addr_t address, mask, gateway;
  IP4_ADDR(&address, 192, 0, 2, 1);
  IP4_ADDR(&mask, 255, 255, 255, 255);
  IP4_ADDR(&gateway, 0, 0, 0, 0);
  netif_add(&the_netif, &address, &mask, &gateway, NULL, start_netif, no_input);
  netif_set_default(&the_netif);
  netif_set_link_up(&the_netif);
  netif_set_up(&the_netif);

  struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_ANY);
  tcp_bind(pcb, IP_ANY_TYPE, 1);
  tcp_bound_pcbs = NULL;
  listener = (struct tcp_pcb_listen *)tcp_listen_with_backlog(pcb, 1);
  listener->netif_idx = netif_get_index(&the_netif);
  tcp_accept((struct tcp_pcb *)listener, accept);
  tcp_listen_pcbs.listen_pcbs = NULL;

  datagrams = udp_new_ip_type(IPADDR_TYPE_ANY);
  udp_recv(datagrams, datagram_received, NULL);
  udp_pcbs = NULL;
}

void access_stop(void) {
  if (--users) return;
  tcp_listen_pcbs.listen_pcbs = listener;
  listener->next = NULL;
  tcp_close((struct tcp_pcb *)listener);
  listener = NULL;
  udp_pcbs = datagrams;
  udp_remove(datagrams);
  datagrams = NULL;
  netif_remove(&the_netif);
}

u8_t access_netif_index(void) { return netif_get_index(&the_netif); }

void access_show(struct tcp_pcb *active, struct tcp_pcb *time_wait, u32_t ticks, u16_t mtu) {
  if (active) active->next = NULL;
  if (time_wait) time_wait->next = NULL;
  tcp_active_pcbs = active;
  tcp_tw_pcbs = time_wait;
  tcp_ticks = ticks;
  the_netif.mtu = mtu;
  the_netif.mtu6 = mtu;
}

void access_hide(struct tcp_pcb **active, struct tcp_pcb **time_wait) {
  *active = tcp_active_pcbs;
  *time_wait = tcp_tw_pcbs;
  tcp_active_pcbs = NULL;
  tcp_tw_pcbs = NULL;
}

struct tcp_pcb *access_active(void) { return tcp_active_pcbs; }

/* What ip_input() would have found: nothing behind this looks at more than the addresses and the netif. */
static void set_packet(const ip_addr_t *source, const ip_addr_t *destination) {
  ip_data.current_netif = &the_netif;
  ip_data.current_input_netif = &the_netif;
  ip_data.current_ip4_header = NULL;
  ip_data.current_ip6_header = NULL;
  ip_data.current_ip_header_tot_len = 0;
  ip_addr_copy(ip_data.current_iphdr_src, *source);
  ip_addr_copy(ip_data.current_iphdr_dest, *destination);
}

void access_tcp_input(struct pbuf *segment, const ip_addr_t *source, const ip_addr_t *destination) {
  set_packet(source, destination);
  tcp_input(segment, &the_netif);
}

void access_tcp_accept(struct pbuf *segment, const ip_addr_t *source, const ip_addr_t *destination, u16_t port) {
  listener->local_port = port;
  listener->next = NULL;
  tcp_listen_pcbs.listen_pcbs = listener;
  access_tcp_input(segment, source, destination);
  tcp_listen_pcbs.listen_pcbs = NULL;
}

struct pbuf *access_udp_input(struct pbuf *datagram, const ip_addr_t *source, const ip_addr_t *destination, u16_t port) {
  datagrams->local_port = port;
  datagrams->next = NULL;
  udp_pcbs = datagrams;
  set_packet(source, destination);
  received_payload = NULL;
  udp_input(datagram, &the_netif);
  udp_pcbs = NULL;
  return received_payload;
}

err_t access_udp_send(struct pbuf *payload, const ip_addr_t *source, u16_t source_port, const ip_addr_t *destination,
                      u16_t destination_port, u8_t ttl, u8_t traffic_class) {
  datagrams->local_port = source_port;
  datagrams->ttl = ttl;
  datagrams->tos = traffic_class;
  return udp_sendto_if_src(datagrams, payload, destination, destination_port, &the_netif, source);
}

void access_slow_tick(struct tcp_pcb *pcb, u32_t ticks) {
  /* A PCB that carries the number of this very call would be passed over. */
  pcb->last_timer = timer_calls;
  timer_calls++;
  tcp_ticks = ticks - 1;
  tcp_slowtmr();
}
