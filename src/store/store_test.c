/* What store promises of the mail it takes: in, out, back and forth. */
#include "store/store_stage.h"

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

static void leave_suspect(struct stage *t, uint64_t id, const char *deaths)
{
	char path[100], text[ID_TEXT];
	snprintf(path, sizeof path, "%s/" DATA_FOLDER "/suspect", t->home);
	FILE *f = fopen(path, "w");
	fprintf(f, "%s %s", id_format(id, text), deaths);
	fclose(f);
	close_store(t);
	open_store(t);
}

static int offer_again(struct stage *t, uint64_t id)
{
	t->id = id;
	t->again = true;
	run(give_letter, t);
	return t->result;
}

/* One store died with it in a crowd, two with it alone. Nobody else suffers. */
static void a_letter_that_killed_three_stores_is_refused_for_good(void **state)
{
	struct stage *t = *state;
	uint64_t poison = id_make(), chance = id_make();
	t->recipients_text = "one@example.org";
	t->size = 10;
	leave_suspect(t, chance, "0");
	assert_int_equal(offer_again(t, chance), 0);
	leave_suspect(t, poison, "1");
	assert_int_equal(offer_again(t, id_make()), 0);
	assert_int_equal(offer_again(t, poison), -1);
	assert_int_equal(t->err.kind, ERR_PERM);
	assert_string_equal(t->err.peer, "this message made the server fail three times");
	assert_int_equal(offer_again(t, id_make()), 0);
}

/* It had been kept before it was the death of a store: then that is what its client hears. */
static void a_letter_that_was_kept_is_never_refused(void **state)
{
	struct stage *t = *state;
	give(t, "one@example.org", 10);
	assert_int_equal(t->result, 0);
	leave_suspect(t, t->id, "1");
	assert_int_equal(offer_again(t, t->id), 0);
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
	/* It says that it asked about each recipient, but did not. */
	t->sender = "sender@example.com";
	t->site->conf->relay_networks.n = 0;
	give(t, "a@example.org a@example.net", 10);
	assert_int_equal(t->result, -1);
	assert_non_null(strstr(t->err.log, "<a@example.net> from 192.0.2.7: 550 5.7.1"));
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
	give(t, "temp@example.org", 10);
	pass_time(t, t->site->conf->queue_give_up_ms + 1000);
	start_relay(t);
	run(wait_idle, t);
	clock_set_wall_ms(-1);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_EXPIRED);
	arena_free(arena);
}

/* Whose rows cannot be read now, of him nobody knows whom to tell. */
static void what_cannot_be_read_does_not_expire(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	give(t, "temp@example.org", 10);
	assert_int_equal(db_exec(t->store->reader, "BEGIN", NULL), 0); /* in the attempt's way */
	pass_time(t, t->site->conf->queue_give_up_ms + 1000);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(t->attempts, 0);
	assert_int_equal(db_exec(t->store->reader, "COMMIT", NULL), 0);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_DEFERRED);
	pass_time(t, 24 * 3600 * 1000);
	deliver_kick(t->store);
	for (int i = 0, ms = 5; i < 400 && !t->bounce[0]; i++)
		run(pass_ms, &ms);
	clock_set_wall_ms(-1);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_EXPIRED);
	assert_non_null(strstr(t->bounce, "temp@example.org"));
	arena_free(arena);
}

/* A destination that stays away is asked seldom; who waits for it hears of it in time all the same. */
static void what_waits_for_a_dead_destination_expires_too(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	int ms = 20;
	for (int i = 0; i < 4; i++)
		give(t, "away@example.org", 10);
	t->site->conf->relay_concurrency = 1;
	store_set_site(t->store, t->site);
	start_relay(t);
	for (int i = 0; i < 100 && t->attempts < 2; i++)
		run(pass_ms, &ms);
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
	run(wait_idle, t);
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

static void a_relay_that_is_stopped_has_not_died(void **state)
{
	struct stage *t = *state;
	struct arena *arena = arena_new();
	int ms = 50;
	give(t, "die@example.org", 10);
	start_relay(t);
	store_relay_leaves(t->store);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 0); /* it gets nothing more */
	ask_link_free(t->relay);
	start_relay(t);
	t->leaves_first = true;
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 1);
	assert_int_equal(number(t, "SELECT deaths FROM message"), 0);
	assert_int_equal(state_of(t, 0, arena), RECIPIENT_READY);
	arena_free(arena);
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
	struct recipient_filter all = {0}, smart = {.destination = STR("connector smart")};
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
	struct recipient_filter domain = {.domain = STR("example.org")};
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
		TEST(a_letter_that_killed_three_stores_is_refused_for_good),
		TEST(a_letter_that_was_kept_is_never_refused),
		TEST(an_empty_body_is_a_body),
		TEST(large_bodies_are_files),
		TEST(a_file_with_a_writer_is_refused),
		TEST(a_second_id_is_refused),
		TEST(a_hostile_edge_is_refused),
		TEST(a_temporary_failure_waits_and_a_restart_forgets_nothing),
		TEST(a_failure_for_good_bounces_once),
		TEST(an_old_message_expires),
		TEST(what_cannot_be_read_does_not_expire),
		TEST(what_waits_for_a_dead_destination_expires_too),
		TEST(one_destination_gets_a_message_once),
		TEST(a_destination_has_so_many_attempts_at_a_time),
		TEST(a_relay_that_is_stopped_has_not_died),
		TEST(a_message_that_kills_relay_is_held),
		TEST(an_answer_that_does_not_fit_is_no_delivery),
		TEST(an_administrator_holds_releases_and_removes),
		TEST(a_wish_waits_for_the_attempt),
		TEST(relaying_needs_a_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
