/* The way out: due mail goes to relay as long as relay has room, one fiber an attempt, and what
 * became of it is written before the queue moves on.
 *
 *   D1  A recipient is in the hands of one attempt at a time.
 *   D2  Its row says what happened before anything else is done with it: until the writer has taken
 *       the result it stays active, so a full disk delays but never delivers twice.
 *   D3  A bounce is written in the transaction that ends its cause. */
#include <inttypes.h>
#include <sys/random.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "io/fiber.h"
#include "mail/cause.h"
#include "mail/retry.h"
#include "store/attempt.h"
#include "store/watch.h"

enum {
	ATTEMPT_MS = 3 * 3600 * 1000, /* relay's own limits end an attempt long before */
	WRITE_AGAIN_MS = 5000,
	DEATHS_MAX = 2, /* relays that died with a message in hand before it is held */
	SUSPECT_PAUSE_MS = 2000,
	GIVE_UP_AT_ONCE = 100,
	GIVE_UP_STEPS = 5000, /* recipients looked at in one go */
};

/* ---- what relay answered ---------------------------------------------------------------------- */

/* Relay may be broken into: what it says is cut to what can be true. */
static void clean_text(struct str *s)
{
	/* In our arena: xfer copied nothing, the packet is ours. */
	ascii_clean((char *)(uintptr_t)s->p, s->n);
}

static void clean_result(struct recipient_result *r)
{
	clean_text(&r->enhanced);
	clean_text(&r->text);
	clean_text(&r->command);
	clean_text(&r->remote_host);
	clean_text(&r->remote_address);
	clean_text(&r->tls);
	if (r->outcome == DELIVERY_DONE)
		r->cause = STR("");
	else
		r->cause = str_from_c(cause_find(r->cause)->id);
}

static void fail_all(struct attempt *a, const char *cause, struct str text)
{
	for (uint32_t i = 0; i < a->work.count; i++)
		a->results[i] = (struct recipient_result){.outcome = DELIVERY_TEMP,
			.enhanced = arena_fmt(a->arena, "4.%s", cause_find(str_from_c(cause))->enhanced),
			.text = text,
			.cause = str_from_c(cause)};
}

/* The packed record must be one, of this attempt, and speak of this message. */
static void take_record(struct attempt *a, struct str packed)
{
	struct record *r = arena_alloc(a->arena, sizeof *r);
	struct xfer x = xfer_reader(packed, a->arena);
	xfer_record(&x, r);
	if (!xfer_done(&x) || r->kind != RECORD_ATTEMPT || !record_is_recent(r)) {
		log_warn("deliver.record", "relay's record of this attempt cannot be read");
		return;
	}
	r->message_count = 1;
	r->messages[0] = a->work.message;
	a->record = r;
	a->packed = packed;
}

static bool take_answer(struct attempt *a, const struct ask_deliver_answer *answer)
{
	if (answer->result_count != a->work.count)
		return false;
	memcpy(a->results, answer->results, answer->result_count * sizeof *a->results);
	for (uint32_t i = 0; i < a->work.count; i++)
		clean_result(&a->results[i]);
	take_record(a, answer->record);
	return true;
}

/* Asks relay. Sets results, or `relay_gone`, or `undone`. */
static void ask_relay(struct attempt *a)
{
	struct store *s = a->store;
	struct ask_link *relay = s->relay;
	struct ask_deliver_answer answer;
	struct err err = {0};
	int fds[ASK_FDS] = {a->body_fd, -1};
	if (!ask_link_alive(relay)) {
		a->undone = true;
		return;
	}
	int status = ask_put(relay, ASK_DELIVER, xfer_ask_deliver, &a->question, fds,
		xfer_ask_deliver_answer, &answer, NULL, ATTEMPT_MS, a->arena, &err);
	if (status == 0 && take_answer(a, &answer))
		return;
	/* Its end while our question was open, not an answer that says "later". */
	if (status != 0 && (s->relay != relay || !ask_link_alive(relay))) {
		a->undone = s->stopping || s->relay_leaves;
		a->relay_gone = !a->undone;
		return;
	}
	log_error(
		"deliver.answer", "%s", status ? err.log : "relay's answer does not fit the question");
	fail_all(a, "unknown", STR("the attempt could not be made"));
}

/* ---- what becomes of it ----------------------------------------------------------------------- */

static uint32_t chance(void)
{
	uint32_t r = 0;
	/* Without random bytes all retries come at the same distance: no harm. */
	return getrandom(&r, sizeof r, GRND_NONBLOCK) == sizeof r ? r : 0;
}

static struct outcome decide(struct attempt *a, uint32_t i)
{
	const struct conf *c = a->store->site->conf;
	const struct recipient_result *r = &a->results[i];
	enum queue_wish wish = queue_wish(a->store->queue, a->work.message, a->work.n[i]);
	struct outcome o = {.n = a->work.n[i], .attempted = true, .said = r};
	if (r->outcome == DELIVERY_DONE)
		o.state = RECIPIENT_DELIVERED;
	else if (wish == WISH_REMOVE)
		o.state = RECIPIENT_REMOVED;
	else if (r->outcome == DELIVERY_PERM)
		o.state = RECIPIENT_BOUNCED;
	else if (!retry_next(c, a->attempts[i] + 1, a->queued_ms + a->jumped_ms, a->now_ms, chance(),
				 &o.next_ms))
		o.state = RECIPIENT_EXPIRED;
	else
		o.state = wish == WISH_HOLD ? RECIPIENT_HELD : RECIPIENT_DEFERRED;
	return o;
}

/* A relay died with this message in its hands: once may be chance, twice in a row is held until a
 * person has looked. Not an attempt of the schedule. */
static void decide_gone(struct attempt *a)
{
	a->deaths = (int64_t)a->work.deaths + 1;
	fail_all(a, "local.relay-gone",
		arena_fmt(a->arena, "the relay process ended while it had this message (%" PRId64 " of %d)",
			a->deaths, DEATHS_MAX));
	for (uint32_t i = 0; i < a->work.count; i++)
		a->outcomes[i] = (struct outcome){.n = a->work.n[i],
			.state = a->deaths >= DEATHS_MAX ? RECIPIENT_HELD : RECIPIENT_DEFERRED,
			.next_ms = a->now_ms + SUSPECT_PAUSE_MS,
			.said = &a->results[i]};
}

/* Its time is over and nobody could be asked: what was said last is what the sender hears. */
static void decide_stuck(struct attempt *a)
{
	for (uint32_t i = 0; i < a->work.count; i++)
		a->outcomes[i] =
			(struct outcome){.n = a->work.n[i], .state = RECIPIENT_EXPIRED, .said = &a->results[i]};
}

static void decide_all(struct attempt *a)
{
	a->now_ms = store_now(a->store);
	a->jumped_ms = a->store->jumps.jumped_ms;
	a->deaths = a->work.deaths ? 0 : -1; /* an answer is proof of innocence */
	if (a->relay_gone)
		decide_gone(a);
	else if (a->stuck)
		decide_stuck(a);
	else
		for (uint32_t i = 0; i < a->work.count; i++)
			a->outcomes[i] = decide(a, i);
}

/* ---- writing it down -------------------------------------------------------------------------- */

static int apply_result(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct attempt *a = (struct attempt *)job; /* its first member */
	if (outcome_write(
			w, db, a->work.message, a->outcomes, a->work.count, a->deaths, a->now_ms, err))
		return -1;
	/* On a full disk the message may end, its story may not grow: so each result makes room. */
	if (a->record && !writer_disk_full(w) && record_insert(db, a->record, a->packed, err))
		return -1;
	return a->has_bounce ? letter_insert(&a->bounce, db, err) : 0;
}

/* D2. False: the writer is dead, and so will we be. */
static bool write_result(struct attempt *a)
{
	struct store *s = a->store;
	struct err err = {0};
	a->job.apply = apply_result;
	a->job.kind = WRITE_FINISHES;
	while (writer_do(s->writer, &a->job, &err)) {
		if (s->failed)
			return false;
		log_error("deliver.write", "%s", err.log);
		if (err.kind == ERR_PERM)
			return true; /* an administrator's change came first: the rows say what holds */
		s->unwritten++;
		fiber_sleep("to write a result again", WRITE_AGAIN_MS);
		s->unwritten--;
	}
	return true;
}

/* Relay met nobody who said anything, for none of the recipients: the destination's trouble. */
static bool was_unreachable(const struct attempt *a, struct queue_trouble *ret)
{
	for (uint32_t i = 0; i < a->work.count; i++) {
		const struct recipient_result *r = &a->results[i];
		bool ours = str_starts(r->cause, STR("local.")) || str_eq(r->cause, STR("unknown"));
		if (ours || r->outcome != DELIVERY_TEMP || r->code != 0)
			return false;
	}
	*ret = (struct queue_trouble){a->results[0].cause, a->results[0].text};
	return true;
}

static void log_outcome(const struct attempt *a, uint32_t i)
{
	const struct recipient_result *r = &a->results[i];
	const struct route *route = &a->question.route;
	log_info("deliver.result",
		"to=<%.*s> state=%s code=%u enhanced=%.*s cause=%.*s host=%.*s address=%.*s tls=\"%.*s\""
		" connector=%.*s attempt=%u text=\"%.*s\"",
		STR_ARG(a->question.envelope.recipients[i].address),
		recipient_state_name(a->outcomes[i].state), r->code, STR_ARG(r->enhanced),
		STR_ARG(r->cause), STR_ARG(r->remote_host), STR_ARG(r->remote_address), STR_ARG(r->tls),
		STR_ARG(route->connector), a->attempts[i] + 1, STR_ARG(r->text));
}

static void end_work(const struct attempt *a)
{
	struct store *s = a->store;
	struct queue_trouble trouble;
	if (a->stuck) {
		queue_put_back(s->queue, &a->work);
		return;
	}
	s->attempts++;
	queue_done(s->queue, &a->work, was_unreachable(a, &trouble) ? &trouble : NULL,
		a->deaths < 0 ? 0 : (uint32_t)a->deaths, store_now(s));
}

/* The queue follows the rows. */
static void settle(struct attempt *a)
{
	struct store *s = a->store;
	bool delivered = false;
	end_work(a);
	for (uint32_t i = 0; i < a->work.count; i++) {
		struct outcome *o = &a->outcomes[i];
		o->next_ms += s->jumps.jumped_ms - a->jumped_ms; /* while it was written */
		delivered = delivered || o->state == RECIPIENT_DELIVERED;
		watch_outcome(s, a->work.message, o->n, o->state);
		log_outcome(a, i);
		change_settle(s, a->work.message, o);
	}
	watch_count(s, WATCH_BYTES_OUT, delivered ? a->question.body_size : 0);
	if (a->has_bounce)
		letter_queue(s, &a->bounce);
}

/* As if it had not been taken. */
static void put_back(struct attempt *a)
{
	struct store *s = a->store;
	queue_put_back(s->queue, &a->work);
	for (uint32_t i = 0; i < a->work.count; i++) {
		struct outcome o = {
			.n = a->work.n[i], .state = a->before[i] ? a->before[i] : RECIPIENT_DEFERRED};
		change_settle(s, a->work.message, &o);
	}
}

/* ---- one attempt ------------------------------------------------------------------------------ */

static void attempt_free(struct attempt *a)
{
	if (a->body_fd >= 0)
		close(a->body_fd);
	arena_free(a->arena);
}

/* What its destination said to others, for recipients that were never tried. */
static int take_trouble(struct attempt *a, struct err *err)
{
	struct queue_entry e;
	struct recipient_result said = {.outcome = DELIVERY_TEMP, .cause = STR("queue.gave-up")};
	if (queue_find(a->store->queue, a->work.message, a->work.n[0], &e) && e.trouble.cause.n) {
		said.cause = arena_dup(a->arena, e.trouble.cause);
		said.text = arena_dup(a->arena, e.trouble.text);
	}
	said.enhanced = arena_fmt(a->arena, "4.%s", cause_find(said.cause)->enhanced);
	return attempt_load_results(a, &said, err);
}

static bool is_late(const struct attempt *a)
{
	return a->queued_ms + a->store->site->conf->queue_give_up_ms <= store_queue_now(a->store);
}

static void attempt_run(void *arg)
{
	struct attempt *a = arg;
	struct store *s = a->store;
	struct err err = {0};
	id_format(a->work.message, log_context()->message);
	if (attempt_load(a, &err) || (a->stuck && take_trouble(a, &err))) {
		log_error("deliver.load", "%s", err.log);
		fail_all(a, "local.body", arena_dup(a->arena, str_from_c(err.log)));
		a->undone = a->stuck; /* nobody's time ends for our disk's sake */
	} else if (a->stuck && !is_late(a)) {
		a->undone = true; /* its id was made by a clock that jumped */
	} else if (!a->stuck) {
		ask_relay(a);
	}
	if (a->undone) {
		put_back(a);
	} else {
		decide_all(a);
		attempt_bounce(a);
		if (write_result(a))
			settle(a);
	}
	s->deliveries--;
	bool last_given_up = a->stuck && --s->giving_up == 0;
	attempt_free(a);
	if (last_given_up)
		deliver_give_up(s); /* there may be more */
	deliver_kick(s);
}

static void attempt_start(struct store *s, const struct queue_work *work, bool stuck)
{
	struct arena *arena = arena_new();
	struct attempt *a = arena_alloc(arena, sizeof *a);
	a->arena = arena;
	a->store = s;
	a->work = *work;
	a->stuck = stuck;
	a->received_ms = id_time_ms(work->message); /* until its row is read … */
	a->queued_ms = store_queue_now(s); /* … and it does not expire while none can be told */
	a->body_fd = a->job.body_fd = -1;  /* a bounce is small: its body is a row */
	a->results = arena_alloc(arena, work->count * sizeof *a->results);
	a->outcomes = arena_alloc(arena, work->count * sizeof *a->outcomes);
	a->attempts = arena_alloc(arena, work->count * sizeof *a->attempts);
	a->before = arena_alloc(arena, work->count * sizeof *a->before);
	s->deliveries++;
	fiber_start("deliver", attempt_run, a);
}

/* A destination that stays away gets so few attempts that mail for it would outlive its time. */
void deliver_give_up(struct store *s)
{
	struct queue_work work;
	uint64_t message;
	uint32_t steps = GIVE_UP_STEPS;
	int64_t now = store_now(s), before_ms = now - s->site->conf->queue_give_up_ms;
	if (s->giving_up || s->stopping)
		return;
	while (s->giving_up < GIVE_UP_AT_ONCE &&
		queue_next_stuck(s->queue, before_ms, &s->give_up_at, &steps, &message))
		if (queue_take_stuck(s->queue, message, now, &work)) {
			s->giving_up++;
			attempt_start(s, &work, true);
		}
}

/* ---- the pump --------------------------------------------------------------------------------- */

void deliver_kick(struct store *s)
{
	if (s->pump)
		loop_timer_start(s->pump, 0);
}

void deliver_pump(void *arg)
{
	struct store *s = arg;
	struct queue_work work;
	int64_t now = store_now(s);
	if (s->failed || s->stopping || s->relay_leaves || !ask_link_alive(s->relay))
		return;
	/* Where a result finds no room the next one would find none either, and whatever is delivered
	 * without one comes twice if store must be started anew. */
	while (!s->unwritten && s->deliveries < DELIVERIES_MAX &&
		queue_take(s->queue, now, QUEUE_TOGETHER, &work))
		attempt_start(s, &work, false);
	int64_t next = queue_next_ms(s->queue, now);
	if (s->unwritten || s->deliveries >= DELIVERIES_MAX || next == QUEUE_NEVER)
		return;
	/* The wall clock may jump: look at least once a tick. */
	int64_t wait = next > now ? next - now : 0;
	loop_timer_start(s->pump, wait < TICK_MS ? wait : TICK_MS);
}
