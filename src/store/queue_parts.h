/* queue_parts: what struct queue is made of, for queue.c and queue_look.c. */
#ifndef STORE_QUEUE_PARTS_H
#define STORE_QUEUE_PARTS_H

#include "base/map.h"
#include "base/vec.h"
#include "store/queue.h"
#include "store/waiting.h"

enum place { PLACE_GONE, PLACE_HELD, PLACE_HEAP, PLACE_DUE, PLACE_SUSPECT, PLACE_ACTIVE };

/* K6. How a destination has behaved. */
enum standing { STANDING_WELL, STANDING_NEW, STANDING_BAD, STANDINGS };

struct list {
	uint32_t first, last; /* slots */
};

/* Recipients by what they do. */
struct tally {
	uint64_t waiting, deferred, held, active; /* waiting: neither held nor active */
	uint64_t untold;                          /* of the waiting ones, those without a cause */
};

struct cause_count {
	uint32_t cause;
	uint32_t count;
};

struct domain {
	struct destination *destination, *moving_to;
	struct domain *before, *next;           /* of the same destination */
	struct domain *line_before, *line_next; /* of those with due recipients (K2) */
	struct list due;
	uint32_t recipients;
	struct tally tally;
	struct cause_count *causes; /* of those that wait or are held; few */
	uint32_t cause_count;
	uint32_t name_n;
	char name[];
};

struct destination {
	struct domain *domains;
	struct domain *line_first, *line_last;       /* domains with due recipients */
	struct destination *before, *next;           /* in the line of those that may go (K2) */
	struct destination *busy_before, *busy_next; /* those with attempts under way, by since_ms */
	int64_t since_ms;                            /* an attempt began or ended last */
	bool in_line, reached, slow;
	enum standing standing;
	uint32_t alarm;   /* its slot in the heap while it backs off (K3); NO_SLOT: it does not */
	int64_t until_ms; /* the alarm's; 0: none */
	unsigned running, failures;
	struct queue_trouble trouble; /* the last failure; one allocation, at cause.p */
	size_t key_n;
	char key[];
};

struct line {
	struct destination *first, *last;
	unsigned running; /* attempts at all destinations of this standing */
};

struct queue {
	queue_key_fn *key;
	void *arg;
	unsigned concurrency;
	int64_t now_ms; /* of the last queue_take() */
	struct waiting_table table;
	uint64_t messages;
	struct map *deaths;       /* message id -> suspects' deaths */
	struct map *domains;      /* name -> struct domain */
	struct map *destinations; /* key -> struct destination */
	struct line lines[STANDINGS];
	unsigned turn; /* the standing that is asked first */
	struct destination *busy_first, *busy_last;
	struct list suspects;
	bool suspect_active;
	struct tally tally;
	uint64_t causes[QUEUE_CAUSES]; /* of those that wait or are held */
};

/* The first recipient of the message with at least this n, or NULL. */
struct waiting *queue_recipient_from(
	const struct queue *q, uint64_t message, uint32_t n, struct waiting_place *ret_at);

#endif
