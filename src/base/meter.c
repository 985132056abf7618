#include "base/meter.h"

enum { BUCKETS = METER_SECONDS + 1, MINUTE = 60 };

static uint64_t *bucket(struct meter *m, int64_t second)
{
	return &m->buckets[second % BUCKETS];
}

/* Empties the buckets of the seconds that have passed. */
static void move_on(struct meter *m, int64_t second)
{
	if (second - m->second > BUCKETS)
		m->second = second - BUCKETS;
	while (m->second < second)
		*bucket(m, ++m->second) = 0;
}

void meter_add(struct meter *m, uint64_t n, int64_t tick_ms)
{
	move_on(m, tick_ms / 1000);
	m->total += n;
	*bucket(m, m->second) += n;
}

struct meter_sums meter_read(struct meter *m, int64_t tick_ms)
{
	struct meter_sums sums = {.total = m->total};
	move_on(m, tick_ms / 1000);
	for (int64_t back = 1; back <= METER_SECONDS && back <= m->second; back++) {
		uint64_t n = *bucket(m, m->second - back);
		sums.second += back == 1 ? n : 0;
		sums.minute += back <= MINUTE ? n : 0;
		sums.minutes5 += n;
	}
	return sums;
}
