/* Lists of recipients by the page, in the order of their messages. What waits is found in the queue,
 * in memory, and only the rows of what fits are read; what has ended is found in node.db. Long walks
 * let the others run in between. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "io/fiber.h"
#include "store/store_parts.h"

enum {
	RAW_PAGE = 500,     /* rows of one query */
	WALK_STEPS = 20000, /* recipients in memory that are looked at in one go */
	TURN_MS = 10,       /* a disk that has to be read is slow: then others run */
	OPEN_STATES = 1 << RECIPIENT_READY | 1 << RECIPIENT_DEFERRED | 1 << RECIPIENT_HELD
};

#define RECIPIENT_COLUMNS                                                                         \
	"SELECT message, n, state, next_ms, attempts, last_ms, notify, address, domain, orcpt, code," \
	" enhanced, text, command, cause, remote_host, remote_address, tls FROM recipient "

/* A list that is being filled. */
struct listing {
	struct store *store;
	const struct recipient_filter *filter;
	struct arena *arena;
	struct recipient_row *rows;
	uint32_t n, limit;
	int64_t turn_ms; /* steady clock: our turn began */
};

/* ---- turns ------------------------------------------------------------------------------------ */

/* All that is read in one turn is one read transaction: that spares the locks of each row, and lets
 * the rows share what was read of the file. */
static int turn_begin(struct listing *l, struct err *err)
{
	l->turn_ms = clock_steady_ms();
	return db_exec(l->store->reader, "BEGIN", err);
}

static int turn_end(struct listing *l, struct err *err)
{
	return db_exec(l->store->reader, "COMMIT", err);
}

static bool turn_is_over(const struct listing *l)
{
	return clock_steady_ms() - l->turn_ms >= TURN_MS;
}

/* Between two statements. 0, or -1 with *err: then we have no turn. */
static int let_others_run(struct listing *l, struct err *err)
{
	if (turn_end(l, err))
		return -1;
	fiber_sleep("to let others run", 0);
	return turn_begin(l, err);
}

/* ---- rows ------------------------------------------------------------------------------------- */

/* What only the queue knows: who is active, and who waits for his destination. */
static void add_queue(struct store *s, struct arena *arena, struct recipient_row *r)
{
	struct queue_entry e;
	if (recipient_is_final(r->state) || !queue_find(s->queue, r->message, r->n, &e) || e.n != r->n)
		return;
	r->active = e.active;
	/* The row's was written before the clock jumped, if it did. */
	if (e.next_ms)
		r->next_ms = e.next_ms;
	/* Never tried itself: it waits for the reason the others have met. */
	if (r->attempts == 0 && r->cause.n == 0) {
		r->cause = arena_dup(arena, e.trouble.cause);
		r->text = arena_dup(arena, e.trouble.text);
	}
}

static struct str destination_of(struct store *s, struct str domain, struct arena *arena)
{
	struct buf key;
	struct route route = route_find(&s->site->routes, s->site->conf, domain);
	buf_init(&key, 1024);
	route_key(&route, &key);
	struct str text = arena_dup(arena, buf_str(&key));
	buf_done(&key);
	return text;
}

static void read_recipient(struct listing *l, struct db_query *q)
{
	struct arena *arena = l->arena;
	struct recipient_row *r = &l->rows[l->n++];
	*r = (struct recipient_row){.message = (uint64_t)db_int(q, 0),
		.n = (uint32_t)db_int(q, 1),
		.state = (enum recipient_state)db_int(q, 2),
		.next_ms = db_int(q, 3),
		.attempts = (uint32_t)db_int(q, 4),
		.last_ms = db_int(q, 5),
		.notify = (uint8_t)db_int(q, 6),
		.address = arena_dup(arena, db_str(q, 7)),
		.domain = arena_dup(arena, db_str(q, 8)),
		.orcpt = arena_dup(arena, db_str(q, 9)),
		.code = (uint16_t)db_int(q, 10),
		.enhanced = arena_dup(arena, db_str(q, 11)),
		.text = arena_dup(arena, db_str(q, 12)),
		.command = arena_dup(arena, db_str(q, 13)),
		.cause = arena_dup(arena, db_str(q, 14)),
		.remote_host = arena_dup(arena, db_str(q, 15)),
		.remote_address = arena_dup(arena, db_str(q, 16)),
		.tls = arena_dup(arena, db_str(q, 17))};
	r->destination = destination_of(l->store, r->domain, arena);
	add_queue(l->store, arena, r);
}

/* Whether the message is from the sender asked for: 1, 0, or -1 with *err. */
static int sender_fits(struct listing *l, uint64_t message, struct err *err)
{
	const struct recipient_filter *f = l->filter;
	if (!f->by_sender)
		return 1;
	struct db_query *q =
		db_query(l->store->reader, "SELECT sender_domain, sender FROM message WHERE id = $1");
	db_bind_int(q, 1, (int64_t)message);
	int step = db_step(q, err);
	if (step <= 0)
		return step;
	bool fits = str_eq(db_str(q, 0), f->sender_domain) &&
		(f->sender.n == 0 || str_eq_nocase(db_str(q, 1), f->sender));
	db_end(q);
	return fits;
}

/* ---- what waits: from the queue --------------------------------------------------------------- */

/* The row of one that the queue has; one that ended this moment is left out. */
static int add_open(struct listing *l, uint64_t message, uint32_t n, struct err *err)
{
	struct db_query *q =
		db_query(l->store->reader, RECIPIENT_COLUMNS "WHERE message = $1 AND n = $2");
	db_bind_int(q, 1, (int64_t)message);
	db_bind_int(q, 2, n);
	int step = db_step(q, err);
	if (step <= 0)
		return step;
	if (!recipient_is_final((enum recipient_state)db_int(q, 2)))
		read_recipient(l, q);
	db_end(q);
	return 0;
}

/* All that fit, or (message not 0) those of one message. 0, or -1 with *err. */
static int list_waiting(
	struct listing *l, uint64_t message, struct queue_place *at, struct err *err)
{
	const struct recipient_filter *f = l->filter;
	const struct queue_filter filter = {.message = message,
		.states = f->states,
		.active = f->active,
		.domain = f->domain,
		.destination = f->destination,
		.cause = queue_cause(f->cause),
		.from_ms = f->from_ms,
		.before_ms = f->before_ms};
	struct queue_entry e;
	for (;;) {
		uint32_t steps = WALK_STEPS;
		bool more = true;
		while (l->n < l->limit && !turn_is_over(l) &&
			(more = queue_next(l->store->queue, &filter, at, &steps, &e)))
			if (add_open(l, e.message, e.n, err))
				return -1;
		if (l->n == l->limit || (!more && steps))
			return 0;
		if (let_others_run(l, err))
			return -1;
	}
}

/* The next messages of the sender from *from on, waiting or not: at most RAW_PAGE, *from behind them.
 * How many, or -1 with *err. */
static int messages_of_sender(struct listing *l, uint64_t *from, uint64_t *ids, struct err *err)
{
	int n = 0, step;
	struct db_query *q = db_query(l->store->reader,
		"SELECT id FROM message WHERE sender_domain = $1 AND id >= $2 ORDER BY id LIMIT $3");
	db_bind_text(q, 1, l->filter->sender_domain);
	db_bind_int(q, 2, (int64_t)*from);
	db_bind_int(q, 3, RAW_PAGE);
	while ((step = db_step(q, err)) > 0)
		*from = (ids[n++] = (uint64_t)db_int(q, 0)) + 1;
	return step < 0 ? -1 : n;
}

static int list_by_sender(struct listing *l, struct queue_place *at, struct err *err)
{
	uint64_t *ids = arena_alloc(l->arena, RAW_PAGE * sizeof *ids), from = at->message;
	int n;
	while ((n = messages_of_sender(l, &from, ids, err)) > 0) {
		for (int i = 0; i < n && l->n < l->limit; i++) {
			struct queue_entry e;
			int fits = queue_find(l->store->queue, ids[i], 0, &e) ? sender_fits(l, ids[i], err) : 0;
			if (fits < 0 || (fits && list_waiting(l, ids[i], at, err)) ||
				(turn_is_over(l) && let_others_run(l, err)))
				return -1;
		}
		if (l->n == l->limit || n < RAW_PAGE)
			return 0;
	}
	return n;
}

/* ---- what has ended: from node.db ------------------------------------------------------------- */

/* The statement that finds the candidates after *at with the fewest rows in between. */
static struct db_query *candidates(
	struct store *s, const struct recipient_filter *f, const struct queue_place *at)
{
	struct db_query *q;
	if (f->message)
		q = db_query(
			s->reader, RECIPIENT_COLUMNS "WHERE message = $4 AND n > $2 ORDER BY n LIMIT $3");
	else if (f->domain.n)
		q = db_query(s->reader,
			RECIPIENT_COLUMNS
			"WHERE domain = $4 AND (message, n) > ($1, $2) ORDER BY message, n LIMIT $3");
	else
		q = db_query(s->reader,
			RECIPIENT_COLUMNS "WHERE (message, n) > ($1, $2) ORDER BY message, n LIMIT $3");
	db_bind_int(q, 3, RAW_PAGE);
	if (f->message) {
		db_bind_int(q, 2, at->message == f->message ? (int64_t)at->n : -1);
		db_bind_int(q, 4, (int64_t)f->message);
		return q;
	}
	db_bind_int(q, 1, (int64_t)at->message);
	db_bind_int(q, 2, at->n);
	if (f->domain.n)
		db_bind_text(q, 4, f->domain);
	return q;
}

/* 1, 0, or -1 with *err. */
static int row_fits(struct listing *l, struct db_query *q, struct err *err)
{
	const struct recipient_filter *f = l->filter;
	struct str domain = db_str(q, 8);
	unsigned states = f->states ? f->states : OPEN_STATES;
	uint64_t message = (uint64_t)db_int(q, 0);
	if (f->active || !(states >> db_int(q, 2) & 1) || (f->domain.n && !str_eq(domain, f->domain)) ||
		(f->cause.n && !str_eq(db_str(q, 14), f->cause)) || id_time_ms(message) < f->from_ms ||
		(f->before_ms && id_time_ms(message) >= f->before_ms))
		return 0;
	if (f->destination.n && !str_eq(destination_of(l->store, domain, l->arena), f->destination))
		return 0;
	return sender_fits(l, message, err);
}

static int list_rows(struct listing *l, struct queue_place *at, struct err *err)
{
	bool more = true;
	while (more && l->n < l->limit) {
		struct db_query *q = candidates(l->store, l->filter, at);
		int step = 1, fits = 0;
		uint32_t seen = 0;
		while (l->n < l->limit && !turn_is_over(l) && (step = db_step(q, err)) > 0) {
			*at = (struct queue_place){(uint64_t)db_int(q, 0), (uint32_t)db_int(q, 1)};
			if ((fits = row_fits(l, q, err)) < 0)
				break;
			if (fits)
				read_recipient(l, q);
			seen++;
		}
		if (step > 0)
			db_end(q);
		if (step < 0 || fits < 0 || let_others_run(l, err))
			return -1;
		more = step > 0 || seen == RAW_PAGE;
	}
	return 0;
}

int store_list(struct store *s, const struct recipient_filter *f, struct recipient_place *at,
	uint32_t limit, struct arena *arena, struct recipient_row **ret, uint32_t *ret_n,
	struct err *err)
{
	struct listing l = {.store = s,
		.filter = f,
		.arena = arena,
		.rows = arena_alloc(arena, limit * sizeof *l.rows),
		.limit = limit};
	struct queue_place place = {at->message, at->n};
	store_wait_loaded(s);
	if (turn_begin(&l, err))
		return -1;
	int result = f->states & ~(unsigned)OPEN_STATES ? list_rows(&l, &place, err)
		: f->by_sender                              ? list_by_sender(&l, &place, err)
													: list_waiting(&l, f->message, &place, err);
	if (db_in_transaction(s->reader) && turn_end(&l, result ? NULL : err))
		result = -1;
	if (result)
		return -1;
	*at = (struct recipient_place){place.message, place.n};
	*ret = l.rows;
	*ret_n = l.n;
	return 0;
}

/* ---- counting --------------------------------------------------------------------------------- */

static uint64_t recipients_at(const struct store_destination *d)
{
	return d->ready + d->deferred + d->held + d->active;
}

static int most_first(const void *a, const void *b)
{
	const struct store_destination *x = a, *y = b;
	uint64_t n = recipients_at(x), m = recipients_at(y);
	return n != m ? (n < m ? 1 : -1) : str_cmp(x->name, y->name);
}

/* A summary that is being made. */
struct summing {
	struct vec list; /* struct store_destination, its texts the queue's */
	uint64_t *causes;
};

static void add_next_hop(void *arg, const struct queue_next_hop *hop)
{
	struct summing *s = arg;
	struct store_destination d = {.name = hop->name,
		.ready = hop->ready,
		.deferred = hop->deferred,
		.held = hop->held,
		.active = hop->active,
		.waits_until_ms = hop->not_before_ms,
		.trouble = hop->trouble.cause,
		.trouble_text = hop->trouble.text,
		.cause = hop->cause ? str_from_c(causes[hop->cause - 1].id) : STR(""),
		.of_cause = hop->of_cause};
	vec_add(&s->list, &d);
	if (hop->trouble.cause.n)
		s->causes[queue_cause(hop->trouble.cause) - 1] += hop->untold;
}

void store_summarize(
	struct store *s, uint32_t limit, struct arena *arena, struct store_summary *ret)
{
	struct summing sum = {.causes = arena_alloc(arena, cause_count * sizeof *sum.causes)};
	store_wait_loaded(s);
	vec_init(&sum.list, sizeof(struct store_destination));
	for (unsigned i = 0; i < cause_count; i++)
		sum.causes[i] = queue_cause_count(s->queue, (uint8_t)(i + 1));
	queue_each_next_hop(s->queue, add_next_hop, &sum);
	vec_sort(&sum.list, most_first);
	ret->causes = sum.causes;
	ret->destination_count = sum.list.n < limit ? sum.list.n : limit;
	ret->destinations = arena_alloc(arena, ret->destination_count * sizeof *ret->destinations);
	for (size_t i = 0; i < ret->destination_count; i++) {
		struct store_destination *d = &ret->destinations[i];
		*d = *(struct store_destination *)vec_at(&sum.list, i);
		d->name = arena_dup(arena, d->name);
		d->trouble = arena_dup(arena, d->trouble);
		d->trouble_text = arena_dup(arena, d->trouble_text);
	}
	vec_done(&sum.list);
}
