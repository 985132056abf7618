/* What a relay that was taken over may answer to store: results of any form, too few, too many, and
 * records of any kind. One message with a few recipients is accepted, handed over and answered so. Each
 * recipient then has the state that his result means; what cannot be a result leaves him deferred;
 * no text brings control characters into the queue; and the bounce, if there is one, is delivered.
 *
 *   input  = u8 recipients and what they are to be told, u8 form of the answer, answer
 *   answer = slice any packet (form 128), or *result, record (form 64: any bytes)
 *   result = u8 outcome, code, which texts are given; slice for each text */
#include "ask/questions.h"
#include "base/id.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "mail/cause.h"
#include "store/fuzz_store.h"
#include "store/fuzz_verb.h"

enum { RECIPIENTS = 4, TURNS_MAX = 5000 };
enum { RAW = 128, STRANGE_RECORD = 64, TOO_FEW = 32, TOO_MANY = 16 };

static struct {
	struct store *store;
	struct admin admin;
	struct ask_link *edge, *relay, *store_relay;
	struct str script;
	uint64_t id;
	uint32_t count;
	uint8_t notify;
	/* What relay answered to the first attempt. */
	bool answered, fits;
	enum delivery outcome[RECIPIENTS];
} world;

/* ---- relay ------------------------------------------------------------------------------------ */

static struct str take_text(struct str *script, bool given, struct str otherwise)
{
	return given ? fuzz_slice(script) : otherwise;
}

static struct recipient_result take_result(struct str *script)
{
	static const uint16_t codes[] = {0, 250, 450, 550};
	uint8_t what = fuzz_byte(script);
	return (struct recipient_result){.outcome = (enum delivery)(what % 4 % 3),
		.code = codes[what / 4 % 4],
		.text = take_text(script, what & 16, STR("a text")),
		.cause = take_text(script, what & 32, STR("reply.temporary")),
		.enhanced = take_text(script, what & 64, STR("4.0.0")),
		.remote_host = take_text(script, what & 128, STR("mx.example")),
		.remote_address = take_text(script, what & 128, STR("192.0.2.1:25")),
		.command = take_text(script, what & 128, STR("RCPT TO")),
		.tls = take_text(script, what & 128, STR("in clear"))};
}

/* u8: 1 of a session, 2 its id, 4 its time, 8 its messages */
static struct str take_record(struct str *script, struct arena *arena)
{
	struct record *r = record_new(arena, RECORD_ATTEMPT, STR("192.0.2.1:25"));
	uint8_t strange = fuzz_byte(script);
	struct buf packed;
	buf_init(&packed, 1 << 16);
	r->kind = strange & 1 ? RECORD_SESSION : RECORD_ATTEMPT;
	if (strange & 2)
		r->id = (uint64_t)fuzz_byte(script) << 56;
	if (strange & 4)
		r->started_ms = (int64_t)((uint64_t)fuzz_byte(script) << 56);
	if (strange & 8)
		r->message_count = fuzz_byte(script) % 100u;
	record_add(r, EVENT_SENT, "%.*s", STR_ARG(fuzz_slice(script)));
	struct xfer x = xfer_writer(&packed);
	xfer_record(&x, r);
	struct str ret = arena_dup(arena, buf_str(&packed));
	buf_done(&packed);
	return ret;
}

static void answer_by_script(struct ask_question *q)
{
	struct str *script = &world.script;
	uint8_t form = fuzz_byte(script);
	if (form & RAW) {
		q->answer = arena_dup(q->arena, fuzz_slice(script));
		return;
	}
	struct ask_deliver_answer a = {.result_count = world.count};
	a.result_count -= (form & TOO_FEW) != 0;
	a.result_count += (form & TOO_MANY) != 0;
	a.results = arena_alloc(q->arena, (a.result_count + 1) * sizeof *a.results);
	for (uint32_t i = 0; i < a.result_count; i++) {
		a.results[i] = take_result(script);
		if (i < RECIPIENTS)
			world.outcome[i] = a.results[i].outcome;
	}
	a.record = form & STRANGE_RECORD ? fuzz_slice(script) : take_record(script, q->arena);
	world.fits = a.result_count == world.count;
	ask_answer(q, xfer_ask_deliver_answer, &a);
	world.fits = world.fits && q->err.kind == ERR_NONE;
}

/* Bounces, and what is tried again, get through. */
static void answer_done(struct ask_question *q, const struct ask_deliver *d)
{
	struct ask_deliver_answer a = {.result_count = d->envelope.recipient_count};
	a.results = arena_alloc(q->arena, a.result_count * sizeof *a.results);
	for (uint32_t i = 0; i < a.result_count; i++)
		a.results[i] = (struct recipient_result){.code = 250, .text = STR("ok")};
	ask_answer(q, xfer_ask_deliver_answer, &a);
}

static void be_relay(struct ask_question *q, void *arg)
{
	struct ask_deliver d;
	(void)arg;
	int taken = ask_take(q, xfer_ask_deliver, &d);
	assert(taken == 0);
	if (world.answered) {
		answer_done(q, &d);
		return;
	}
	assert(d.queue_id == world.id && d.envelope.recipient_count == world.count);
	assert(str_eq(d.body, STR("Subject: x\r\n\r\nx\r\n")));
	world.answered = true;
	answer_by_script(q);
}

/* ---- edge and the world ----------------------------------------------------------------------- */

static void make_world(void)
{
	struct err err;
	int pair[2];
	const char *home = fuzz_home_make();
	struct site *site = site_fake();
	loop_init();
	setting_parse(setting_find(STR("relay.networks")), STR("192.0.2.7"), site->conf, &err);
	world.store = store_open(home, site, &err);
	assert(world.store);
	world.admin = (struct admin){.home = home, .site = site, .store = world.store};
	world.id = id_make();
	ask_pair(pair);
	world.relay = ask_link_new(pair[0], "store", be_relay, NULL, NULL);
	world.store_relay = ask_link_new(pair[1], "relay", NULL, NULL, NULL);
	store_set_relay(world.store, world.store_relay);
	ask_pair(pair);
	world.edge = ask_link_new(pair[0], "edge", NULL, NULL, NULL);
}

static void give_letter(struct arena *arena)
{
	struct envelope_recipient to[RECIPIENTS];
	for (uint32_t i = 0; i < world.count; i++)
		to[i] = (struct envelope_recipient){
			.address = arena_fmt(arena, "r%u@example.com", i), .notify = world.notify};
	struct ask_accept accept = {.queue_id = world.id,
		.session_id = 7,
		.envelope = {.sender = STR("a@client.example"),
			.recipients = to,
			.recipient_count = world.count},
		.prefix = STR("Received: from x\r\n"),
		.body = {.fd = -1, .bytes = STR("Subject: x\r\n\r\nx\r\n"), .size = 17},
		.client = STR("192.0.2.7")};
	struct ask_question q = {
		.link = world.edge, .arena = arena, .fd = {-1, -1}, .answer_fd = {-1, -1}};
	struct buf packed;
	buf_init(&packed, 1 << 16);
	struct xfer x = xfer_writer(&packed);
	xfer_ask_accept(&x, &accept);
	q.body = buf_str(&packed);
	store_answer_accept(world.store, &q);
	assert(xfer_done(&x) && q.err.kind == ERR_NONE);
	buf_done(&packed);
}

/* Until nobody is in relay's hands, nor due. */
static void wait_idle(void)
{
	struct store_counters c = {.ready = 1};
	for (int turn = 0; c.ready + c.active > 0; turn++) {
		assert(turn < TURNS_MAX);
		fiber_sleep("for relay", 1);
		store_count(world.store, &c);
	}
}

/* ---- what holds ------------------------------------------------------------------------------- */

static enum recipient_state expected(uint32_t i)
{
	if (!world.fits || world.outcome[i] == DELIVERY_TEMP)
		return RECIPIENT_DEFERRED;
	return world.outcome[i] == DELIVERY_DONE ? RECIPIENT_DELIVERED : RECIPIENT_BOUNCED;
}

static bool is_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (ascii_is_control(s.p[i]))
			return false;
	return true;
}

static void check_rows(struct arena *arena)
{
	struct recipient_filter f = {.message = world.id, .states = ~0u};
	struct recipient_place at = {0};
	struct recipient_row *r;
	uint32_t n;
	struct err err;
	int listed = store_list(world.store, &f, &at, RECIPIENTS + 1, arena, &r, &n, &err);
	assert(listed == 0 && n == world.count);
	for (uint32_t i = 0; i < n; i++) {
		assert(r[i].state == expected(i) && r[i].attempts == 1);
		assert(is_clean(r[i].text) && is_clean(r[i].enhanced) && is_clean(r[i].command));
		assert(is_clean(r[i].remote_host) && is_clean(r[i].remote_address) && is_clean(r[i].tls));
		assert((r[i].cause.n == 0) == (r[i].state == RECIPIENT_DELIVERED));
		assert(r[i].cause.n == 0 || str_eq(r[i].cause, str_from_c(cause_find(r[i].cause)->id)));
	}
}

static void check(struct arena *arena)
{
	char id[ID_TEXT];
	int64_t lies = -1;
	struct err err;
	id_format(world.id, id);
	check_rows(arena);
	/* Forgetting relies on times that are true. */
	int counted = db_number(world.store->reader,
		"SELECT count(*) FROM record WHERE at_ms NOT BETWEEN 1795200000000 AND 1795374000000",
		&lies, &err);
	assert(counted == 0 && lies == 0);
	unsigned status = fuzz_verb(&world.admin, admin_verb_find(STR("trace")),
		arena_fmt(arena, "{\"what\":\"%s\"}", id), arena);
	assert(status == 200);
	status = fuzz_verb(&world.admin, admin_verb_find(STR("queue.list")), STR("{}"), arena);
	assert(status == 200);
}

static void deliver(void *arg)
{
	struct arena *arena = arena_new();
	(void)arg;
	give_letter(arena);
	wait_idle();
	assert(world.answered);
	check(arena);
	fuzz_store_empty(world.store, &world.id, 1);
	arena_free(arena);
	loop_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!world.store)
		make_world();
	world.script = str_make((const char *)data, size);
	uint8_t first = fuzz_byte(&world.script);
	world.count = 1 + first % RECIPIENTS;
	world.notify = first / 16 > 8 ? 0 : first / 16;
	world.answered = world.fits = false;
	fiber_start("deliver", deliver, NULL);
	loop_run();
	return 0;
}
