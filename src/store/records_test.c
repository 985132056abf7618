/* What store remembers, finds and forgets. */
#include "store/store_stage.h"

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

/* An edge may say anything; no time is so far away that looking at it goes wrong. */
static void times_that_are_lies_are_refused(void **state)
{
	struct stage *t = *state;
	static const int64_t times[] = {INT64_MIN, INT64_MAX, 0};
	for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
		struct arena *arena = arena_new();
		struct record *r = record_new(arena, RECORD_SESSION, STR("192.0.2.7:4711"));
		struct ask_question q = {.link = t->store_edge, .arena = arena};
		struct buf packed;
		r->started_ms = times[i];
		buf_init(&packed, 65536);
		struct xfer x = xfer_writer(&packed);
		xfer_record(&x, r);
		q.body = buf_str(&packed);
		store_answer_record(t->store, &q);
		assert_int_equal(q.err.kind, ERR_PERM);
		buf_done(&packed);
		arena_free(arena);
	}
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
	pass_time(t, t->site->conf->record_keep_ms + 1000);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages_are_found_by_what_people_know),
		TEST(sessions_leave_records),
		TEST(times_that_are_lies_are_refused),
		TEST(strangers_find_little_room),
		TEST(what_is_old_is_forgotten),
		TEST(space_is_given_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
