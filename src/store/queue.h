/* queue: who waits for what, in memory: the recipients that are not final, each with its message and
 * its destination. Pure: no database, no clock; node.db is the truth, this is its index. What one call
 * costs grows with the logarithm of what waits, or not at all; what walks says how far.
 *
 *   K1  Each recipient is at one place: held, in the heap (until its time), due at its domain, among
 *       the suspects, or active.
 *   K2  Destinations (route_key()) take turns: one attempt, then to the end of the line; so do the
 *       domains of a destination. Each destination has at most so many attempts at a time.
 *   K3  A destination that was not reached yet, or not the last time, gets one attempt at a time; after
 *       the second failure in a row it waits: 5 s, doubling, up to QUEUE_BACK_OFF_MAX_MS.
 *   K4  Recipients of one message at one destination go together, up to QUEUE_TOGETHER.
 *   K5  A message that was in the hands of a relay when it died is a suspect: suspects go one at a
 *       time, so that the next death convicts one only.
 *   K6  Bad destinations, slow or not reached the last time, together have at most QUEUE_BAD_MAX
 *       attempts at a time, with the new ones QUEUE_NEW_MAX; the rest is for those that are known
 *       to be well. The three kinds take turns too. */
#ifndef STORE_QUEUE_H
#define STORE_QUEUE_H

#include "base/buf.h"
#include "mail/cause.h"
#include "store/node_db.h"

struct queue;

enum {
	QUEUE_TOGETHER = 100,
	QUEUE_BACK_OFF_MS = 5 * 1000,
	QUEUE_BACK_OFF_MAX_MS = 300 * 1000,
	QUEUE_CAUSES = CAUSES_MAX + 1, /* causes that can be told apart; 0 is none */
	QUEUE_SLOW_MS = 2 * 1000, /* an attempt that takes longer makes its destination a slow one */
	QUEUE_RUNNING_MAX = 480,  /* attempts at a time the caller may start; of them … */
	QUEUE_NEW_MAX = 360,
	QUEUE_BAD_MAX = 120,
};
#define QUEUE_NEVER INT64_MAX

/* Writes the destination of a domain into *out (emptied). */
typedef void queue_key_fn(void *arg, struct str domain, struct buf *out);

struct queue *queue_new(queue_key_fn *key, void *arg);
void queue_free(struct queue *q);
/* Attempts at a time to one destination; at least 1. */
void queue_set_concurrency(struct queue *q, unsigned limit);
/* Routes changed: every domain's destination is asked for again, and what destinations had learned
 * about themselves is forgotten. Recipients keep their order. Walks the domains. */
void queue_regroup(struct queue *q);

struct queue_recipient {
	uint32_t n;
	enum recipient_state state; /* not final */
	int64_t next_ms;            /* not before; of no meaning if held */
	struct str domain;          /* lower case */
	uint8_t cause;              /* why it waits: queue_cause() */
};
/* The clock by which all times here are measured jumped. */
void queue_shift(struct queue *q, int64_t by_ms);
/* A message with its recipients that are not final, `n` rising. One that is there already is left as
 * it is. When it was received is read from its id. */
void queue_add(struct queue *q, uint64_t message, uint32_t deaths,
	const struct queue_recipient *recipients, uint32_t count);

/* What relay shall do next. */
struct queue_work {
	uint64_t message;
	uint32_t deaths;
	uint32_t count;
	uint32_t n[QUEUE_TOGETHER];
	bool suspect; /* K5 */
	int64_t started_ms;
	struct destination *destination; /* the queue's */
};
/* The next work that may go at `now_ms`, at most `most` recipients; they are active until settled.
 * False: nothing may go now. */
bool queue_take(struct queue *q, int64_t now_ms, uint32_t most, struct queue_work *ret);
/* The earliest moment at which queue_take() may give more, if nothing else happens before. */
int64_t queue_next_ms(const struct queue *q, int64_t now_ms);
/* Why a destination as a whole cannot be had. */
struct queue_trouble {
	struct str cause, text;
};
/* Ends the work, before its recipients are settled. `trouble` (copied): it met K3; NULL: it did not.
 * `deaths` as stored now. */
void queue_done(struct queue *q, const struct queue_work *w, const struct queue_trouble *trouble,
	uint32_t deaths, int64_t now_ms);
/* The same for work that came to nothing: the destination was not met. */
void queue_put_back(struct queue *q, const struct queue_work *w);
/* The recipient's state and time as stored now, whether it was active or not. A final one leaves the
 * queue, with the last one its message. */
void queue_settle(
	struct queue *q, uint64_t message, uint32_t n, enum recipient_state state, int64_t next_ms);
/* A cause as the queue counts it: its row in causes[] + 1; 0 for an empty id. */
uint8_t queue_cause(struct str id);
/* Why the recipient waits; 0: nobody has said. */
void queue_set_cause(struct queue *q, uint64_t message, uint32_t n, uint8_t cause);

/* ---- what cannot be tried */
struct queue_place { /* the recipient that a walk came to; zeroed: the beginning */
	uint64_t message;
	uint32_t n;
};
/* Walks the messages received before `before_ms` that have recipients which are due and cannot go
 * because their destination is backing off. False: the end, and *at begins anew; or *steps, which
 * counts down, has come to 0. */
bool queue_next_stuck(const struct queue *q, int64_t before_ms, struct queue_place *at,
	uint32_t *steps, uint64_t *ret_message);
/* As queue_take(), for such recipients. */
bool queue_take_stuck(struct queue *q, uint64_t message, int64_t now_ms, struct queue_work *ret);

/* ---- what an administrator wants */
enum queue_wish { WISH_NONE, WISH_HOLD, WISH_REMOVE };
/* Takes the recipient out of relay's reach, as if active, until queue_settle(). False: it is active
 * already, or not here. */
bool queue_reserve(struct queue *q, uint64_t message, uint32_t n);
/* To be applied when the attempt under way has ended and did not deliver. */
void queue_set_wish(struct queue *q, uint64_t message, uint32_t n, enum queue_wish wish);
enum queue_wish queue_wish(const struct queue *q, uint64_t message, uint32_t n);
/* The destination of this recipient forgets its failures. */
void queue_reset_destination(struct queue *q, uint64_t message, uint32_t n);

#endif
