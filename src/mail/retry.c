#include "mail/retry.h"

/* 0 to UINT32_MAX becomes -10% to +10% of `wait`. At most 30 days (the limit of relay.retry) times
 * 2^32 fits. */
static int64_t jitter(int64_t wait, uint32_t random)
{
	int64_t span = wait / 5;
	return wait - span / 2 + span * (int64_t)random / UINT32_MAX;
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
