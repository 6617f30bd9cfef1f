/* What lwIP must know about compiler and platform: the usual Unix ones. */
#ifndef SLIPGATE_LWIP_CC_H
#define SLIPGATE_LWIP_CC_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LWIP_ERRNO_STDINCLUDE 1

/* As macros: lwIP's own are functions in another unit, 7 % of the instructions of a received segment. */
#define lwip_htons(x) ((u16_t)__builtin_bswap16(x))
#define lwip_htonl(x) ((u32_t)__builtin_bswap32(x))

#ifdef __cplusplus
extern "C" {
#endif
uint32_t slipgate_lwip_random(void); /* port/access.c */
#ifdef __cplusplus
}
#endif
#define LWIP_RAND() slipgate_lwip_random()

#define LWIP_PLATFORM_DIAG(x) \
  do {                        \
    printf x;                 \
  } while (0)
#define LWIP_PLATFORM_ASSERT(x)                                        \
  do {                                                                 \
    fprintf(stderr, "lwIP: %s (%s line %d)\n", x, __FILE__, __LINE__); \
    abort();                                                           \
  } while (0)

#endif
