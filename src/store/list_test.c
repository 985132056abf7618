/* A large queue: how it is read at the start, and how it is listed. */
#include "store/schema.h"
#include "store/store_stage.h"

enum { MANY = 2500 };

/* Fills node.db while no store has it open: message i waits for d<i % 10>.example, from
 * s<i % 5>.example; what it waits for is a matter of i % 3. */
static void fill(struct stage *t)
{
	struct err err = {0};
	close_store(t);
	struct db *db = node_db_open(t->home, &err);
	assert_non_null(db);
	char sql[2000];
	snprintf(sql, sizeof sql,
		"WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d)"
		" INSERT INTO message (id, received_ms, open, recipients, deaths, sender, sender_domain,"
		" envid, ret, body_type, body_kind, size, has_8bit, longest_line, prefix, message_id,"
		" session, listener, client, helo, tls) SELECT i << 20, i, 1, 1, i = 2400,"
		" iif(i %% 5, 'A' || (i %% 7) || '@s' || (i %% 5) || '.example', ''),"
		" iif(i %% 5, 's' || (i %% 5) || '.example', ''),"
		" '', 0, 0, 0, 1, 0, 1, x'', '', 0, 0, '', '', '' FROM c",
		MANY);
	assert_int_equal(db_exec(db, sql, &err), 0);
	assert_int_equal(
		db_exec(db,
			"INSERT INTO body SELECT id, x'61' FROM message;"
			"INSERT INTO recipient (message, n, state, next_ms, notify, address, domain,"
			" orcpt, cause) SELECT id, 0, iif((id >> 20) % 2, 2, 3), 9e15, 0,"
			" 'b@d' || ((id >> 20) % 10) || '.example', 'd' || ((id >> 20) % 10) ||"
			" '.example', '', iif((id >> 20) % 3, 'connect.refused', 'connect.timeout')"
			" FROM message;",
			&err),
		0);
	db_close(db);
	open_store(t);
}

static void wait_loaded(void *arg)
{
	struct stage *t = arg;
	store_wait_loaded(t->store);
}

static uint64_t waiting(struct stage *t)
{
	struct queue_counts c;
	queue_count(t->store->queue, &c);
	return c.messages;
}

/* The first answer does not wait for all of it, and what comes in meanwhile is there once. */
static void a_large_queue_is_read_while_mail_comes(void **state)
{
	struct stage *t = *state;
	struct queue_entry e;
	fill(t);
	assert_in_range(waiting(t), 200, MANY - 1);
	assert_true(queue_find(t->store->queue, (uint64_t)2400 << 20, 0, &e)); /* a suspect */
	assert_false(queue_find(t->store->queue, (uint64_t)2399 << 20, 0, &e));
	give(t, "a@example.org", 10);
	assert_int_equal(t->result, 0);
	run(wait_loaded, t);
	assert_int_equal(waiting(t), MANY + 1);
	for (uint64_t i = 1; i <= MANY; i++)
		assert_true(queue_find(t->store->queue, i << 20, 0, &e) && e.domain.n);
	assert_int_equal(queue_cause_count(t->store->queue, queue_cause(STR("connect.timeout"))), 833);
}

/* A store that is closed while it reads does not read on. */
static void a_start_may_be_broken_off(void **state)
{
	struct stage *t = *state;
	fill(t);
	close_store(t);
	open_store(t);
	run(wait_loaded, t);
	assert_int_equal(waiting(t), MANY);
}

struct listed {
	struct stage *stage;
	struct recipient_filter filter;
	unsigned n;
};

/* By pages of 100. */
static void list_all(void *arg)
{
	struct listed *l = arg;
	struct recipient_place at = {0};
	struct recipient_row *rows;
	uint32_t n;
	uint64_t last = 0;
	struct err err = {0};
	l->n = 0;
	do {
		struct arena *arena = arena_new();
		if (store_list(l->stage->store, &l->filter, &at, 100, arena, &rows, &n, &err))
			fail_msg("%s", err.log);
		for (uint32_t i = 0; i < n; i++) {
			assert_true(rows[i].message > last);
			last = rows[i].message;
		}
		l->n += n;
		arena_free(arena);
	} while (n == 100);
}

static unsigned count(struct stage *t, struct recipient_filter filter)
{
	struct listed l = {.stage = t, .filter = filter};
	run(list_all, &l);
	return l.n;
}

static void what_is_asked_for_is_listed(void **state)
{
	struct stage *t = *state;
	const struct str timeout = STR("connect.timeout"), s1 = STR("s1.example");
	fill(t);
	assert_int_equal(count(t, (struct recipient_filter){0}), MANY);
	assert_int_equal(count(t, (struct recipient_filter){.domain = STR("d3.example")}), 250);
	assert_int_equal(count(t, (struct recipient_filter){.destination = STR("mx d3.example")}), 250);
	assert_int_equal(count(t, (struct recipient_filter){.cause = timeout}), 833);
	assert_int_equal(count(t, (struct recipient_filter){.states = 1 << RECIPIENT_HELD}), 1250);
	assert_int_equal(count(t, (struct recipient_filter){.by_sender = true}), 500); /* null */
	assert_int_equal(
		count(t, (struct recipient_filter){.by_sender = true, .sender_domain = s1}), 500);
	assert_int_equal(
		count(t,
			(struct recipient_filter){
				.by_sender = true, .sender_domain = s1, .sender = STR("a1@S1.example")}),
		72);
	assert_int_equal(
		count(
			t, (struct recipient_filter){.by_sender = true, .sender_domain = s1, .cause = timeout}),
		167);
	assert_int_equal(count(t, (struct recipient_filter){.from_ms = 100, .before_ms = 200}), 100);
	assert_int_equal(count(t, (struct recipient_filter){.active = true}), 0);
	/* From the database, since it asks for what has ended too. */
	assert_int_equal(count(t, (struct recipient_filter){.states = ~0u, .cause = timeout}), 833);
	assert_int_equal(
		count(t, (struct recipient_filter){.states = ~0u, .domain = STR("d3.example")}), 250);
	assert_int_equal(count(t,
						 (struct recipient_filter){.states = ~0u,
							 .destination = STR("mx d3.example"),
							 .from_ms = 100,
							 .before_ms = 200}),
		10);
}

static void change_all(void *arg)
{
	struct stage *t = arg;
	uint64_t n;
	struct err err;
	const struct recipient_filter all = {0};
	assert_int_equal(store_change(t->store, CHANGE_HOLD, &all, STR("me"), &n, &err), 0);
	assert_int_equal(n, MANY / 2);
	assert_int_equal(store_change(t->store, CHANGE_REMOVE, &all, STR("me"), &n, &err), 0);
	assert_int_equal(n, MANY);
}

/* A change that comes while the queue is being read waits for it, and meets all of it. */
static void all_of_it_is_changed(void **state)
{
	struct stage *t = *state;
	fill(t);
	run(change_all, t);
	assert_int_equal(waiting(t), 0);
	assert_int_equal(number(t, "SELECT count(*) FROM recipient WHERE state = 6"), MANY);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 0);
}

static void an_older_schema_is_brought_up_to_date(void **state)
{
	struct stage *t = *state;
	struct err err;
	give(t, "a@example.org", 10);
	close_store(t);
	struct db *db = node_db_open(t->home, &err);
	assert_int_equal(db_exec(db,
						 "DROP INDEX recipient_open; DROP INDEX message_suspect;"
						 "ALTER TABLE message DROP COLUMN queued_ms;"
						 "CREATE INDEX recipient_open ON recipient (message, n) WHERE state < 4;"
						 "PRAGMA user_version = 1",
						 &err),
		0);
	db_close(db);
	open_store(t);
	assert_int_equal(waiting(t), 1);
	assert_int_equal(number(t, "PRAGMA user_version"), NODE_SCHEMA_VERSION);
	assert_int_equal(number(t,
						 "SELECT count(*) FROM sqlite_schema WHERE name = 'recipient_open' AND"
						 " sql LIKE '%cause%' OR name = 'message_suspect'"),
		2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_large_queue_is_read_while_mail_comes),
		TEST(a_start_may_be_broken_off),
		TEST(what_is_asked_for_is_listed),
		TEST(all_of_it_is_changed),
		TEST(an_older_schema_is_brought_up_to_date),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
