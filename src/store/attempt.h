/* attempt: one attempt to hand a message to one destination, from the row to the row. Made by
 * deliver.c, read and bounced by attempt.c. */
#ifndef STORE_ATTEMPT_H
#define STORE_ATTEMPT_H

#include "store/store_parts.h"

struct attempt {
	struct write_job job; /* first: the result as the writer sees it */
	struct arena *arena;  /* the attempt itself lives in it */
	struct store *store;
	struct queue_work work;

	/* Set by attempt_load(). */
	struct ask_deliver question;
	int body_fd;
	uint32_t *attempts;             /* made before, of each recipient */
	enum recipient_state *before;   /* state before, of each recipient */
	int64_t received_ms, queued_ms; /* wall clock, queue time */

	bool stuck; /* too old, and its destination is away: given up without asking relay */

	/* What came of it. */
	bool undone;     /* nobody was there to ask: nothing happened */
	bool relay_gone; /* relay's process ended while it had the message */
	struct recipient_result *results;
	struct record *record; /* NULL: none */
	struct str packed;     /* the record */

	/* What is written. */
	int64_t now_ms;
	int64_t jumped_ms; /* store's jumps at that time */
	struct outcome *outcomes;
	int64_t deaths; /* -1: as before */
	bool has_bounce;
	struct letter bounce;
};

/* Reads envelope, route and body. 0, or -1 with *err: our own disk is at fault. */
int attempt_load(struct attempt *a, struct err *err);
/* For a stuck one: results are what was said last; recipients never tried get `trouble`, which is what
 * the destination said to others. -1 with *err. */
int attempt_load_results(
	struct attempt *a, const struct recipient_result *trouble, struct err *err);
/* Makes the message that tells the sender of recipients that failed for good, and of those delivered
 * to a next hop that notifies nobody, if he wants to know. */
void attempt_bounce(struct attempt *a);

#endif
