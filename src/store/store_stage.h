/* store_stage: the store between a fake edge and a fake relay, over real links, on a real loop. For
 * store_test.c and records_test.c.
 *
 * size: one stage, whole, is easier to follow than pieces of it. */
#ifndef STORE_STORE_STAGE_H
#define STORE_STORE_STAGE_H

#include "store/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "conf/settings.h"
#include "store/store_parts.h"

/* ---- the stage -------------------------------------------------------------------------------- */

struct stage {
	bool again; /* the next letter was offered before */
	char home[64];
	struct site *site;
	struct store *store;
	struct ask_link *edge, *store_edge;   /* both ends */
	struct ask_link *relay, *store_relay; /* both ends */
	/* What the fake relay saw. */
	unsigned attempts, recipients, running, most_running;
	unsigned most_together; /* recipients in one attempt */
	int delay_ms;
	bool wrong_count;  /* answers with one result too few */
	bool leaves_first; /* says that it leaves before it goes */
	char body[32];
	uint64_t body_size;
	char bounce[8192]; /* the last message with a null sender */
	char connector[32];
	/* The question of a test and its result. */
	const char *sender;
	const char *recipients_text; /* separated by blanks */
	uint64_t id;
	size_t size; /* of the body */
	bool by_spool, keep_writing;
	int result;
	struct err err;
};

static void answer_edge(struct ask_question *q, void *arg)
{
	struct stage *t = arg;
	switch ((enum ask_kind)q->kind) {
	case ASK_RCPT:
		store_answer_rcpt(t->store, q);
		break;
	case ASK_ACCEPT:
		store_answer_accept(t->store, q);
		break;
	case ASK_SPOOL:
		store_answer_spool(t->store, q);
		break;
	case ASK_RECORD:
		store_answer_record(t->store, q);
		break;
	default:
		break;
	}
}

static void edge_gone(struct ask_link *l, void *arg)
{
	struct stage *t = arg;
	store_link_gone(t->store, l);
}

/* A recipient's local part says what becomes of him. */
static void fake_result(struct str address, struct recipient_result *r)
{
	*r = (struct recipient_result){.outcome = DELIVERY_DONE,
		.code = 250,
		.text = STR("ok"),
		.remote_host = STR("mx.example.com"),
		.remote_address = STR("192.0.2.1:25")};
	if (str_starts(address, STR("temp"))) {
		r->outcome = DELIVERY_TEMP;
		r->code = 450;
		r->cause = STR("reply.temporary");
		r->text = STR("later\r\nplease");
	} else if (str_starts(address, STR("away"))) {
		r->outcome = DELIVERY_TEMP;
		r->code = 0;
		r->cause = STR("connect.refused");
	} else if (str_starts(address, STR("perm"))) {
		r->outcome = DELIVERY_PERM;
		r->code = 550;
		r->enhanced = STR("5.1.1");
		r->cause = STR("reply.no-mailbox");
		r->text = STR("no such user");
	}
}

static void note_body(struct stage *t, const struct ask_question *q, const struct ask_deliver *d)
{
	struct str body = d->body;
	if (q->fd[0] >= 0)
		assert_int_equal(body_map_file(q->fd[0], UINT32_MAX, &body, NULL), 0);
	t->body_size = body.n;
	memset(t->body, 0, sizeof t->body);
	str_to_c(str_take(body, sizeof t->body - 1), t->body, sizeof t->body);
	str_to_c(d->route.connector, t->connector, sizeof t->connector);
	if (d->envelope.sender.n == 0)
		str_to_c(str_take(body, sizeof t->bounce - 1), t->bounce, sizeof t->bounce);
	if (q->fd[0] >= 0)
		body_unmap(body);
}

static void answer_relay(struct ask_question *q, void *arg)
{
	struct stage *t = arg;
	struct ask_deliver d;
	struct ask_deliver_answer a = {0};
	assert_int_equal(ask_take(q, xfer_ask_deliver, &d), 0);
	t->attempts++;
	t->recipients += d.envelope.recipient_count;
	if (d.envelope.recipient_count > t->most_together)
		t->most_together = d.envelope.recipient_count;
	note_body(t, q, &d);
	if (++t->running > t->most_running)
		t->most_running = t->running;
	if (t->delay_ms)
		fiber_sleep("in the fake relay", t->delay_ms);
	t->running--;
	if (str_starts(d.envelope.recipients[0].address, STR("die"))) {
		if (t->leaves_first)
			store_relay_leaves(t->store);
		ask_link_free(t->relay);
		t->relay = NULL;
		return;
	}
	a.results = arena_alloc(q->arena, d.envelope.recipient_count * sizeof *a.results);
	a.result_count = d.envelope.recipient_count - t->wrong_count;
	for (uint32_t i = 0; i < d.envelope.recipient_count; i++)
		fake_result(d.envelope.recipients[i].address, &a.results[i]);
	struct record *r = record_new(q->arena, RECORD_ATTEMPT, STR("192.0.2.1:25"));
	struct buf packed;
	record_add(r, EVENT_SENT, "MAIL FROM:<%.*s>", STR_ARG(d.envelope.sender));
	buf_init(&packed, 65536);
	struct xfer x = xfer_writer(&packed);
	xfer_record(&x, r);
	a.record = buf_str(&packed);
	ask_answer(q, xfer_ask_deliver_answer, &a);
	buf_done(&packed);
}

static UNUSED void start_relay(struct stage *t)
{
	int pair[2];
	ask_pair(pair);
	struct ask_link *old = t->store_relay;
	t->relay = ask_link_new(pair[0], "store", answer_relay, NULL, t);
	t->store_relay = ask_link_new(pair[1], "relay", NULL, NULL, t);
	store_set_relay(t->store, t->store_relay);
	ask_link_free(old);
}

static void open_store(struct stage *t)
{
	struct err err = {0};
	int pair[2];
	t->store = store_open(t->home, t->site, &err);
	if (!t->store)
		fail_msg("%s", err.log);
	ask_pair(pair);
	t->edge = ask_link_new(pair[0], "store", NULL, NULL, t);
	t->store_edge = ask_link_new(pair[1], "edge", answer_edge, edge_gone, t);
}

static void close_store(struct stage *t)
{
	int ms = 30; /* so that fibers that a link's end wakes can finish */
	store_set_relay(t->store, NULL);
	ask_link_free(t->edge);
	ask_link_free(t->store_edge);
	ask_link_free(t->relay);
	ask_link_free(t->store_relay);
	t->edge = t->store_edge = t->relay = t->store_relay = NULL;
	store_stop(t->store);
	run(pass_ms, &ms);
	store_close(t->store);
	t->store = NULL;
}

static int set_up(void **state)
{
	struct stage *t = calloc(1, sizeof *t); /* style: a test */
	home_make(t->home);
	t->site = site_fake();
	setting_parse(setting_find(STR("relay.networks")), STR("192.0.2.7"), t->site->conf, &t->err);
	t->sender = "sender@example.com";
	loop_init();
	open_store(t);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *t = *state;
	close_store(t);
	loop_done();
	site_drop(t->site);
	home_remove(t->home);
	free(t);
	return 0;
}

/* Time passes, as both clocks see it. */
static UNUSED void pass_time(struct stage *t, int64_t ms)
{
	clock_set_wall_ms(clock_wall_ms() + ms);
	t->store->jumps.ahead_ms += ms;
}

/* ---- a letter --------------------------------------------------------------------------------- */

static int make_body(struct stage *t, struct body *ret, struct arena *arena)
{
	char *bytes = arena_alloc(arena, t->size + 1);
	memset(bytes, 'x', t->size);
	memcpy(bytes, "Subject: hi\r\n\r\n", t->size < 15 ? t->size : 15);
	*ret = (struct body){.fd = -1, .size = t->size};
	if (!t->by_spool && t->size <= BODY_PACKET_MAX) {
		ret->bytes = str_make(bytes, t->size);
		return -1;
	}
	if (!t->by_spool) {
		ret->fd = body_from_str(str_make(bytes, t->size), "letter", &t->err);
		return -1;
	}
	struct ask_spool_answer a;
	int fds[ASK_FDS];
	if (ask_put(t->edge, ASK_SPOOL, NULL, NULL, NULL, xfer_ask_spool_answer, &a, fds, 5000, arena,
			&t->err))
		return -1;
	ret->spool = a.spool;
	if (write(fds[0], bytes, t->size) != (ssize_t)t->size)
		abort();
	if (t->keep_writing)
		return fds[0];
	close(fds[0]);
	return -1;
}

/* Hands one letter over; t->result and t->err say what store answered. */
static UNUSED void give_letter(void *arg)
{
	struct stage *t = arg;
	struct arena *arena = arena_new();
	struct envelope_recipient list[300];
	struct str rest = str_from_c(t->recipients_text), one;
	uint32_t n = 0;
	while (str_split(&rest, ' ', &one))
		list[n++] = (struct envelope_recipient){.address = one};
	struct ask_accept q = {.queue_id = t->id ? t->id : id_make(),
		.again = t->again,
		.session_id = 7,
		.envelope = {.sender = str_from_c(t->sender), .recipients = list, .recipient_count = n},
		.prefix = STR("Received: from a by b\r\n"),
		.message_id = STR("<one@example.com>"),
		.client = STR("192.0.2.7"),
		.helo = STR("client.example"),
		.tls = STR("TLSv1.3")};
	t->id = q.queue_id;
	err_clear(&t->err);
	int writer = make_body(t, &q.body, arena);
	t->result = ask_put(t->edge, ASK_ACCEPT, xfer_ask_accept, &q, (int[]){q.body.fd, -1}, NULL,
		NULL, NULL, 5000, arena, &t->err);
	if (writer >= 0)
		close(writer);
	if (q.body.fd >= 0)
		close(q.body.fd);
	arena_free(arena);
}

static UNUSED void give(struct stage *t, const char *recipients, size_t size)
{
	t->recipients_text = recipients;
	t->size = size;
	t->id = 0;
	run(give_letter, t);
}

static UNUSED void wait_idle(void *arg)
{
	struct stage *t = arg;
	struct queue_counts c;
	for (int i = 0; i < 400; i++) {
		queue_count(t->store->queue, &c);
		if (c.ready + c.active == 0)
			return;
		fiber_sleep("in a test", 5);
	}
}

static UNUSED enum recipient_state state_of(struct stage *t, uint32_t n, struct arena *arena)
{
	struct recipient_filter f = {.message = t->id, .states = ~0u};
	struct recipient_place at = {0};
	struct recipient_row *rows;
	uint32_t count;
	struct err err;
	assert_int_equal(store_list(t->store, &f, &at, 1000, arena, &rows, &count, &err), 0);
	assert_true(n < count);
	return rows[n].state;
}

static UNUSED int64_t number(struct stage *t, const char *sql)
{
	int64_t v = -1;
	struct err err = {0};
	if (db_number(t->store->reader, sql, &v, &err))
		fail_msg("%s", err.log);
	return v;
}

#endif
