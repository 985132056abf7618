/* The wall clock jumps, while store runs and between two runs: nothing that waits, and nothing that is
 * remembered, suffers. */
#include "store/store_stage.h"

#define MINUTE ((int64_t)60 * 1000)
#define DAY (24 * 60 * MINUTE)
#define YEARS (12 * 365 * DAY)

/* The clock is set to another time than it would show. */
static void set_clock(int64_t by_ms)
{
	clock_set_wall_ms(clock_wall_ms() + by_ms);
}

static void reopen(struct stage *t)
{
	close_store(t);
	open_store(t);
}

/* How long the message has still to wait. */
static int64_t wait_of(struct stage *t)
{
	struct queue_entry e;
	assert_true(queue_find(t->store->queue, t->id, 0, &e));
	return e.next_ms - store_now(t->store);
}

static enum recipient_state state(struct stage *t)
{
	struct arena *arena = arena_new();
	enum recipient_state s = state_of(t, 0, arena);
	arena_free(arena);
	return s;
}

/* Tried once, and to be tried again five minutes later. */
static void defer(struct stage *t)
{
	give(t, "temp@example.org", 10);
	start_relay(t);
	run(wait_idle, t);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
	assert_in_range(wait_of(t), 4 * MINUTE, 6 * MINUTE);
	t->attempts = 0;
}

static void expect_no_attempt(struct stage *t)
{
	int ms = 50;
	deliver_kick(t->store);
	deliver_give_up(t->store);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 0);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
	assert_in_range(wait_of(t), 4 * MINUTE, 6 * MINUTE);
}

static void expect_an_attempt_later(struct stage *t)
{
	int ms = 50;
	pass_time(t, 6 * MINUTE);
	deliver_kick(t->store);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 1);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
	assert_in_range(wait_of(t), 8 * MINUTE, 12 * MINUTE);
}

static void forward_nothing_is_tried_at_once_or_given_up(void **st)
{
	struct stage *t = *st;
	defer(t);
	set_clock(YEARS);
	expect_no_attempt(t);
	expect_an_attempt_later(t);
}

static void backward_nothing_waits_for_years(void **st)
{
	struct stage *t = *st;
	defer(t);
	set_clock(-YEARS);
	expect_no_attempt(t);
	expect_an_attempt_later(t);
}

/* A host that is down waits by the same clock. */
static void backward_a_destination_is_not_lost(void **st)
{
	struct stage *t = *st;
	struct queue_entry e;
	int ms = 50;
	t->site->conf->relay_concurrency = 1;
	store_set_site(t->store, t->site);
	for (int i = 0; i < 4; i++)
		give(t, "away@example.org", 10);
	start_relay(t);
	run(pass_ms, &ms);
	set_clock(-YEARS);
	assert_true(queue_find(t->store->queue, t->id, 0, &e));
	assert_true(store_now(t->store) > 0 && queue_find(t->store->queue, t->id, 0, &e));
	assert_true(e.next_ms - clock_wall_ms() <= 6 * MINUTE);
}

/* Tried at once, as after any pause, but not given up, and then by the schedule. */
static void between_runs_forward(void **st)
{
	struct stage *t = *st;
	int ms = 100;
	defer(t);
	set_clock(YEARS);
	reopen(t);
	start_relay(t);
	run(pass_ms, &ms);
	assert_int_equal(t->attempts, 1);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
	assert_in_range(wait_of(t), 8 * MINUTE, 12 * MINUTE);
	/* And back again. */
	t->attempts = 0;
	set_clock(-YEARS);
	reopen(t);
	start_relay(t);
	run(pass_ms, &ms);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
	assert_in_range(wait_of(t) + 1, 1, 5 * 60 * MINUTE);
}

static void between_runs_backward(void **st)
{
	struct stage *t = *st;
	int ms = 50;
	defer(t);
	set_clock(-YEARS);
	reopen(t);
	start_relay(t);
	run(pass_ms, &ms);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
	/* The longest wait of relay.retry, which the row may have meant. */
	assert_in_range(wait_of(t), 0, 5 * 60 * MINUTE);
	give(t, "temp@example.org", 10);
	run(wait_idle, t);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
}

/* Whatever the clock did, five days of trying are five days. */
static void time_that_passes_still_ends_it(void **st)
{
	struct stage *t = *st;
	int ms = 50;
	defer(t);
	set_clock(YEARS);
	pass_time(t, 2 * DAY);
	reopen(t);
	set_clock(-2 * YEARS);
	start_relay(t);
	run(pass_ms, &ms);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
	pass_time(t, 3 * DAY + MINUTE);
	deliver_kick(t->store);
	run(pass_ms, &ms);
	assert_int_equal(state(t), RECIPIENT_EXPIRED);
}

static int64_t purge(struct stage *t)
{
	struct err err = {0};
	purge_step(t->store);
	assert_int_equal(writer_flush(t->store->writer, &err), 0);
	return number(t, "SELECT count(*) FROM message");
}

static void history_survives_a_jump_that_is_put_right(void **st)
{
	struct stage *t = *st;
	give(t, "done@example.org", 10);
	start_relay(t);
	run(wait_idle, t);
	set_clock(YEARS);
	assert_int_equal(purge(t), 1);
	pass_time(t, DAY / 2);
	reopen(t);
	assert_int_equal(purge(t), 1);
	set_clock(-YEARS);
	assert_int_equal(purge(t), 1);
	pass_time(t, DAY);
	assert_int_equal(purge(t), 1);
	pass_time(t, 14 * DAY);
	assert_int_equal(purge(t), 0);
}

/* Nothing is lost with the file, or with what somebody wrote into it. */
static void the_file_is_not_trusted(void **st)
{
	static const char *const texts[] = {"", "x", "+1 +2\n", "+99999999999999999999999 +1 +1\n"};
	struct stage *t = *st;
	char path[100];
	defer(t);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		close_store(t);
		snprintf(path, sizeof path, "%s/" DATA_FOLDER "/clock", t->home);
		FILE *f = fopen(path, "w");
		fputs(texts[i], f);
		fclose(f);
		open_store(t);
		assert_int_equal(t->store->jumps.jumped_ms, 0);
	}
}

/* Made before there was a queue time. */
static void an_older_database_is_upgraded(void **st)
{
	struct stage *t = *st;
	struct err err = {0};
	defer(t);
	close_store(t);
	struct db *db = node_db_open(t->home, &err);
	assert_int_equal(db_exec(db, "ALTER TABLE message DROP COLUMN queued_ms", &err), 0);
	assert_int_equal(db_exec(db, "PRAGMA user_version = 2", &err), 0);
	db_close(db);
	open_store(t);
	assert_int_equal(number(t, "SELECT count(*) FROM message WHERE queued_ms = received_ms"), 1);
	assert_int_equal(state(t), RECIPIENT_DEFERRED);
}

static int end(void **st)
{
	clock_set_wall_ms(-1);
	return tear_down(st);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(forward_nothing_is_tried_at_once_or_given_up),
		TEST(backward_nothing_waits_for_years),
		TEST(backward_a_destination_is_not_lost),
		TEST(between_runs_forward),
		TEST(between_runs_backward),
		TEST(time_that_passes_still_ends_it),
		TEST(history_survives_a_jump_that_is_put_right),
		TEST(the_file_is_not_trusted),
		TEST(an_older_database_is_upgraded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
