/* meter: counts what happens and knows how often it did lately, without a timer: a bucket for each
 * of the last seconds, moved on when somebody counts or reads. So a process that does nothing is not
 * woken to measure that. */
#ifndef BASE_METER_H
#define BASE_METER_H

#include <stdint.h>

enum { METER_SECONDS = 300 };

/* Zeroed at first. */
struct meter {
	uint64_t total;
	int64_t second;                      /* of the newest bucket */
	uint64_t buckets[METER_SECONDS + 1]; /* by second; the newest is not full yet */
};

/* How much in whole seconds: the last one, the last 60, the last METER_SECONDS. */
struct meter_sums {
	uint64_t total, second, minute, minutes5;
};

/* `tick_ms` is clock_tick_ms(); it does not go back. */
void meter_add(struct meter *m, uint64_t n, int64_t tick_ms);
struct meter_sums meter_read(struct meter *m, int64_t tick_ms);

#endif
