/* retry: when to try again, and when to stop. Pure: time and chance are arguments. */
#ifndef MAIL_RETRY_H
#define MAIL_RETRY_H

#include "conf/conf.h"

/* After a temporary failure at `now_ms`: true with the moment of the next attempt, false if the
 * message is given up (RFC 5321 4.5.4.1).
 *
 * `attempts` counts those made, the failed one included; the wait after attempt n is the n-th of
 * relay.retry, the last one repeats. It is made up to 10% longer or shorter by `random` (any
 * number), so that mail which failed together does not come back together. A wait that would end
 * after arrival + queue.give_up ends at that moment: the last attempt is made then, and what fails
 * at or after it is given up. All times in milliseconds of the wall clock. */
bool retry_next(const struct conf *c, uint32_t attempts, int64_t arrived_ms, int64_t now_ms,
	uint32_t random, int64_t *ret_at_ms);

#endif
