#include "store/store_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { PURGE_MS = 60 * 1000 };

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

struct loading {
	struct queue *queue;
	struct arena *arena; /* the names of one message's domains */
	struct vec recipients;
	uint64_t message;
	int64_t received_ms;
	uint32_t deaths;
};

static void load_message(struct loading *l)
{
	queue_add(l->queue, l->message, l->received_ms, l->deaths, l->recipients.p,
		(uint32_t)l->recipients.n);
	l->recipients.n = 0;
	arena_reset(l->arena);
}

static int load_queue(struct store *s, struct err *err)
{
	struct loading l = {.queue = s->queue, .arena = arena_new()};
	int step;
	vec_init(&l.recipients, sizeof(struct queue_recipient));
	struct db_query *q = db_query(s->reader,
		"SELECT recipient.message, n, state, next_ms, domain, received_ms, deaths"
		" FROM recipient JOIN message ON message.id = recipient.message"
		" WHERE state < 4 ORDER BY recipient.message, n");
	while ((step = db_step(q, err)) > 0) {
		uint64_t message = (uint64_t)db_int(q, 0);
		if (message != l.message && l.recipients.n)
			load_message(&l);
		l.message = message;
		l.received_ms = db_int(q, 5);
		l.deaths = (uint32_t)db_int(q, 6);
		struct queue_recipient r = {.n = (uint32_t)db_int(q, 1),
			.state = (enum recipient_state)db_int(q, 2),
			.next_ms = db_int(q, 3),
			.domain = arena_dup(l.arena, db_str(q, 4))};
		vec_add(&l.recipients, &r);
	}
	if (l.recipients.n)
		load_message(&l);
	vec_done(&l.recipients);
	arena_free(l.arena);
	return step;
}

/* ---- housekeeping ----------------------------------------------------------------------------- */

static void tick(void *arg)
{
	struct store *s = arg;
	int64_t now = clock_steady_ms();
	spool_tidy(s->spool, now);
	if (now >= s->purge_ms) {
		s->purge_ms = now + PURGE_MS;
		purge_step(s);
		deliver_give_up(s);
	}
	deliver_kick(s);
	loop_timer_start(s->tick, TICK_MS);
}

static void on_writer_failed(const char *why, void *arg)
{
	struct store *s = arg;
	s->failed = true;
	log_error("store.failed", "%s", why);
	if (s->on_failure)
		s->on_failure(why, s->on_failure_arg);
}

/* ---- birth and end ---------------------------------------------------------------------------- */

/* setup makes node.db before site.db. Where it is missing it was lost, or forgotten when the home was
 * moved, and with a new one the mail in spool/ would be swept away as nobody's. */
static int look_for_queue(const char *home, struct err *err)
{
	struct stat st;
	struct arena *arena = arena_new();
	int result = 0;
	if (stat(arena_fmt(arena, "%s/" SITE_DB, home).p, &st) == 0 &&
		stat(arena_fmt(arena, "%s/" NODE_DB, home).p, &st) != 0)
		result = err_say(err,
			"%s/" NODE_DB ", which holds the queue: %s. Put it back; only to begin with an empty "
			"queue, "
			"make an empty file of that name",
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
	struct queue_counts c;
	queue_count(s->queue, &c);
	log_info("store.open", "messages=%llu ready=%llu deferred=%llu held=%llu",
		(unsigned long long)c.messages, (unsigned long long)c.ready, (unsigned long long)c.deferred,
		(unsigned long long)c.held);
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
	writer_free(s->writer);
	db_close(s->reader);
	spool_close(s->spool);
	queue_free(s->queue);
	recorder_free(s->recorder);
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
}
