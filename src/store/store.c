#include "store/store_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/fiber.h"
#include "store/watch.h"

enum {
	PURGE_MS = 60 * 1000,
	LOAD_PAGE = 200,
	LOAD_TURN_MS = 5,
	LOAD_PAUSE_MS = 2,
	LOAD_WAIT_MS = 5
};

/* ---- start-up --------------------------------------------------------------------------------- */

static void write_key(void *arg, struct str domain, struct buf *out)
{
	const struct store *s = arg;
	struct route route = route_find(&s->site->routes, s->site->conf, domain);
	route_key(&route, out);
}

/* W2: a file is kept if a row names it. When the row cannot be read, it is kept too. */
static bool is_named(void *arg, uint64_t id)
{
	const struct store *s = arg;
	struct db_query *q =
		db_query(s->reader, "SELECT 1 FROM message WHERE id = $1 AND body_kind = $2");
	db_bind_int(q, 1, (int64_t)id);
	db_bind_int(q, 2, BODY_FILE);
	int step = db_step(q, NULL);
	if (step > 0)
		db_end(q);
	return step != 0;
}

static int sweep(struct store *s, struct err *err)
{
	uint64_t dropped;
	if (spool_sweep(s->spool, is_named, s, &dropped, err))
		return -1;
	if (dropped)
		log_info(
			"store.sweep", "files=%llu without a row were dropped", (unsigned long long)dropped);
	return 0;
}

static void on_writer_failed(const char *why, void *arg)
{
	struct store *s = arg;
	s->failed = true;
	log_error("store.failed", "%s", why);
	if (s->on_failure)
		s->on_failure(why, s->on_failure_arg);
}

/* One page of the queue, as it is read from node.db. */
struct loading {
	struct arena *arena; /* the names of one message's domains */
	struct vec recipients;
	uint64_t message;
	int64_t last_ms; /* the latest that any may be tried again */
};

static void load_message(struct store *s, struct loading *l, uint32_t deaths)
{
	queue_add(s->queue, l->message, deaths, l->recipients.p, (uint32_t)l->recipients.n);
	l->recipients.n = 0;
	arena_reset(l->arena);
}

/* No wait is longer than this from now on. */
static int64_t last_try(struct store *s)
{
	const struct conf_durations *waits = &s->site->conf->relay_retry;
	int64_t longest = 0;
	for (size_t i = 0; i < waits->n; i++)
		longest = waits->ms[i] > longest ? waits->ms[i] : longest;
	return store_now(s) + longest + longest / 10; /* and chance */
}

/* A row may have been written by a clock that was wrong. */
static int64_t next_try(enum recipient_state state, int64_t next_ms, int64_t last_ms)
{
	if (state == RECIPIENT_READY)
		return 0;
	return next_ms < last_ms ? next_ms : last_ms;
}

static void load_recipient(struct store *s, struct loading *l, struct db_query *q)
{
	enum recipient_state state = (enum recipient_state)db_int(q, 2);
	struct queue_recipient r = {.n = (uint32_t)db_int(q, 1),
		.state = state,
		.next_ms = next_try(state, db_int(q, 3), l->last_ms),
		.domain = arena_dup(l->arena, db_str(q, 4)),
		.cause = queue_cause(db_str(q, 5))};
	vec_add(&l->recipients, &r);
	if (r.state != RECIPIENT_READY)
		watch_put_off(s, (uint64_t)db_int(q, 0), r.n);
}

/* Whole messages behind *after, oldest first, until there are `rows` recipients; *after moves along.
 * 1: there are more, 0: that was the end, -1 with *err. What came in meanwhile may be in the queue
 * already and stays as it is there. */
static int load_page(
	struct store *s, uint64_t *after, uint32_t rows, uint32_t deaths, struct err *err)
{
	struct loading l = {.arena = arena_new(), .message = *after, .last_ms = last_try(s)};
	uint32_t seen = 0;
	int step;
	vec_init(&l.recipients, sizeof(struct queue_recipient));
	/* The index recipient_open has all of this. */
	struct db_query *q = db_query(s->reader,
		"SELECT message, n, state, next_ms, domain, cause FROM recipient"
		" WHERE state < 4 AND message > $1 ORDER BY message, n");
	db_bind_int(q, 1, (int64_t)*after);
	while ((step = db_step(q, err)) > 0) {
		uint64_t message = (uint64_t)db_int(q, 0);
		if (message != l.message) {
			load_message(s, &l, deaths);
			if (seen >= rows)
				break;
			l.message = *after = message;
		}
		load_recipient(s, &l, q);
		seen++;
	}
	if (step > 0)
		db_end(q);
	else if (step == 0)
		load_message(s, &l, deaths);
	vec_done(&l.recipients);
	arena_free(l.arena);
	return step;
}

/* Suspects come first, so that none is tried like any other before it is known (K5). */
static int load_suspects(struct store *s, struct err *err)
{
	struct vec ids, deaths;
	int step, result = 0;
	vec_init(&ids, sizeof(int64_t));
	vec_init(&deaths, sizeof(int64_t));
	struct db_query *q =
		db_query(s->reader, "SELECT id, deaths FROM message WHERE deaths > 0 AND open > 0");
	while ((step = db_step(q, err)) > 0) {
		int64_t id = db_int(q, 0), count = db_int(q, 1);
		vec_add(&ids, &id);
		vec_add(&deaths, &count);
	}
	for (size_t i = 0; i < ids.n && step == 0 && result >= 0; i++) {
		uint64_t before = (uint64_t) * (int64_t *)vec_at(&ids, i) - 1;
		result = load_page(s, &before, 1, (uint32_t) * (int64_t *)vec_at(&deaths, i), err);
	}
	vec_done(&ids);
	vec_done(&deaths);
	return step < 0 || result < 0 ? -1 : 0;
}

static void log_counts(struct store *s, const char *event)
{
	struct queue_counts c;
	queue_count(s->queue, &c);
	log_info(event, "messages=%llu ready=%llu deferred=%llu held=%llu%s",
		(unsigned long long)c.messages, (unsigned long long)c.ready, (unsigned long long)c.deferred,
		(unsigned long long)c.held, s->loading ? " and more" : "");
}

/* A large queue is read while the first mail comes and goes. */
static void load_rest(void *arg)
{
	struct store *s = arg;
	struct err err = {0};
	int more = 1;
	while (more > 0 && !s->stopping) {
		int64_t until = clock_steady_ms() + LOAD_TURN_MS;
		while (more > 0 && clock_steady_ms() < until)
			more = load_page(s, &s->loaded, LOAD_PAGE, 0, &err);
		deliver_kick(s);
		fiber_sleep("to let others run", LOAD_PAUSE_MS);
	}
	s->loading = false;
	if (more < 0)
		on_writer_failed(err.log, s);
	else
		log_counts(s, "store.loaded");
}

/* The first page at once; without a loop all of it. */
static int load_queue(struct store *s, struct err *err)
{
	int more = load_suspects(s, err) ? -1 : 1;
	while (more > 0) {
		more = load_page(s, &s->loaded, LOAD_PAGE, 0, err);
		if (more > 0 && loop_base()) {
			s->loading = true;
			fiber_start("load", load_rest, s);
			return 0;
		}
	}
	return more;
}

void store_wait_loaded(struct store *s)
{
	while (s->loading && !s->stopping)
		fiber_sleep("for the queue to be read", LOAD_WAIT_MS);
}

/* ---- housekeeping ----------------------------------------------------------------------------- */

static void tick(void *arg)
{
	struct store *s = arg;
	int64_t now = clock_steady_ms();
	spool_tidy(s->spool, now);
	room_look(s);
	if (now >= s->purge_ms) {
		s->purge_ms = now + PURGE_MS;
		jumps_note(s);
		purge_step(s);
	}
	deliver_give_up(s);
	deliver_kick(s);
	loop_timer_start(s->tick, TICK_MS);
}

/* ---- birth and end ---------------------------------------------------------------------------- */

/* setup makes both before site.db. What is missing was lost, or forgotten when the home was moved: with
 * a new node.db the mail in spool/ would be swept away as nobody's, with a new spool/ large mail would
 * wait in vain for its bodies. */
static int look_for_queue(const char *home, struct err *err)
{
	struct stat st;
	struct arena *arena = arena_new();
	int result = 0;
	if (stat(arena_fmt(arena, "%s/" SITE_DB, home).p, &st) != 0)
		; /* no installation yet */
	else if (stat(arena_fmt(arena, "%s/" NODE_DB, home).p, &st) != 0)
		result = err_say(err,
			"%s/" NODE_DB ", which holds the queue: %s. Put it back; only to begin with an empty "
			"queue, make an empty file of that name",
			home, strerror(errno));
	else if (stat(arena_fmt(arena, "%s/spool", home).p, &st) != 0)
		result = err_say(err,
			"%s/spool, which holds the large mail of the queue: %s. Put it back; only to go on "
			"without it, make an empty folder of that name",
			home, strerror(errno));
	arena_free(arena);
	return result;
}

static int open_parts(struct store *s, const char *home, struct err *err)
{
	if (look_for_queue(home, err))
		return -1;
	s->spool = spool_open(home, err);
	if (!s->spool)
		return -1;
	s->writer = writer_new(home, s->spool, on_writer_failed, s, err);
	if (!s->writer)
		return -1;
	writer_set_min_free(s->writer, s->site->conf->queue_min_free);
	suspect_open(s, home);
	jumps_open(s, home);
	s->reader = node_db_open_reader(home, err);
	if (!s->reader || sweep(s, err) || load_queue(s, err))
		return -1;
	return 0;
}

struct store *store_open(const char *home, struct site *site, struct err *err)
{
	struct store *s = mem_new(sizeof *s);
	s->site = site_hold(site);
	s->recorder = recorder_new();
	s->watch = watch_new();
	s->jumps.fd = -1;
	room_open(s);
	s->queue = queue_new(write_key, s);
	queue_set_concurrency(s->queue, (unsigned)site->conf->relay_concurrency);
	if (open_parts(s, home, err)) {
		store_close(s);
		return NULL;
	}
	if (loop_base()) {
		s->pump = loop_timer_new(deliver_pump, s);
		s->tick = loop_timer_new(tick, s);
		s->purge_ms = clock_steady_ms() + PURGE_MS;
		loop_timer_start(s->tick, TICK_MS);
	}
	log_counts(s, "store.open");
	return s;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	s->closing = true;
	if (s->pump)
		loop_timer_free(s->pump);
	if (s->tick)
		loop_timer_free(s->tick);
	s->pump = s->tick = NULL;
	room_close(s);
	writer_free(s->writer);
	db_close(s->reader);
	jumps_close(s);
	spool_close(s->spool);
	queue_free(s->queue);
	recorder_free(s->recorder);
	watch_free(s->watch);
	site_drop(s->site);
	free(s);
}

void store_stop(struct store *s)
{
	s->stopping = true;
}

bool store_busy(const struct store *s)
{
	return s->deliveries > 0;
}

void store_on_failure(struct store *s, void (*fn)(const char *why, void *arg), void *arg)
{
	s->on_failure = fn;
	s->on_failure_arg = arg;
}

/* ---- what changes while it runs --------------------------------------------------------------- */

void store_set_site(struct store *s, struct site *site)
{
	struct site *old = s->site;
	s->site = site_hold(site);
	queue_set_concurrency(s->queue, (unsigned)site->conf->relay_concurrency);
	writer_set_min_free(s->writer, site->conf->queue_min_free);
	queue_regroup(s->queue);
	site_drop(old);
	deliver_kick(s);
}

void store_set_relay(struct store *s, struct ask_link *relay)
{
	s->relay = relay;
	s->relay_leaves = false;
	deliver_kick(s);
}

void store_relay_leaves(struct store *s)
{
	s->relay_leaves = true;
}

void store_link_gone(struct store *s, const struct ask_link *link)
{
	spool_forget(s->spool, link);
	room_forget(s, link);
}
