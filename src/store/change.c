/* What an administrator does to the queue: pages of recipients, each page one job of the writer. A
 * recipient is taken out of relay's reach before its row is changed, and put back with its new
 * state; one that relay has already gets a wish instead. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/fiber.h"
#include "store/store_parts.h"

/* Removing also frees bodies, which have to be read for it. */
enum { CHANGE_PAGE = 200, REMOVE_PAGE = 50, TURN_MS = 20 };

struct change_item {
	uint64_t message;
	enum recipient_state old_state;
	int64_t old_next_ms;
};

/* Items and outcomes are parallel, by message and n. */
struct change_page {
	struct write_job job;
	struct store *store;
	struct arena *arena;
	int64_t now_ms;
	struct recipient_result said;
	struct change_item *items;
	struct outcome *outcomes;
	uint32_t count;
};

static int apply_page(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct change_page *p = (struct change_page *)job; /* its first member */
	for (uint32_t i = 0, end; i < p->count; i = end) {
		for (end = i + 1; end < p->count && p->items[end].message == p->items[i].message;)
			end++;
		if (outcome_write(w, db, p->items[i].message, p->outcomes + i, end - i, -1, p->now_ms, err))
			return -1;
	}
	return 0;
}

/* Back into the queue: changed, or as it was. */
static void page_settle(struct change_page *p, bool changed)
{
	for (uint32_t i = 0; i < p->count; i++) {
		const struct outcome *o = &p->outcomes[i];
		const struct change_item *item = &p->items[i];
		if (changed && o->said)
			queue_set_cause(p->store->queue, item->message, o->n, queue_cause(o->said->cause));
		queue_settle(p->store->queue, item->message, o->n, changed ? o->state : item->old_state,
			changed ? o->next_ms : item->old_next_ms);
	}
	deliver_kick(p->store);
}

static struct change_page *page_new(struct store *s, uint32_t room)
{
	struct arena *arena = arena_new();
	struct change_page *p = arena_alloc(arena, sizeof *p);
	p->job = (struct write_job){.apply = apply_page, .kind = WRITE_FINISHES, .body_fd = -1};
	p->store = s;
	p->arena = arena;
	p->now_ms = clock_wall_ms();
	p->items = arena_alloc(arena, room * sizeof *p->items);
	p->outcomes = arena_alloc(arena, room * sizeof *p->outcomes);
	return p;
}

/* What the change makes of a recipient; false: it does not concern it. */
static bool outcome_of(struct change_page *p, enum store_change change,
	const struct recipient_row *r, struct outcome *ret)
{
	bool held = r->state == RECIPIENT_HELD;
	*ret = (struct outcome){.n = r->n, .state = r->state, .next_ms = p->now_ms};
	switch (change) {
	case CHANGE_RETRY:
		return !held;
	case CHANGE_HOLD:
		ret->state = RECIPIENT_HELD;
		ret->said = &p->said;
		return !held;
	case CHANGE_RELEASE:
		ret->state = r->attempts ? RECIPIENT_DEFERRED : RECIPIENT_READY;
		ret->said = &p->said; /* no longer "held by …" */
		return held;
	case CHANGE_REMOVE:
		ret->state = RECIPIENT_REMOVED;
		ret->said = &p->said;
		return true;
	}
	return false;
}

/* Adds the row to the page, or leaves a wish for one that relay has. False: not concerned. */
static bool add_row(struct change_page *p, enum store_change change, const struct recipient_row *r)
{
	struct queue *q = p->store->queue;
	struct outcome o;
	if (recipient_is_final(r->state) || !outcome_of(p, change, r, &o))
		return false;
	if (change == CHANGE_RETRY)
		queue_reset_destination(q, r->message, r->n);
	if (!queue_reserve(q, r->message, r->n)) {
		if (change == CHANGE_HOLD)
			queue_set_wish(q, r->message, r->n, WISH_HOLD);
		else if (change == CHANGE_REMOVE)
			queue_set_wish(q, r->message, r->n, WISH_REMOVE);
		return true;
	}
	p->items[p->count] = (struct change_item){r->message, r->state, r->next_ms};
	p->outcomes[p->count++] = o;
	return true;
}

static void say_who(struct change_page *p, enum store_change change, struct str who)
{
	if (change != CHANGE_HOLD && change != CHANGE_REMOVE)
		return;
	bool hold = change == CHANGE_HOLD;
	p->said = (struct recipient_result){.enhanced = STR(""),
		.text = arena_fmt(p->arena, "%s by %.*s", hold ? "held" : "removed", STR_ARG(who)),
		.cause = hold ? STR("local.held") : STR("queue.removed")};
}

/* One page of the filter. *ret_more: there may be others behind *at. */
static int change_page(struct store *s, enum store_change change, const struct recipient_filter *f,
	struct recipient_place *at, struct str who, uint64_t *count, bool *ret_more, struct err *err)
{
	uint32_t page = change == CHANGE_REMOVE ? REMOVE_PAGE : CHANGE_PAGE;
	struct change_page *p = page_new(s, page);
	struct recipient_row *rows;
	uint32_t n;
	int result = store_list(s, f, at, page, p->arena, &rows, &n, err);
	if (result == 0) {
		uint64_t concerned = 0;
		say_who(p, change, who);
		for (uint32_t i = 0; i < n; i++)
			concerned += add_row(p, change, &rows[i]);
		result = p->count ? writer_do(s->writer, &p->job, err) : 0;
		page_settle(p, result == 0);
		if (result == 0)
			*count += concerned;
		*ret_more = n == page;
	}
	arena_free(p->arena);
	return result;
}

int store_change(struct store *s, enum store_change change, const struct recipient_filter *f,
	struct str who, uint64_t *ret_count, struct err *err)
{
	static const char *const names[] = {"retry", "hold", "release", "remove"};
	const unsigned waiting = 1 << RECIPIENT_READY | 1 << RECIPIENT_DEFERRED;
	/* Whom it can concern: others are not even read. */
	const unsigned concerned[] = {[CHANGE_RETRY] = waiting,
		[CHANGE_HOLD] = waiting,
		[CHANGE_RELEASE] = 1 << RECIPIENT_HELD,
		[CHANGE_REMOVE] = waiting | 1 << RECIPIENT_HELD};
	struct recipient_filter filter = *f;
	struct recipient_place at = {0};
	uint64_t count = 0;
	bool more = true;
	int result = 0;
	/* Two at a time would count each other's recipients. */
	while (s->changing)
		fiber_sleep("for another change of the queue", TURN_MS);
	s->changing = true;
	store_wait_loaded(s);
	filter.states = concerned[change] & (f->states ? f->states : ~0u);
	more = filter.states != 0;
	while (result == 0 && more)
		result = change_page(s, change, &filter, &at, who, &count, &more, err);
	s->changing = false;
	log_info("queue.change", "change=%s recipients=%llu by=%.*s", names[change],
		(unsigned long long)count, STR_ARG(who));
	*ret_count = count;
	return result;
}

/* ---- wishes ----------------------------------------------------------------------------------- */

static void wish_done(struct write_job *job)
{
	struct change_page *p = (struct change_page *)job; /* its first member */
	page_settle(p, job->err.kind == ERR_NONE);
	arena_free(p->arena);
}

void change_settle(struct store *s, uint64_t message, const struct outcome *o)
{
	enum queue_wish wish = queue_wish(s->queue, message, o->n);
	if (o->said)
		queue_set_cause(s->queue, message, o->n, queue_cause(o->said->cause));
	queue_settle(s->queue, message, o->n, o->state, o->next_ms);
	if (wish == WISH_NONE || recipient_is_final(o->state) ||
		(wish == WISH_HOLD && o->state == RECIPIENT_HELD) ||
		!queue_reserve(s->queue, message, o->n))
		return;
	/* The wish came while the result was being written. */
	struct change_page *p = page_new(s, 1);
	say_who(p, wish == WISH_HOLD ? CHANGE_HOLD : CHANGE_REMOVE, STR("an administrator"));
	p->items[0] = (struct change_item){message, o->state, o->next_ms};
	p->outcomes[0] = (struct outcome){.n = o->n,
		.state = wish == WISH_HOLD ? RECIPIENT_HELD : RECIPIENT_REMOVED,
		.said = &p->said};
	p->count = 1;
	p->job.done = wish_done;
	writer_post(s->writer, &p->job);
}
