#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "store/queue_look.h"

/* Domains that begin with "smart" share one destination while `together` is set. */
static bool together;

static void key(void *arg, struct str domain, struct buf *out)
{
	(void)arg;
	if (together && str_starts(domain, STR("smart")))
		buf_add_c(out, "connector smart");
	else
		buf_addf(out, "mx %.*s", STR_ARG(domain));
}

static int set_up(void **state)
{
	together = false;
	*state = queue_new(key, NULL);
	queue_set_concurrency(*state, 2);
	return 0;
}

static int tear_down(void **state)
{
	queue_free(*state);
	return 0;
}

static void add_one(struct queue *q, uint64_t id, const char *domain, int64_t next_ms)
{
	struct queue_recipient r = {
		.state = RECIPIENT_READY, .next_ms = next_ms, .domain = str_from_c(domain)};
	queue_add(q, id, 0, &r, 1);
}

/* The message taken, or 0. */
static uint64_t take(struct queue *q, int64_t now_ms, struct queue_work *w)
{
	return queue_take(q, now_ms, QUEUE_TOGETHER, w) ? w->message : 0;
}

static void finish(struct queue *q, const struct queue_work *w, enum recipient_state state,
	int64_t next_ms, bool unreachable, int64_t now_ms)
{
	static const struct queue_trouble trouble = {{"connect.refused", 15}, {"refused", 7}};
	queue_done(q, w, unreachable ? &trouble : NULL, 0, now_ms);
	for (uint32_t i = 0; i < w->count; i++)
		queue_settle(q, w->message, w->n[i], state, next_ms);
}

static void counts_are(
	struct queue *q, uint64_t ready, uint64_t deferred, uint64_t held, uint64_t active)
{
	struct queue_counts c;
	queue_count(q, &c);
	assert_int_equal(c.ready, ready);
	assert_int_equal(c.deferred, deferred);
	assert_int_equal(c.held, held);
	assert_int_equal(c.active, active);
}

/* Lets one attempt succeed: the destination of `domain` is known to be well from now on. Something
 * held stays there, so that it is not forgotten. */
static void reach(struct queue *q, const char *domain)
{
	static uint64_t id = 1000000;
	struct queue_work w;
	struct queue_recipient r = {.state = RECIPIENT_HELD, .domain = str_from_c(domain)};
	queue_add(q, ++id, 0, &r, 1);
	add_one(q, ++id, domain, 0);
	assert_int_equal(take(q, 0, &w), id);
	finish(q, &w, RECIPIENT_DELIVERED, 0, false, 0);
}

/* ---- K1: one place ---------------------------------------------------------------------------- */

static void each_recipient_is_at_one_place(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	add_one(q, 1, "a", 0);
	add_one(q, 2, "a", 1000);
	add_one(q, 2, "a", 0); /* there already */
	counts_are(q, 2, 0, 0, 0);
	assert_int_equal(take(q, 10, &w), 1);
	finish(q, &w, RECIPIENT_DEFERRED, 10, false, 10);
	counts_are(q, 1, 1, 0, 0);
	assert_int_equal(take(q, 10, &w), 1);
	counts_are(q, 1, 0, 0, 1);
	assert_int_equal(take(q, 10, &w), 0);
	assert_int_equal(queue_next_ms(q, 10), 1000);
	struct queue_work first = {.message = 1, .count = 1, .destination = w.destination};
	assert_int_equal(take(q, 1000, &w), 2);
	finish(q, &w, RECIPIENT_DEFERRED, 5000, false, 1000);
	counts_are(q, 0, 1, 0, 1);
	finish(q, &first, RECIPIENT_HELD, 0, false, 1000);
	counts_are(q, 0, 1, 1, 0);
	assert_int_equal(take(q, 4999, &w), 0);
	assert_int_equal(take(q, 5000, &w), 2);
	finish(q, &w, RECIPIENT_DELIVERED, 0, false, 5000);
	queue_settle(q, 1, 0, RECIPIENT_REMOVED, 0);
	counts_are(q, 0, 0, 0, 0);
	struct queue_counts c;
	queue_count(q, &c);
	assert_int_equal(c.messages, 0);
	assert_int_equal(c.destinations, 0);
	assert_true(queue_next_ms(q, 0) == QUEUE_NEVER);
}

static void what_is_due_goes_in_order(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	queue_set_concurrency(q, 1000);
	reach(q, "a");
	for (uint64_t i = 100; i > 0; i--)
		add_one(q, i, "a", i % 3 == 0 ? 5 : 1);
	uint64_t last = 0;
	for (int i = 0; i < 67; i++) {
		uint64_t id = take(q, 4, &w);
		assert_true(id > last && id % 3 != 0);
		last = id;
	}
	assert_int_equal(take(q, 4, &w), 0);
	assert_int_equal(take(q, 5, &w), 3);
}

/* ---- K2: turns and limits --------------------------------------------------------------------- */

static void destinations_take_turns(void **state)
{
	struct queue *q = *state;
	struct queue_work w, busy, none;
	for (uint64_t i = 1; i <= 50; i++)
		add_one(q, i, "busy", 0);
	add_one(q, 51, "quiet", 0);
	add_one(q, 52, "other", 0);
	assert_int_equal(take(q, 1, &busy), 1);
	assert_int_equal(take(q, 1, &w), 51);
	assert_int_equal(take(q, 1, &w), 52);
	/* Nobody knows yet how they are: one attempt each (K3). */
	assert_int_equal(take(q, 1, &none), 0);
	finish(q, &busy, RECIPIENT_DELIVERED, 0, false, 1);
	assert_int_equal(take(q, 1, &w), 2);
	assert_int_equal(take(q, 1, &w), 3);
	/* busy has its two. */
	assert_int_equal(take(q, 1, &w), 0);
	add_one(q, 54, "fourth", 0);
	assert_int_equal(take(q, 1, &none), 54);
	queue_set_concurrency(q, 3);
	assert_int_equal(take(q, 1, &w), 4);
	assert_int_equal(take(q, 1, &none), 0);
	finish(q, &w, RECIPIENT_DELIVERED, 0, false, 1);
	assert_int_equal(take(q, 1, &w), 5);
}

/* ---- K3: back-off ----------------------------------------------------------------------------- */

static void an_unreachable_destination_backs_off(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	int64_t now = 1000, wait = QUEUE_BACK_OFF_MS;
	for (uint64_t i = 1; i <= 40; i++)
		add_one(q, i, "dead", 0);
	add_one(q, 99, "alive", 0);
	assert_int_equal(take(q, now, &w), 1);
	finish(q, &w, RECIPIENT_DEFERRED, 10000000, true, now);
	/* One at a time, and from the second failure on with growing waits. */
	assert_int_equal(take(q, now, &w), 2);
	struct queue_work none, alive;
	assert_int_equal(take(q, now, &alive), 99);
	assert_int_equal(take(q, now, &none), 0);
	for (uint64_t i = 2; i < 12; i++) {
		finish(q, &w, RECIPIENT_DEFERRED, 10000000, true, now);
		assert_int_equal(take(q, now + wait - 1, &none), 0);
		assert_true(queue_next_ms(q, now) == now + wait);
		now += wait;
		wait = wait * 2 < QUEUE_BACK_OFF_MAX_MS ? wait * 2 : QUEUE_BACK_OFF_MAX_MS;
		assert_int_equal(take(q, now, &w), i + 1);
	}
	struct queue_entry e;
	assert_true(queue_find(q, 30, 0, &e));
	assert_false(e.active);
	/* One success forgives all. */
	finish(q, &w, RECIPIENT_DELIVERED, 0, false, now);
	assert_int_equal(take(q, now, &w), 13);
	assert_int_equal(take(q, now, &w), 14);
	assert_int_equal(take(q, now, &none), 0);
}

static void retry_resets_a_destination(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	for (uint64_t i = 1; i <= 5; i++)
		add_one(q, i, "dead", 0);
	for (int i = 0; i < 2; i++) {
		assert_true(take(q, 0, &w));
		finish(q, &w, RECIPIENT_DEFERRED, 10000000, true, 0);
	}
	assert_int_equal(take(q, 1, &w), 0);
	struct queue_entry e;
	assert_true(queue_find(q, 3, 0, &e));
	assert_int_equal(e.next_ms, QUEUE_BACK_OFF_MS);
	assert_true(str_eq(e.trouble.cause, STR("connect.refused")));
	assert_true(str_eq(e.trouble.text, STR("refused")));
	queue_reset_destination(q, 3, 0);
	assert_true(queue_find(q, 3, 0, &e));
	assert_int_equal(e.trouble.cause.n, 0);
	assert_int_equal(take(q, 1, &w), 3);
	assert_int_equal(take(q, 1, &w), 0); /* whether it is well is not known yet */
}

/* Attempts that were under way together fail together: that is one failure, not twenty. */
static void parallel_failures_count_once(void **state)
{
	struct queue *q = *state;
	struct queue_work w[20], more;
	queue_set_concurrency(q, 20);
	for (uint64_t i = 1; i <= 30; i++)
		add_one(q, i, "dead", 1);
	reach(q, "dead");
	for (int i = 0; i < 20; i++)
		assert_true(take(q, 1, &w[i]));
	for (int i = 0; i < 20; i++)
		finish(q, &w[i], RECIPIENT_DEFERRED, 10000000, true, 1);
	assert_true(queue_next_ms(q, 1) == 1 + QUEUE_BACK_OFF_MS);
	assert_true(take(q, QUEUE_BACK_OFF_MS + 1, &more));
}

/* What waits for a destination that stays away can be given up without an attempt. */
static void what_is_stuck_can_be_taken(void **state)
{
	struct queue *q = *state;
	struct queue_work w, stuck;
	for (uint64_t i = 1; i <= 5; i++)
		add_one(q, i, "dead", 0);
	assert_false(queue_take_stuck(q, 3, 1, &stuck));
	for (int i = 0; i < 2; i++) {
		assert_true(take(q, 0, &w));
		finish(q, &w, RECIPIENT_DEFERRED, 10000000, true, 0);
	}
	uint64_t id, sum = 0;
	uint32_t steps = 100;
	struct queue_place place = {0};
	while (queue_next_stuck(q, 1, &place, &steps, &id))
		sum += id;
	assert_int_equal(sum, 3 + 4 + 5);
	assert_int_equal(steps, 95);
	assert_int_equal(place.message, 0);
	assert_false(queue_next_stuck(q, 0, &place, &steps, &id)); /* none is that old */
	/* In small steps it comes to the same, and then begins anew. */
	for (int i = 0; i < 12; i++) {
		steps = 1;
		sum += queue_next_stuck(q, 1, &place, &steps, &id) ? id : 0;
	}
	assert_int_equal(sum, 3 * (3 + 4 + 5));
	assert_true(queue_take_stuck(q, 3, 1, &stuck));
	assert_int_equal(stuck.message, 3);
	assert_false(queue_take_stuck(q, 3, 1, &w));
	assert_false(queue_take_stuck(q, 1, 1, &w)); /* it has a time of its own */
	assert_int_equal(take(q, 1, &w), 0);
	queue_put_back(q, &stuck);
	queue_settle(q, 3, 0, RECIPIENT_EXPIRED, 0);
	/* The back-off goes on as it was. */
	assert_int_equal(take(q, QUEUE_BACK_OFF_MS - 1, &w), 0);
	assert_int_equal(take(q, QUEUE_BACK_OFF_MS, &w), 4);
}

/* ---- K4: together ----------------------------------------------------------------------------- */

static void recipients_of_a_destination_go_together(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	static struct queue_recipient list[400];
	together = true;
	for (uint32_t i = 0; i < 400; i++)
		list[i] = (struct queue_recipient){.n = i,
			.state = i == 7 ? RECIPIENT_HELD : RECIPIENT_READY,
			.next_ms = i == 8 ? 500 : 0,
			.domain = i % 2 ? STR("smart-a")
				: i % 4     ? STR("smart-b")
							: STR("other")};
	queue_set_concurrency(q, 100);
	reach(q, "smart-a");
	reach(q, "other");
	queue_add(q, 1, 0, list, 400);
	uint32_t smart = 0, other = 0;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(take(q, 0, &w), 1);
		assert_true(w.count <= QUEUE_TOGETHER);
		for (uint32_t k = 0; k < w.count; k++) {
			assert_true(w.n[k] != 7 && w.n[k] != 8);
			*(w.n[k] % 2 || w.n[k] % 4 ? &smart : &other) += 1;
		}
	}
	assert_int_equal(smart, 299);
	assert_int_equal(other, 99);
	assert_int_equal(take(q, 0, &w), 0);
	assert_int_equal(take(q, 500, &w), 1);
	assert_int_equal(w.count, 1);
	assert_int_equal(w.n[0], 8);
	assert_true(queue_find(q, 1, 7, &(struct queue_entry){0}));
}

static void an_attempt_may_be_smaller(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	struct queue_recipient list[5];
	for (uint32_t i = 0; i < 5; i++)
		list[i] = (struct queue_recipient){.n = i, .state = RECIPIENT_READY, .domain = STR("a")};
	reach(q, "a");
	queue_add(q, 1, 0, list, 5);
	assert_true(queue_take(q, 0, 3, &w));
	assert_int_equal(w.count, 3);
	assert_true(queue_take(q, 0, 3, &w));
	assert_int_equal(w.count, 2);
}

/* ---- K5: suspects ----------------------------------------------------------------------------- */

static void suspects_go_one_at_a_time(void **state)
{
	struct queue *q = *state;
	struct queue_work w, suspect;
	struct queue_recipient r = {.state = RECIPIENT_READY, .domain = STR("a")};
	queue_add(q, 1, 1, &r, 1);
	r.domain = STR("b");
	queue_add(q, 2, 1, &r, 1);
	add_one(q, 3, "c", 0);
	assert_int_equal(take(q, 0, &suspect), 1);
	assert_true(suspect.suspect);
	assert_int_equal(take(q, 0, &w), 3);
	assert_int_equal(take(q, 0, &w), 0);
	finish(q, &suspect, RECIPIENT_DELIVERED, 0, false, 0);
	assert_int_equal(take(q, 0, &w), 2);
}

/* A recipient that was due already when its message fell under suspicion. */
static void a_death_makes_the_whole_message_a_suspect(void **state)
{
	struct queue *q = *state;
	struct queue_work w, other;
	struct queue_recipient list[2] = {
		{.n = 0, .state = RECIPIENT_READY, .domain = STR("a")},
		{.n = 1, .state = RECIPIENT_READY, .domain = STR("b")},
	};
	queue_add(q, 1, 0, list, 2);
	add_one(q, 2, "b", 0);
	assert_int_equal(take(q, 0, &w), 1);
	queue_done(q, &w, NULL, 1, 0);
	queue_settle(q, 1, 0, RECIPIENT_DEFERRED, 100);
	assert_int_equal(take(q, 0, &other), 2);
	assert_int_equal(take(q, 0, &w), 1);
	assert_true(w.suspect);
	assert_int_equal(w.n[0], 1);
	assert_int_equal(take(q, 200, &other), 0);
	finish(q, &w, RECIPIENT_DELIVERED, 0, false, 200);
	assert_int_equal(take(q, 200, &w), 1);
}

/* ---- routes change ---------------------------------------------------------------------------- */

static void new_routes_regroup_what_waits(void **state)
{
	struct queue *q = *state;
	struct queue_work w, before;
	for (uint64_t i = 1; i <= 6; i++)
		add_one(q, i, i % 2 ? "smart1" : "smart2", 0);
	assert_int_equal(take(q, 0, &before), 1);
	together = true;
	queue_regroup(q);
	struct queue_entry e;
	assert_true(queue_find(q, 4, 0, &e));
	assert_true(str_eq(e.destination, STR("connector smart")));
	assert_true(take(q, 0, &w));
	finish(q, &w, RECIPIENT_DELIVERED, 0, false, 0);
	assert_true(take(q, 0, &w));
	assert_true(take(q, 0, &w));
	assert_int_equal(take(q, 0, &w), 0);
	/* The one under way belongs to a destination that is no more. */
	finish(q, &before, RECIPIENT_DEFERRED, 50, false, 0);
	struct queue_counts c;
	queue_count(q, &c);
	assert_int_equal(c.destinations, 1);
	together = false;
	queue_regroup(q);
	assert_true(queue_find(q, 4, 0, &e));
	assert_true(str_eq(e.destination, STR("mx smart2")));
	/* Back-off is forgotten with the route. */
	assert_true(take(q, 60, &w));
}

/* ---- wishes ----------------------------------------------------------------------------------- */

static void a_reserved_recipient_is_out_of_reach(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	add_one(q, 1, "a", 0);
	assert_true(queue_reserve(q, 1, 0));
	assert_false(queue_reserve(q, 1, 0));
	assert_int_equal(take(q, 0, &w), 0);
	queue_set_wish(q, 1, 0, WISH_HOLD);
	assert_int_equal(queue_wish(q, 1, 0), WISH_HOLD);
	queue_settle(q, 1, 0, RECIPIENT_READY, 0);
	assert_int_equal(queue_wish(q, 1, 0), WISH_NONE);
	assert_int_equal(take(q, 0, &w), 1);
	assert_false(queue_reserve(q, 9, 0));
}

/* ---- counting --------------------------------------------------------------------------------- */

struct sums {
	struct queue_next_hop all;
	uint64_t hops, backing_off;
};

static void add_hop(void *arg, const struct queue_next_hop *hop)
{
	struct sums *s = arg;
	s->all.ready += hop->ready;
	s->all.deferred += hop->deferred;
	s->all.held += hop->held;
	s->all.active += hop->active;
	s->all.untold += hop->untold;
	s->hops++;
	s->backing_off += hop->not_before_ms != 0;
}

static struct sums sum_hops(struct queue *q)
{
	struct sums s = {0};
	queue_each_next_hop(q, add_hop, &s);
	return s;
}

static void next_hops_and_causes_are_counted(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	struct queue_recipient held = {
		.state = RECIPIENT_HELD, .domain = STR("smart1"), .cause = QUEUE_CAUSES - 1};
	queue_add(q, 1, 0, &held, 1);
	for (uint64_t i = 2; i <= 5; i++)
		add_one(q, i, i % 2 ? "smart1" : "smart2", 0);
	assert_int_equal(queue_cause_count(q, QUEUE_CAUSES - 1), 1);
	assert_int_equal(queue_cause_count(q, 0), 4);
	assert_int_equal(queue_cause_count(q, QUEUE_CAUSES), 0);
	for (int64_t now = 0; now < 2; now++) {
		assert_int_equal(take(q, now, &w), now ? 4 : 2);
		finish(q, &w, RECIPIENT_DEFERRED, 100, true, now);
		queue_set_cause(q, w.message, 0, 3);
		if (now == 0) /* out of the way */
			for (uint64_t id = 3; id <= 5; id += 2)
				queue_settle(q, id, 0, RECIPIENT_DELIVERED, 0);
	}
	struct sums s = sum_hops(q);
	assert_int_equal(s.hops, 2);
	assert_int_equal(s.backing_off, 1);
	assert_int_equal(s.all.deferred, 2);
	assert_int_equal(s.all.held, 1);
	assert_int_equal(s.all.ready + s.all.active + s.all.untold, 0);
	assert_int_equal(queue_cause_count(q, 3), 2);
	together = true;
	queue_regroup(q);
	s = sum_hops(q);
	assert_int_equal(s.hops, 1);
	assert_int_equal(s.all.deferred, 2);
	queue_set_cause(q, 99, 0, 3);
	queue_settle(q, 1, 0, RECIPIENT_REMOVED, 0);
	assert_int_equal(queue_cause_count(q, QUEUE_CAUSES - 1), 0);
}

static void sums_agree(struct queue *q, const struct queue_counts *c)
{
	struct sums s = sum_hops(q);
	uint64_t told = 0;
	for (uint8_t i = 1; i < QUEUE_CAUSES; i++)
		told += queue_cause_count(q, i);
	assert_int_equal(s.hops, c->destinations);
	assert_int_equal(s.all.ready, c->ready);
	assert_int_equal(s.all.deferred, c->deferred);
	assert_int_equal(s.all.held, c->held);
	assert_int_equal(s.all.active, c->active);
	assert_int_equal(told + queue_cause_count(q, 0), c->ready + c->deferred + c->held);
	assert_in_range(s.all.untold, 0, queue_cause_count(q, 0));
}

/* ---- K6: bad destinations slow no other -------------------------------------------------------- */

enum { DESTINATIONS = 1000 };

static void add_many(struct queue *q, uint64_t first_id, const char *kind, unsigned each)
{
	for (unsigned i = 0; i < DESTINATIONS * each; i++) {
		char domain[32];
		snprintf(domain, sizeof domain, "%s%u", kind, i % DESTINATIONS);
		add_one(q, first_id + i, domain, 0);
	}
}

/* Takes all that may go, as store does, until QUEUE_RUNNING_MAX are under way. */
static unsigned take_all(struct queue *q, int64_t now_ms, struct queue_work *works, unsigned n)
{
	while (n < QUEUE_RUNNING_MAX && take(q, now_ms, &works[n]))
		n++;
	return n;
}

static bool is_of(struct queue *q, const struct queue_work *w, const char *kind)
{
	struct queue_entry e;
	assert_true(queue_find(q, w->message, 0, &e));
	return str_starts(e.domain, str_from_c(kind));
}

/* A thousand destinations that never answer hold no more than their share, each one attempt. */
static void new_destinations_leave_room(void **state)
{
	struct queue *q = *state;
	static struct queue_work works[QUEUE_RUNNING_MAX];
	queue_set_concurrency(q, 20);
	for (uint64_t i = 0; i < 1000; i++)
		add_one(q, 50000 + i, "well", 1);
	reach(q, "well");
	add_many(q, 1, "silent", 3);
	unsigned n = take_all(q, 1, works, 0), silent = 0;
	for (unsigned i = 0; i < n; i++)
		silent += is_of(q, &works[i], "silent");
	assert_int_equal(silent, QUEUE_NEW_MAX);
	assert_int_equal(n, QUEUE_NEW_MAX + 20);
	assert_true(queue_next_ms(q, 1) == QUEUE_NEVER || queue_next_ms(q, 1) > 1);
	/* Others come: there is room for them. */
	finish(q, &works[0], RECIPIENT_DELIVERED, 0, false, 1);
	assert_true(queue_next_ms(q, 1) == 1);
}

/* Attempts that do not move make their destination a slow one, also while none of them has ended. */
static void slow_destinations_share_what_is_theirs(void **state)
{
	struct queue *q = *state;
	static struct queue_work works[QUEUE_RUNNING_MAX];
	struct queue_work w;
	int64_t now = 0;
	queue_set_concurrency(q, 20);
	add_many(q, 1, "slow", 30);
	for (unsigned i = 0; i < DESTINATIONS; i++) { /* all of them were well once */
		assert_true(take(q, now, &w));
		finish(q, &w, RECIPIENT_DELIVERED, 0, false, now);
	}
	unsigned n = take_all(q, now, works, 0);
	assert_int_equal(n, QUEUE_RUNNING_MAX);
	now += QUEUE_SLOW_MS + 1;
	for (unsigned i = 0; i < QUEUE_RUNNING_MAX - QUEUE_BAD_MAX; i++) { /* those that hung first */
		finish(q, &works[--n], RECIPIENT_DELIVERED, 0, false, now);
		assert_true(take(q, now, &works[n++])); /* goes to one that is not known as slow yet */
	}
	for (int round = 0; round < 3; round++) {
		now += QUEUE_SLOW_MS + 1;
		while (n > 0)
			finish(q, &works[--n], RECIPIENT_DELIVERED, 0, false, now);
		n = take_all(q, now, works, 0);
	}
	assert_int_equal(n, QUEUE_BAD_MAX);
	reach(q, "well");
	add_one(q, 99999, "well", now);
	assert_int_equal(take(q, now, &w), 99999);
}

/* One that is quick again is as good as any. */
static void a_slow_destination_recovers(void **state)
{
	struct queue *q = *state;
	struct queue_work w, more;
	static struct queue_work works[QUEUE_RUNNING_MAX];
	queue_set_concurrency(q, QUEUE_RUNNING_MAX);
	add_many(q, 1, "x", 1);
	for (uint64_t i = 0; i < 1000; i++)
		add_one(q, 5000 + i, "slow", 0);
	for (unsigned i = 0; i < DESTINATIONS; i++) { /* out of the way */
		queue_reserve(q, 1 + i, 0);
		queue_settle(q, 1 + i, 0, RECIPIENT_HELD, 0);
	}
	assert_true(take(q, 0, &w));
	finish(q, &w, RECIPIENT_DELIVERED, 0, false, QUEUE_SLOW_MS + 1);
	assert_int_equal(take_all(q, 5000, works, 0), QUEUE_BAD_MAX);
	assert_int_equal(take(q, 5000, &more), 0);
	finish(q, &works[0], RECIPIENT_DELIVERED, 0, false, 5001);
	assert_int_equal(take_all(q, 5001, works, QUEUE_BAD_MAX), QUEUE_RUNNING_MAX);
}

/* ---- at size ---------------------------------------------------------------------------------- */

/* However much becomes due at once, one call does a little of it. */
static void time_passes_in_small_steps(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	struct queue_counts c;
	for (uint64_t i = 1; i <= 1000; i++)
		add_one(q, i, "dead", 100);
	add_one(q, 2000, "well", 100);
	assert_int_equal(take(q, 50, &w), 0);
	assert_int_equal(take(q, 100, &w), 1);
	assert_true(queue_next_ms(q, 100) <= 100); /* there is more to be done now */
	int calls = 1;
	while (take(q, 100, &w) != 2000)
		calls++;
	assert_in_range(calls, 10, 50);
	queue_count(q, &c);
	assert_int_equal(c.active, 2);
}

static unsigned list(struct queue *q, const struct queue_filter *f, uint64_t *ret_last)
{
	struct queue_place at = {0};
	struct queue_entry e;
	unsigned n = 0;
	for (;;) {
		uint32_t steps = 7;
		while (queue_next(q, f, &at, &steps, &e)) {
			assert_true(n == 0 || e.message > *ret_last);
			*ret_last = e.message;
			n++;
		}
		if (steps)
			return n;
	}
}

static void what_fits_is_found_in_order(void **state)
{
	struct queue *q = *state;
	struct queue_work w;
	uint64_t last = 0, first = id_first(1000);
	for (uint64_t i = 0; i < 100; i++)
		add_one(q, id_first(1000 + (int64_t)i), i % 2 ? "odd" : "even", 10);
	for (uint64_t i = 0; i < 10; i++) {
		queue_set_cause(q, id_first(1000 + (int64_t)i), 0, 5);
		queue_settle(q, id_first(1000 + (int64_t)i), 0, RECIPIENT_DEFERRED, 10);
	}
	assert_int_equal(list(q, &(struct queue_filter){0}, &last), 100);
	assert_int_equal(list(q, &(struct queue_filter){.domain = STR("odd")}, &last), 50);
	assert_int_equal(list(q, &(struct queue_filter){.destination = STR("mx even")}, &last), 50);
	assert_int_equal(list(q, &(struct queue_filter){.domain = STR("nobody")}, &last), 0);
	assert_int_equal(list(q, &(struct queue_filter){.cause = 5}, &last), 10);
	assert_int_equal(list(q, &(struct queue_filter){.cause = 5, .domain = STR("odd")}, &last), 5);
	assert_int_equal(list(q, &(struct queue_filter){.states = 1 << RECIPIENT_DEFERRED}, &last), 10);
	assert_int_equal(list(q, &(struct queue_filter){.from_ms = 1090}, &last), 10);
	assert_int_equal(list(q, &(struct queue_filter){.before_ms = 1020}, &last), 20);
	assert_int_equal(
		list(q, &(struct queue_filter){.from_ms = 1010, .before_ms = 1020}, &last), 10);
	assert_int_equal(list(q, &(struct queue_filter){.message = first}, &last), 1);
	assert_int_equal(list(q, &(struct queue_filter){.active = true}, &last), 0);
	assert_int_equal(take(q, 10, &w), first);
	assert_int_equal(list(q, &(struct queue_filter){.active = true}, &last), 1);
	/* Untried ones wait for what the others have met. */
	finish(q, &w, RECIPIENT_DEFERRED, 1000, true, 10);
	uint8_t refused = queue_cause(STR("connect.refused"));
	assert_int_equal(list(q, &(struct queue_filter){.cause = refused}, &last), 45);
}

/* The next page neither repeats nor skips what stayed, whatever went and came meanwhile. */
static void a_place_in_the_list_is_stable(void **state)
{
	struct queue *q = *state;
	struct queue_place at = {0};
	struct queue_entry e;
	const struct queue_filter all = {0};
	uint32_t steps = UINT32_MAX;
	for (uint64_t i = 1; i <= 3000; i++)
		add_one(q, i * 10, "a", 10);
	for (uint64_t i = 1; i <= 3000; i++) {
		if (i % 3 == 0)
			continue; /* gone before we came */
		assert_true(queue_next(q, &all, &at, &steps, &e));
		assert_int_equal(e.message, i * 10);
		queue_settle(q, e.message, 0, i % 2 ? RECIPIENT_DELIVERED : RECIPIENT_DEFERRED, 10);
		queue_settle(q, (i + 2) / 3 * 30, 0, RECIPIENT_REMOVED, 0);
		add_one(q, i * 10 - 5, "b", 10); /* behind us */
	}
}

/* ---- all of it at random ---------------------------------------------------------------------- */

enum { RANDOM_STEPS = 60000, RUNNING_MAX = 64 };

/* Nothing is lost, nothing is in two hands, no limit is passed, whatever the order. */
static void any_order_keeps_the_counts(void **state)
{
	struct queue *q = *state;
	struct queue_work running[RUNNING_MAX];
	unsigned n = 0;
	uint64_t added = 0, settled = 0, next_id = 1;
	int64_t now = 0;
	struct queue_counts c;
	srandom(7);
	for (int step = 0; step < RANDOM_STEPS; step++) {
		long r = random() % 100;
		now += random() % 50;
		if (r < 30) {
			char domain[16];
			struct queue_recipient list[3];
			uint32_t count = (uint32_t)(random() % 3) + 1;
			snprintf(domain, sizeof domain, "%s%ld", r < 15 ? "smart" : "d", random() % 20);
			for (uint32_t i = 0; i < count; i++)
				list[i] = (struct queue_recipient){.n = i * 2,
					.state = random() % 10 ? RECIPIENT_READY : RECIPIENT_HELD,
					.next_ms = now + random() % 300,
					.domain = str_from_c(domain)};
			queue_add(q, next_id++, random() % 50 == 0, list, count);
			added += count;
		} else if (r < 60) {
			if (n < RUNNING_MAX && queue_take(q, now, QUEUE_TOGETHER, &running[n]))
				n++;
		} else if (r < 95) {
			if (n == 0)
				continue;
			unsigned k = (unsigned)random() % n;
			enum recipient_state to = random() % 3 ? RECIPIENT_DELIVERED : RECIPIENT_DEFERRED;
			if (to == RECIPIENT_DELIVERED)
				settled += running[k].count;
			finish(q, &running[k], to, now + 100, to == RECIPIENT_DEFERRED && random() % 2, now);
			running[k] = running[--n];
		} else if (r < 97) {
			uint64_t id = (uint64_t)random() % next_id;
			if (queue_reserve(q, id, 0))
				queue_settle(q, id, 0, random() % 2 ? RECIPIENT_HELD : RECIPIENT_READY, now);
		} else if (r < 98) {
			together = !together;
			queue_regroup(q);
		} else {
			queue_set_cause(q, (uint64_t)random() % next_id, 0, (uint8_t)(random() % QUEUE_CAUSES));
		}
		queue_count(q, &c);
		if (step % 100 == 0)
			sums_agree(q, &c);
		assert_int_equal(c.ready + c.deferred + c.held + c.active, added - settled);
	}
	/* Everything comes out in the end. */
	for (int i = 0; i < 1000000 && n + c.ready + c.deferred + c.active > 0; i++) {
		while (n > 0) {
			finish(q, &running[--n], RECIPIENT_DELIVERED, 0, false, now);
		}
		int64_t at = queue_next_ms(q, now);
		if (at > now && at != QUEUE_NEVER)
			now = at;
		while (n < RUNNING_MAX && queue_take(q, now, QUEUE_TOGETHER, &running[n]))
			n++;
		queue_count(q, &c);
	}
	assert_int_equal(c.ready + c.deferred + c.active, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_recipient_is_at_one_place),
		TEST(what_is_due_goes_in_order),
		TEST(destinations_take_turns),
		TEST(an_unreachable_destination_backs_off),
		TEST(retry_resets_a_destination),
		TEST(parallel_failures_count_once),
		TEST(what_is_stuck_can_be_taken),
		TEST(recipients_of_a_destination_go_together),
		TEST(an_attempt_may_be_smaller),
		TEST(suspects_go_one_at_a_time),
		TEST(a_death_makes_the_whole_message_a_suspect),
		TEST(new_routes_regroup_what_waits),
		TEST(a_reserved_recipient_is_out_of_reach),
		TEST(next_hops_and_causes_are_counted),
		TEST(new_destinations_leave_room),
		TEST(slow_destinations_share_what_is_theirs),
		TEST(a_slow_destination_recovers),
		TEST(time_passes_in_small_steps),
		TEST(what_fits_is_found_in_order),
		TEST(a_place_in_the_list_is_stable),
		TEST(any_order_keeps_the_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
