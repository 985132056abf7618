#include "store/watch.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_parts.h"

enum {
	PUT_OFF = 256,  /* remembered */
	SUM_SHARE = 20, /* summing up takes at most one part in so many of the time */
};

struct watch {
	struct meter meters[WATCH_METERS];
	/* A ring of those put off last; some have left the queue meanwhile. */
	struct recipient_place put_off[PUT_OFF];
	uint64_t put_off_count;
	struct store_summary summary; /* the last one, in the arena */
	struct arena *arena;
	int64_t summed_ms, good_for_ms;
};

struct watch *watch_new(void)
{
	struct watch *w = mem_new(sizeof *w);
	w->arena = arena_new();
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	arena_free(w->arena);
	free(w);
}

/* ---- rates ------------------------------------------------------------------------------------ */

void watch_count(struct store *s, enum watch_meter which, uint64_t n)
{
	if (n)
		meter_add(&s->watch->meters[which], n, clock_tick_ms());
}

struct meter_sums store_rate(struct store *s, enum watch_meter which)
{
	return meter_read(&s->watch->meters[which], clock_tick_ms());
}

void watch_outcome(struct store *s, uint64_t message, uint32_t n, enum recipient_state state)
{
	if (state == RECIPIENT_DELIVERED)
		watch_count(s, WATCH_DELIVERED, 1);
	else if (state == RECIPIENT_DEFERRED)
		watch_count(s, WATCH_DEFERRED, 1);
	else if (state == RECIPIENT_BOUNCED)
		watch_count(s, WATCH_BOUNCED, 1);
	else if (state == RECIPIENT_EXPIRED)
		watch_count(s, WATCH_EXPIRED, 1);
	if (!recipient_is_final(state))
		watch_put_off(s, message, n);
}

/* ---- next hops and causes --------------------------------------------------------------------- */

const struct store_summary *store_watch_summary(struct store *s)
{
	struct watch *w = s->watch;
	int64_t now = clock_steady_ms();
	if (w->summary.causes && now - w->summed_ms < w->good_for_ms)
		return &w->summary;
	arena_reset(w->arena);
	store_summarize(s, WATCH_DESTINATIONS, w->arena, &w->summary);
	w->summed_ms = clock_steady_ms();
	w->good_for_ms = (w->summed_ms - now) * SUM_SHARE;
	return &w->summary;
}

/* ---- who waits -------------------------------------------------------------------------------- */

void watch_put_off(struct store *s, uint64_t message, uint32_t n)
{
	struct watch *w = s->watch;
	w->put_off[w->put_off_count++ % PUT_OFF] = (struct recipient_place){message, n};
}

struct waiting_list {
	struct store *store;
	struct arena *arena;
	struct recipient_row *rows;
	uint32_t n, limit;
};

static bool is_listed(const struct waiting_list *l, const struct recipient_place *p)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->rows[i].message == p->message && l->rows[i].n == p->n)
			return true;
	return false;
}

/* Adds the recipient if it still waits. */
static int add_waiting(struct waiting_list *l, const struct recipient_place *p, struct err *err)
{
	struct queue_entry e;
	struct recipient_filter f = {.message = p->message};
	struct recipient_place before = {p->n ? p->message : 0, p->n ? p->n - 1 : 0};
	struct recipient_row *row;
	uint32_t n;
	if (!queue_find(l->store->queue, p->message, p->n, &e) || e.n != p->n || e.active ||
		is_listed(l, p))
		return 0;
	if (store_list(l->store, &f, &before, 1, l->arena, &row, &n, err))
		return -1;
	/* Others may have run meanwhile. */
	if (n && row->n == p->n && !row->active)
		l->rows[l->n++] = *row;
	return 0;
}

/* Those of the newest messages. Read first, looked at afterwards: reading rows lets others run. */
static int add_newest(struct waiting_list *l, struct err *err)
{
	struct recipient_place *places = arena_alloc(l->arena, 2 * (size_t)l->limit * sizeof *places);
	struct db_query *q = db_query(l->store->reader,
		"SELECT message, n FROM recipient WHERE state < 4 ORDER BY message DESC, n DESC LIMIT $1");
	uint32_t n = 0;
	int step;
	db_bind_int(q, 1, 2 * (int64_t)l->limit);
	while ((step = db_step(q, err)) > 0)
		places[n++] = (struct recipient_place){(uint64_t)db_int(q, 0), (uint32_t)db_int(q, 1)};
	for (uint32_t i = 0; step == 0 && i < n && l->n < l->limit; i++)
		step = add_waiting(l, &places[i], err);
	return step;
}

int store_waiting(struct store *s, uint32_t limit, struct arena *arena, struct recipient_row **ret,
	uint32_t *ret_n, struct err *err)
{
	const struct watch *w = s->watch;
	struct waiting_list l = {.store = s, .arena = arena, .limit = limit};
	uint64_t end = w->put_off_count, begin = end > PUT_OFF ? end - PUT_OFF : 0;
	l.rows = arena_alloc(arena, limit * sizeof *l.rows);
	for (uint64_t i = end; i > begin && l.n < limit; i--) {
		struct recipient_place p = w->put_off[(i - 1) % PUT_OFF];
		if (add_waiting(&l, &p, err))
			return -1;
	}
	if (l.n < limit && add_newest(&l, err))
		return -1;
	*ret = l.rows;
	*ret_n = l.n;
	return 0;
}
