/* clock: the only source of time. Wall time for people and databases, steady time for waiting.
 * Tests may set the wall clock; nothing else may. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds since 1970-01-01 UTC. */
int64_t clock_wall_ms(void);
/* Milliseconds that never go back. */
int64_t clock_steady_ms(void);
/* The same, up to one tick of the kernel (4 ms) ago, for a fifth of the cost. */
int64_t clock_tick_ms(void);
/* Pins the wall clock (tests); a negative value lets it run again. */
void clock_set_wall_ms(int64_t ms);

enum { CLOCK_TEXT = 40 };
/* "2026-11-21T19:13:33.123Z" (RFC 3339, UTC) into dst, which is returned. */
char *clock_rfc3339(int64_t wall_ms, char dst[CLOCK_TEXT]);
/* "Sat, 21 Nov 2026 19:13:33 +0000" (RFC 5322 3.3) into dst, which is returned. */
char *clock_rfc5322(int64_t wall_ms, char dst[CLOCK_TEXT]);

#endif
