/* queue: who waits for what, in memory: the recipients that are not final, each below its message
 * and its destination. Pure: no database, no clock; node.db is the truth, this is its index.
 *
 * A destination (route_key()) has a list of recipients that are due, a limit of attempts at a time,
 * and a back-off of its own: while it cannot be reached only one attempt at a time is made, after
 * growing waits. Destinations take turns. Recipients of one message with the same destination go
 * together. Messages that were in the hands of a relay when it died go one at a time. */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/node_db.h"

struct queue;

enum { QUEUE_TOGETHER = 100 /* recipients in one attempt */, QUEUE_NO_TIME = INT64_MAX };

/* Writes the destination of a domain into *out (emptied). */
typedef void queue_key_fn(void *arg, struct str domain, struct buf *out);

struct queue *queue_new(queue_key_fn *key, void *arg);
void queue_free(struct queue *q);
/* Attempts at a time to one destination. */
void queue_set_concurrency(struct queue *q, unsigned limit);
/* Routes changed: asks for every domain's destination again. Nobody loses his place by more than
 * a turn; what destinations had learned about themselves is forgotten. */
void queue_regroup(struct queue *q);

/* One recipient that is not final. `next_ms`: not before (0: now). */
void queue_add(struct queue *q, uint64_t message, int64_t received_ms, uint32_t deaths, uint32_t n,
	struct str domain, enum recipient_state state, int64_t next_ms);

/* What relay shall do next. */
struct queue_work {
	uint64_t message;
	int64_t received_ms;
	struct str domain; /* of the first recipient; lives as long as the work is not settled */
	uint32_t n[QUEUE_TOGETHER];
	uint32_t count;
	uint32_t deaths;
	void *destination; /* the queue's */
};
/* The next work that is due at `now_ms`; its recipients are active until settled. False: nothing may
 * go now. */
bool queue_take(struct queue *q, int64_t now_ms, struct queue_work *ret);
/* The earliest moment at which queue_take() may have more, if nothing else happens before. */
int64_t queue_next_ms(const struct queue *q, int64_t now_ms);

/* Ends one recipient's activity: its new state (final: it leaves the queue) and next time. A change
 * asked for meanwhile has been applied by the caller (queue_wish()). */
void queue_settle(
	struct queue *q, uint64_t message, uint32_t n, enum recipient_state state, int64_t next_ms);
/* Ends the work itself. `unreachable`: the destination as a whole could not be had; nothing more goes
 * there before `again_ms`. `deaths` as now stored. */
void queue_done(struct queue *q, const struct queue_work *w, bool unreachable, int64_t again_ms,
	uint32_t deaths);

/* ---- looking */
struct queue_entry {
	uint64_t message;
	uint32_t n;
	enum recipient_state state;
	int64_t next_ms;
	bool active;
	struct str domain, destination;
	int64_t destination_ms; /* the destination waits until then; 0: it does not */
	uint32_t destination_failures;
};
/* False: not in the queue (final, or never was). */
bool queue_find(const struct queue *q, uint64_t message, uint32_t n, struct queue_entry *ret);
/* Walks the recipients of one message: start with *at = NULL. */
bool queue_walk(const struct queue *q, uint64_t message, void **at, struct queue_entry *ret);
struct queue_counts {
	uint64_t messages, ready, deferred, held, active, destinations;
};
void queue_count(const struct queue *q, struct queue_counts *ret);

/* ---- what an administrator wants */
enum queue_wish { WISH_NONE, WISH_HOLD, WISH_REMOVE };
/* For an active recipient: to be applied when its attempt has ended undelivered. */
void queue_set_wish(struct queue *q, uint64_t message, uint32_t n, enum queue_wish wish);
enum queue_wish queue_wish(const struct queue *q, uint64_t message, uint32_t n);
/* The destination forgets its failures and may be tried now. */
void queue_reset_destination(struct queue *q, uint64_t message, uint32_t n);

#endif
