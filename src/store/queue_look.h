/* queue_look: what is in the queue, for those who list it and count it. Nothing here changes it. */
#ifndef STORE_QUEUE_LOOK_H
#define STORE_QUEUE_LOOK_H

#include "store/queue.h"

struct queue_entry {
	uint64_t message;
	uint32_t n;
	enum recipient_state state;
	int64_t next_ms; /* its own time or its destination's, whichever is later */
	bool active;
	struct str domain, destination; /* good until the queue changes, as is trouble */
	struct queue_trouble trouble;   /* of the destination; empty: none */
};
/* The message's first recipient in the queue with at least this n. False: none. */
bool queue_find(const struct queue *q, uint64_t message, uint32_t n, struct queue_entry *ret);

struct queue_filter {               /* zeroed: all of them */
	uint64_t message;               /* 0: any */
	unsigned states;                /* 1 << enum recipient_state, or-ed; 0: any */
	bool active;                    /* only those that relay has */
	struct str domain, destination; /* empty: any */
	uint8_t cause;                  /* queue_cause(); 0: any */
	int64_t from_ms, before_ms;     /* when the message was received; before 0: any */
};
/* The first recipient behind *at that the filter lets pass, by message (the oldest first) and number;
 * *at moves along. False: the end, or *steps, which counts down, has come to 0. */
bool queue_next(const struct queue *q, const struct queue_filter *f, struct queue_place *at,
	uint32_t *steps, struct queue_entry *ret);

struct queue_counts { /* recipients, save for the first and the last */
	uint64_t messages, ready, deferred, held, active, destinations;
};
void queue_count(const struct queue *q, struct queue_counts *ret);

/* Recipients that wait or are held for this cause; 0: for none. */
uint64_t queue_cause_count(const struct queue *q, uint8_t cause);

/* One destination with its recipients. */
struct queue_next_hop {
	struct str name; /* good until the queue changes */
	uint64_t ready, deferred, held, active;
	uint64_t
		untold;    /* of those ready and deferred, the ones with cause 0: they wait for `trouble` */
	uint8_t cause; /* the one that most of those that wait or are held have met; 0: none */
	uint64_t of_cause;
	int64_t not_before_ms; /* it is backing off until then (K3); 0: it is not */
	struct queue_trouble trouble;
};
/* Calls fn for each destination, in no order; the queue must not change meanwhile. Takes a time that
 * grows with the number of domains, not of recipients. */
void queue_each_next_hop(
	const struct queue *q, void (*fn)(void *arg, const struct queue_next_hop *hop), void *arg);

#endif
