/* jumps: the clocks of store, by which all that waits or was kept is measured, and what the wall clock
 * did to them (jumps.c tells it). */
#ifndef STORE_JUMPS_H
#define STORE_JUMPS_H

#include <stdbool.h>
#include <stdint.h>

struct store;

struct jumps {
	int fd;
	int64_t jumped_ms;  /* the sum of all */
	int64_t trusted_ms; /* queue time from which on the clock is trusted again */
	int64_t ahead_ms;   /* of the steady clock, when it was last looked at */
};

void jumps_open(struct store *s, const char *home);
void jumps_close(struct store *s);
/* Notes that store is there. */
void jumps_note(struct store *s);
/* The wall clock, after a look whether it jumped. */
int64_t store_now(struct store *s);
/* Time as the queue has lived through it: no jump, little of the time without a store. */
int64_t store_queue_now(struct store *s);
/* False for a day after it jumped far forward: it may be wrong. */
bool store_trusts_clock(struct store *s);

#endif
