/* The store between a fake edge and a fake relay, over real links, on a real loop. */
#include "store/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "ask/questions.h"
#include "base/clock.h"
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
	bool wrong_count; /* answers with one result too few */
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
	struct stat st;
	assert_true(body_check(q->fd[0], NULL) >= 0);
	assert_int_equal(fstat(q->fd[0], &st), 0);
	t->body_size = (uint64_t)st.st_size;
	memset(t->body, 0, sizeof t->body);
	assert_true(pread(q->fd[0], t->body, sizeof t->body - 1, 0) >= 0);
	str_to_c(d->route.connector, t->connector, sizeof t->connector);
	if (d->envelope.sender.n)
		return;
	ssize_t n = pread(q->fd[0], t->bounce, sizeof t->bounce - 1, 0);
	t->bounce[n > 0 ? n : 0] = 0;
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

static void start_relay(struct stage *t)
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
	t->site = site_make();
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

/* ---- a letter --------------------------------------------------------------------------------- */

static int make_body(struct stage *t, struct body *ret, struct arena *arena)
{
	char *bytes = arena_alloc(arena, t->size + 1);
	memset(bytes, 'x', t->size);
	memcpy(bytes, "Subject: hi\r\n\r\n", t->size < 15 ? t->size : 15);
	*ret = (struct body){.fd = -1, .size = t->size};
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
static void give_letter(void *arg)
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

static void give(struct stage *t, const char *recipients, size_t size)
{
	t->recipients_text = recipients;
	t->size = size;
	t->id = 0;
	run(give_letter, t);
}

static void wait_idle(void *arg)
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

static enum recipient_state state_of(struct stage *t, uint32_t n, struct arena *arena)
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

static int64_t number(struct stage *t, const char *sql)
{
	int64_t v = -1;
	struct err err = {0};
	if (db_number(t->store->reader, sql, &v, &err))
		fail_msg("%s", err.log);
	return v;
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void a_letter_goes_in_and_out(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	give(t, "a@example.org", 100);
	assert_int_equal(t->result, 0);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 1);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->attempts, 1);
	assert_int_equal(t->body_size, 100);
	assert_memory_equal(t->body, "Subject: hi\r\n\r\nx", 16);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_DELIVERED);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 0);
	assert_int_equal(number(t, "SELECT count(*) FROM record"), 1);
	struct message_row m;
	struct err err;
	assert_int_equal(store_message(t->store, t->id, arena, &m, &err), 1);
	assert_true(m.finished_ms > 0);
	assert_int_equal(m.body_kind, BODY_GONE);
	arena_free(arena);
}

/* The answer to the first offer was lost with the store that gave it. */
static void a_letter_offered_again_is_kept_once(void **state)
{
	struct stage *t = *state;
	give(t, "a@example.org", 100);
	assert_int_equal(t->result, 0);
	run(give_letter, t);
	assert_int_equal(t->result, -1); /* somebody else's letter with the same id */
	t->again = true;
	run(give_letter, t);
	assert_int_equal(t->result, 0);
	t->size = 101; /* not the same letter */
	run(give_letter, t);
	assert_int_equal(t->result, -1);
	give(t, "b@example.org", 100); /* the first offer had not arrived */
	assert_int_equal(t->result, 0);
	assert_int_equal(number(t, "SELECT count(*) FROM message"), 2);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 2);
}

static void an_empty_body_is_a_body(void **state)
{
	struct stage *t = *state;
	t->body_size = 99;
	give(t, "a@example.org", 0);
	assert_int_equal(t->result, 0);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->attempts, 1);
	assert_int_equal(t->body_size, 0);
}

static uint64_t files_in_spool(struct stage *t)
{
	char command[128], text[32] = "";
	snprintf(command, sizeof command, "find %s/spool -type f | wc -l", t->home);
	FILE *f = popen(command, "r"); /* style: a test */
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	pclose(f);
	return strtoull(text, NULL, 10);
}

static void large_bodies_are_files(void **state)
{
	struct stage *t = *state;
	give(t, "a@example.org", SPOOL_ROW_MAX + 1);
	assert_int_equal(t->result, 0);
	assert_int_equal(files_in_spool(t), 1);
	t->by_spool = true;
	give(t, "b@example.org", 3 * 1024 * 1024);
	assert_int_equal(t->result, 0);
	assert_int_equal(files_in_spool(t), 2);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->attempts, 2);
	assert_int_equal(files_in_spool(t), 0);
}

static void a_file_with_a_writer_is_refused(void **state)
{
	struct stage *t = *state;
	t->by_spool = t->keep_writing = true;
	give(t, "a@example.org", 100 * 1024);
	assert_int_equal(t->result, -1);
	assert_non_null(strstr(t->err.log, "writer left"));
	assert_int_equal(spool_lent(t->store->spool), 0);
	assert_int_equal(files_in_spool(t), 0);
}

static void a_second_id_is_refused(void **state)
{
	struct stage *t = *state;
	give(t, "a@example.org", 10);
	assert_int_equal(t->result, 0);
	run(give_letter, t); /* t->id is set */
	assert_int_equal(t->result, -1);
	assert_int_equal(number(t, "SELECT count(*) FROM message"), 1);
	/* Also when the queue has forgotten it. */
	start_relay(t);
	run(wait_idle, t);
	run(give_letter, t);
	assert_int_equal(t->result, -1);
	assert_int_equal(number(t, "SELECT count(*) FROM message"), 1);
}

static void a_hostile_edge_is_refused(void **state)
{
	struct stage *t = *state;
	static const char *const bad[] = {"a", "a@", "@b", "a@b\r\nRCPT TO:<c@d>", "a b@c"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (strchr(bad[i], ' ') && !strchr(bad[i], '\r'))
			continue;
		give(t, bad[i], 10);
		assert_int_equal(t->result, -1);
	}
	t->sender = "x@y>\r\n";
	give(t, "a@example.org", 10);
	assert_int_equal(t->result, -1);
	assert_int_equal(number(t, "SELECT count(*) FROM message"), 0);
}

static void a_temporary_failure_waits_and_a_restart_forgets_nothing(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	give(t, "temp@example.org ok@example.org", 10);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->attempts, 1);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_DEFERRED);
	assert_int_equal(state_of(t, 1, arena), RECIPIENT_DELIVERED);
	close_store(t);
	open_store(t);
	struct queue_counts c;
	queue_count(t->store->queue, &c);
	assert_int_equal(c.messages, 1);
	assert_int_equal(c.deferred, 1);
	struct recipient_filter f = {.message = t->id};
	struct recipient_place at = {0};
	struct recipient_row *rows;
	uint32_t n;
	struct err err;
	assert_int_equal(store_list(t->store, &f, &at, 10, arena, &rows, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].attempts, 1);
	assert_true(rows[0].next_ms > clock_wall_ms() + 60000);
	assert_int_equal(rows[0].code, 450);
	/* A reply cannot forge lines. */
	assert_true(str_eq(rows[0].text, STR("later??please")));
	assert_true(str_eq(rows[0].cause, STR("reply.temporary")));
	arena_free(arena);
}

static void a_failure_for_good_bounces_once(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	give(t, "perm@example.org perm2@example.org ok@example.org", 10);
	uint64_t id = t->id;
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->attempts, 2); /* and the bounce */
	assert_non_null(strstr(t->bounce, "perm@example.org"));
	assert_non_null(strstr(t->bounce, "perm2@example.org"));
	assert_non_null(strstr(t->bounce, "message/delivery-status"));
	assert_int_equal(number(t, "SELECT count(*) FROM message WHERE parent IS NOT NULL"), 1);
	t->id = id;
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_BOUNCED);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 0);
	/* A bounce that fails is not answered. */
	t->sender = "";
	give(t, "perm@example.org", 10);
	run(wait_idle, t);
	assert_int_equal(number(t, "SELECT count(*) FROM message"), 3);
	arena_free(arena);
}

static void an_old_message_expires(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	t->sender = "";
	int64_t now = clock_wall_ms();
	give(t, "temp@example.org", 10);
	clock_set_wall_ms(now + t->site->conf->queue_give_up_ms + 1000);
	start_relay(t);
	run(wait_idle, t);
	clock_set_wall_ms(-1);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_EXPIRED);
	arena_free(arena);
}

/* A destination that stays away is asked seldom; who waits for it hears of it in time all the same. */
static void what_waits_for_a_dead_destination_expires_too(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	int ms = 50;
	for (int i = 0; i < 4; i++)
		give(t, "away@example.org", 10);
	t->site->conf->relay_concurrency = 1;
	store_set_site(t->store, t->site);
	start_relay(t);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 2); /* then it backs off */
	struct recipient_filter f = {.message = t->id};
	struct recipient_place at = {0};
	struct recipient_row *rows;
	uint32_t n;
	struct err err;
	assert_int_equal(store_list(t->store, &f, &at, 1, arena, &rows, &n, &err), 0);
	assert_int_equal(rows[0].state, RECIPIENT_READY);
	assert_true(str_eq(rows[0].cause, STR("connect.refused")));
	assert_true(rows[0].next_ms > clock_wall_ms());
	t->site->conf->queue_give_up_ms = 1;
	deliver_give_up(t->store);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 4); /* the bounces */
	assert_int_equal(number(t, "SELECT count(*) FROM recipient WHERE state = 7"), 2);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_EXPIRED);
	assert_non_null(strstr(t->bounce, "away@example.org"));
	arena_free(arena);
}

static void one_destination_gets_a_message_once(void **state)
{
	struct stage *t = *state;
	char list[8000] = "";
	for (int i = 0; i < 250; i++)
		snprintf(
			list + strlen(list), sizeof list - strlen(list), "%su%d@example.net", i ? " " : "", i);
	give(t, list, 10);
	assert_int_equal(t->result, 0);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->recipients, 250);
	assert_int_equal(t->attempts, 3);
	assert_int_equal(t->most_together, QUEUE_TOGETHER);
	assert_string_equal(t->connector, "smart");
}

static void a_destination_has_so_many_attempts_at_a_time(void **state)
{
	struct stage *t = *state;
	t->site->conf->relay_concurrency = 3;
	store_set_site(t->store, t->site);
	for (int i = 0; i < 12; i++)
		give(t, "a@example.org", 10);
	t->delay_ms = 10;
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->attempts, 12);
	assert_int_equal(t->most_running, 3);
}

static void a_message_that_kills_relay_is_held(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	int ms = 50;
	give(t, "die@example.org", 10);
	start_relay(t);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 1);
	assert_int_equal(number(t, "SELECT deaths FROM message"), 1);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_DEFERRED);
	/* Now it is a suspect; its next time is some seconds away. */
	struct recipient_filter f = {.message = t->id};
	uint64_t count;
	struct err err;
	start_relay(t);
	assert_int_equal(store_change(t->store, CHANGE_RETRY, &f, STR("me"), &count, &err), 0);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 2);
	assert_int_equal(number(t, "SELECT deaths FROM message"), 2);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_HELD);
	start_relay(t);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 2);
	arena_free(arena);
}

static void an_answer_that_does_not_fit_is_no_delivery(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	t->wrong_count = true;
	give(t, "a@example.org b@example.org", 10);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_DEFERRED);
	assert_int_equal(state_of(t, 1, arena), RECIPIENT_DEFERRED);
	arena_free(arena);
}

static void an_administrator_holds_releases_and_removes(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	struct recipient_filter all = {0}, smart = {.connector = STR("smart")};
	uint64_t count;
	struct err err;
	give(t, "a@example.org b@example.net", 10);
	assert_int_equal(store_change(t->store, CHANGE_HOLD, &smart, STR("me"), &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(state_of(t, 1, arena), RECIPIENT_HELD);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->recipients, 1);
	assert_int_equal(store_change(t->store, CHANGE_RELEASE, &all, STR("me"), &count, &err), 0);
	assert_int_equal(count, 1);
	run(wait_idle, t);
	assert_int_equal(t->recipients, 2);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 0);
	give(t, "temp@example.org", 10);
	run(wait_idle, t);
	struct recipient_filter domain = {.domain = STR("EXAMPLE.org")};
	assert_int_equal(store_change(t->store, CHANGE_REMOVE, &domain, STR("me"), &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_REMOVED);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 0);
	arena_free(arena);
}

/* A change that comes while relay has the recipient is done when the attempt has ended. */
static void a_wish_waits_for_the_attempt(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	struct recipient_filter all = {0};
	uint64_t count;
	struct err err;
	int ms = 20;
	t->delay_ms = 60;
	give(t, "temp@example.org", 10);
	start_relay(t);
	run(pass_ms, &ms);
	assert_int_equal(t->running, 1);
	assert_int_equal(store_change(t->store, CHANGE_HOLD, &all, STR("me"), &count, &err), 0);
	assert_int_equal(count, 1);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_READY);
	ms = 100;
	run(pass_ms, &ms);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_HELD);
	arena_free(arena);
}

static void finds(struct stage *t, const char *what, uint32_t expected)
{
	struct arena *arena = arena_new();
	uint64_t *ids;
	uint32_t n;
	struct err err;
	assert_int_equal(store_find(t->store, str_from_c(what), 10, arena, &ids, &n, &err), 0);
	assert_int_equal(n, expected);
	if (n)
		assert_true(ids[0] == t->id);
	arena_free(arena);
}

static void messages_are_found_by_what_people_know(void **state)
{
	struct stage *t = *state;
	char id[ID_TEXT];
	give(t, "Alice@Example.ORG bob@example.net", 10);
	finds(t, id_format(t->id, id), 1);
	finds(t, "<one@example.com>", 1);
	finds(t, "one@example.com", 1);
	finds(t, "alice@example.org", 1);
	finds(t, "<bob@example.net>", 1);
	finds(t, "example.net", 1);
	finds(t, "SENDER@example.com", 1);
	finds(t, "Example.Com", 1);
	finds(t, "nobody@example.org", 0);
	finds(t, "example.info", 0);
}

static void tell_record(void *arg)
{
	struct stage *t = arg;
	struct arena *arena = arena_new();
	struct record *r = record_new(arena, RECORD_SESSION, STR("192.0.2.7:4711"));
	struct buf packed;
	record_add(r, EVENT_RECEIVED, "EHLO client.example");
	if (t->id)
		record_message(r, t->id);
	buf_init(&packed, 65536);
	struct xfer x = xfer_writer(&packed);
	xfer_record(&x, r);
	ask_tell(t->edge, ASK_RECORD, buf_str(&packed), NULL);
	buf_done(&packed);
	arena_free(arena);
}

static void sessions_leave_records(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	struct record **records;
	uint32_t n;
	struct err err;
	int ms = 20;
	give(t, "a@example.org", 10);
	run(tell_record, t);
	uint64_t id = t->id;
	t->id = 0;
	run(tell_record, t);
	run(pass_ms, &ms);
	assert_int_equal(writer_flush(t->store->writer, &err), 0);
	assert_int_equal(store_records(t->store, id, STR(""), 10, arena, &records, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_true(str_eq(records[0]->events[0].text, STR("EHLO client.example")));
	assert_int_equal(
		store_records(t->store, 0, STR("192.0.2.7"), 10, arena, &records, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_records(t->store, 0, STR("198."), 10, arena, &records, &n, &err), 0);
	assert_int_equal(n, 0);
	arena_free(arena);
}

static void strangers_find_little_room(void **state)
{
	struct stage *t = *state;
	struct store_counters c;
	int ms = 50;
	t->id = 0;
	for (int i = 0; i < 700; i++)
		run(tell_record, t);
	run(pass_ms, &ms);
	store_count(t->store, &c);
	assert_true(c.records_thinned > 0);
	assert_true(number(t, "SELECT count(*) FROM record") <= 500);
}

static void what_is_old_is_forgotten(void **state)
{
	struct stage *t = *state;
	struct err err;
	int ms = 20;
	give(t, "a@example.org", 10);
	run(tell_record, t);
	run(pass_ms, &ms);
	give(t, "temp@example.org", 10);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(number(t, "SELECT count(*) FROM message"), 2);
	clock_set_wall_ms(clock_wall_ms() + t->site->conf->record_keep_ms + 1000);
	purge_step(t->store);
	assert_int_equal(writer_flush(t->store->writer, &err), 0);
	clock_set_wall_ms(-1);
	/* The one that waits stays, with its records. */
	assert_int_equal(number(t, "SELECT count(*) FROM message"), 1);
	assert_int_equal(number(t, "SELECT count(*) FROM recipient"), 1);
	assert_int_equal(number(t, "SELECT count(*) FROM record"), 1);
	assert_int_equal(number(t, "SELECT count(*) FROM record_message"), 1);
}

static void space_is_given_back(void **state)
{
	struct stage *t = *state;
	struct err err;
	int ms = 700;
	for (int i = 0; i < 400; i++)
		give(t, "a@example.org", SPOOL_ROW_MAX);
	int64_t full = number(t, "PRAGMA page_count");
	start_relay(t);
	for (int i = 0; i < 40 && number(t, "SELECT count(*) FROM body"); i++)
		run(wait_idle, t);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 0);
	assert_true(number(t, "PRAGMA freelist_count") > 6000);
	for (int i = 0; i < 6; i++) {
		purge_step(t->store);
		assert_int_equal(writer_flush(t->store->writer, &err), 0);
		run(pass_ms, &ms);
	}
	assert_true(number(t, "PRAGMA page_count") <= full - 2000);
	assert_true(number(t, "PRAGMA freelist_count") >= 4096);
}

static void relaying_needs_a_reason(void **state)
{
	struct stage *t = *state;
	static const struct {
		const char *client, *recipient;
		unsigned code;
	} cases[] = {
		{"198.51.100.1", "a@example.org", 250},
		{"198.51.100.1", "a@EXAMPLE.org", 250},
		{"198.51.100.1", "a@example.net", 550},
		{"198.51.100.1", "a@sub.example.org", 550},
		{"127.0.0.1", "a@example.net", 250},
		{"::1", "a@example.net", 250},
		{"nonsense", "a@example.net", 550},
		{"127.0.0.1", "a", 501},
		{"127.0.0.1", "a@b\r\n", 501},
	};
	struct err err;
	const struct setting *networks = setting_find(STR("relay.networks"));
	assert_int_equal(setting_parse(networks, STR("127.0.0.0/8 ::1"), t->site->conf, &err), 0);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct ask_rcpt question = {.client = str_from_c(cases[i].client),
			.sender = STR("x@y.example"),
			.recipient = str_from_c(cases[i].recipient)};
		struct ask_rcpt_answer answer;
		struct ask_question q = {.arena = arena_new(), .fd = {-1, -1}};
		struct buf packed;
		buf_init(&packed, 10000);
		struct xfer x = xfer_writer(&packed);
		xfer_ask_rcpt(&x, &question);
		q.body = buf_str(&packed);
		store_answer_rcpt(t->store, &q);
		x = xfer_reader(q.answer, q.arena);
		xfer_ask_rcpt_answer(&x, &answer);
		assert_int_equal(answer.code, cases[i].code);
		buf_done(&packed);
		arena_free(q.arena);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_letter_goes_in_and_out),
		TEST(a_letter_offered_again_is_kept_once),
		TEST(an_empty_body_is_a_body),
		TEST(large_bodies_are_files),
		TEST(a_file_with_a_writer_is_refused),
		TEST(a_second_id_is_refused),
		TEST(a_hostile_edge_is_refused),
		TEST(a_temporary_failure_waits_and_a_restart_forgets_nothing),
		TEST(a_failure_for_good_bounces_once),
		TEST(an_old_message_expires),
		TEST(what_waits_for_a_dead_destination_expires_too),
		TEST(one_destination_gets_a_message_once),
		TEST(a_destination_has_so_many_attempts_at_a_time),
		TEST(a_message_that_kills_relay_is_held),
		TEST(an_answer_that_does_not_fit_is_no_delivery),
		TEST(an_administrator_holds_releases_and_removes),
		TEST(a_wish_waits_for_the_attempt),
		TEST(messages_are_found_by_what_people_know),
		TEST(sessions_leave_records),
		TEST(strangers_find_little_room),
		TEST(what_is_old_is_forgotten),
		TEST(space_is_given_back),
		TEST(relaying_needs_a_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
