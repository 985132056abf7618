/* watch: what somebody who watches the store sees: how much happens, who waits for what, and which
 * messages were put off last. Kept while nobody watches too, for next to nothing. */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H

#include "base/meter.h"
#include "store/store.h"

/* Messages accepted, recipients in the others, bytes of messages taken in and given to next hops. */
enum watch_meter {
	WATCH_ACCEPTED,
	WATCH_DELIVERED,
	WATCH_DEFERRED,
	WATCH_BOUNCED,
	WATCH_EXPIRED,
	WATCH_BYTES_IN,
	WATCH_BYTES_OUT,
	WATCH_METERS,
};
struct meter_sums store_rate(struct store *s, enum watch_meter which);

/* The summary of all next hops and causes, made anew if the last one is not just made: how often
 * depends on how long it takes. Once the queue is read; good until the next call. */
enum { WATCH_DESTINATIONS = 50 };
const struct store_summary *store_watch_summary(struct store *s);

/* The recipients that wait and are not at work: those put off last first, then those of the newest
 * messages. At most `limit`, in `arena`. 0, or -1 with *err. */
int store_waiting(struct store *s, uint32_t limit, struct arena *arena, struct recipient_row **ret,
	uint32_t *ret_n, struct err *err);

/* ---- for the files of store/ */
struct watch *watch_new(void);
void watch_free(struct watch *w);
void watch_count(struct store *s, enum watch_meter which, uint64_t n);
/* What became of an attempt for this recipient. */
void watch_outcome(struct store *s, uint64_t message, uint32_t n, enum recipient_state state);
/* This recipient was put off, or waits behind others that were. */
void watch_put_off(struct store *s, uint64_t message, uint32_t n);

#endif
