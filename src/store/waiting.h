/* waiting: the recipients of the queue in memory, made for a million of them: 40 bytes each in blocks,
 * named by the number of their slot, and their order by message and number beside it. */
#ifndef STORE_WAITING_H
#define STORE_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct domain;
struct destination;

enum { NO_SLOT = UINT32_MAX };

/* One recipient, or the alarm of a destination that backs off. */
struct waiting {
	uint64_t message; /* 0: an alarm */
	int64_t next_ms;  /* not before */
	union {
		struct domain *domain;
		struct destination *destination; /* an alarm's */
	};
	uint32_t n;
	uint32_t next; /* in the list it is in */
	union {
		uint32_t before; /* in the list it is in */
		uint32_t index;  /* in the heap */
	};
	uint8_t state; /* enum recipient_state */
	uint8_t place; /* enum place */
	uint8_t wish;  /* enum queue_wish */
	uint8_t cause; /* queue_cause() */
};

struct waiting_table {
	struct vec blocks; /* struct block *; NULL: given back */
	uint32_t roomy;    /* the first block with a free slot */
	struct vec runs;   /* struct run: the order */
	struct vec heap;   /* uint32_t, slots by their time */
};

void waiting_init(struct waiting_table *t);
void waiting_done(struct waiting_table *t);
struct waiting *waiting_at(const struct waiting_table *t, uint32_t slot);
/* A zeroed recipient in its place of the order; it must not be there yet. */
uint32_t waiting_add(struct waiting_table *t, uint64_t message, uint32_t n);
void waiting_remove(struct waiting_table *t, uint32_t slot);
/* A zeroed slot outside of the order. */
uint32_t waiting_new(struct waiting_table *t);
void waiting_free(struct waiting_table *t, uint32_t slot);

/* A place in the order; good until a recipient is added or removed. */
struct waiting_place {
	size_t run;
	uint32_t at;
};
/* The first recipient that is not before (message, n), and those behind it; NO_SLOT at the end. */
uint32_t waiting_from(
	const struct waiting_table *t, uint64_t message, uint32_t n, struct waiting_place *ret);
uint32_t waiting_next(const struct waiting_table *t, struct waiting_place *at);

/* The heap: by time; of recipients with the same time the older message and the lower number. */
void waiting_heap_add(struct waiting_table *t, uint32_t slot);
void waiting_heap_remove(struct waiting_table *t, uint32_t slot);
/* Moves the times of all in the heap. */
void waiting_heap_shift(struct waiting_table *t, int64_t by_ms);
/* NO_SLOT: it is empty. */
uint32_t waiting_heap_first(const struct waiting_table *t);

#endif
