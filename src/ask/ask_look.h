/* ask_look: how a role is at this moment, for whoever watches: numbers, rates, fibers. store asks
 * serve (ASK_GATHER), serve asks the roles (ASK_LOOK) and hands on what they said unread. */
#ifndef ASK_ASK_LOOK_H
#define ASK_ASK_LOOK_H

#include "base/meter.h"
#include "io/xfer.h"

enum look { LOOK_NUMBERS, LOOK_FIBERS, LOOK_LAST = LOOK_FIBERS };
enum {
	LOOK_NUMBERS_MAX = 64,
	LOOK_FIBERS_MAX = 50000, /* of one role; more are counted only */
	LOOK_ROLES_MAX = 64,
};

/* ---- ASK_LOOK */
struct ask_look {
	enum look what;
};
struct ask_look_answer {
	struct str bytes; /* packed struct look_numbers or look_fibers */
};

struct look_number {
	struct str name; /* "smtp.idle" */
	uint64_t value;
};
struct look_rate {
	struct str name; /* "refused" */
	struct meter_sums sums;
};
struct look_numbers {
	struct look_number *numbers;
	uint32_t number_count;
	struct look_rate *rates;
	uint32_t rate_count;
};

struct look_fiber {
	struct str name;    /* "smtp-17" */
	struct str reason;  /* "for a command", or "running" */
	int64_t started_ms; /* wall clock */
	int64_t waiting_ms; /* for how long */
	int64_t left_ms;    /* until it gives up waiting; -1: it does not */
};
struct look_fibers {
	struct look_fiber *fibers;
	uint32_t fiber_count;
	uint32_t total; /* the role has so many */
};

/* ---- ASK_GATHER */
struct ask_gather {
	enum look what;
	struct str role; /* only this one ("mx", "relay"); empty: all */
};
struct gathered {
	struct str role; /* as `service list` names it */
	uint32_t pid;
	struct str error; /* why it said nothing; empty: it did */
	struct str bytes; /* as in ask_look_answer */
};
struct ask_gather_answer {
	struct gathered *roles;
	uint32_t role_count;
};

void xfer_look_numbers(struct xfer *x, void *v);      /* struct look_numbers */
void xfer_look_fibers(struct xfer *x, void *v);       /* struct look_fibers */
void xfer_ask_look(struct xfer *x, void *v);          /* struct ask_look */
void xfer_ask_look_answer(struct xfer *x, void *v);   /* struct ask_look_answer */
void xfer_ask_gather(struct xfer *x, void *v);        /* struct ask_gather */
void xfer_ask_gather_answer(struct xfer *x, void *v); /* struct ask_gather_answer */

#endif
