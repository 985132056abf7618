#include "mail/retry.h"

/* 0 to 0xffffffff becomes -10% to +10% of `wait`. */
static int64_t jitter(int64_t wait, uint32_t random)
{
	int64_t span = wait / 5;
	int64_t part = (int64_t)((double)span * ((double)random / (double)UINT32_MAX));
	return wait - span / 2 + part;
}

bool retry_next(const struct conf *c, uint32_t attempts, int64_t arrived_ms, int64_t now_ms,
	uint32_t random, int64_t *ret_at_ms)
{
	const struct conf_durations *waits = &c->relay_retry;
	int64_t end = arrived_ms + c->queue_give_up_ms;
	if (now_ms >= end)
		return false;
	size_t i = attempts ? attempts - 1 : 0;
	int64_t at = now_ms + jitter(waits->ms[i < waits->n ? i : waits->n - 1], random);
	*ret_at_ms = at < end ? at : end;
	return true;
}
