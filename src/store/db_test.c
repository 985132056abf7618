#include "store/store_fixture.h"

#include <fcntl.h>

#include "store/node_db.h"

struct stage {
	char home[64], path[80];
	struct db *db;
};

static int set_up(void **state)
{
	struct stage *t = calloc(1, sizeof *t); /* style: a test */
	struct err err = {0};
	home_make(t->home);
	snprintf(t->path, sizeof t->path, "%s/x.db", t->home);
	t->db = db_open(t->path, DB_WRITER, &err);
	if (!t->db || db_exec(t->db, "CREATE TABLE t (a INTEGER UNIQUE, b TEXT, c BLOB) STRICT", &err))
		fail_msg("%s", err.log);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *t = *state;
	db_close(t->db);
	home_remove(t->home);
	free(t);
	return 0;
}

static int add(struct db *d, int64_t a, struct str b, struct err *err)
{
	/* In another order than they appear, and one twice. */
	struct db_query *q = db_query(d, "INSERT INTO t (c, b, a) VALUES ($3, $2, $1 + 0 * $1)");
	db_bind_int(q, 1, a);
	db_bind_text(q, 2, b);
	db_bind_blob(q, 3, b);
	return db_run(q, err);
}

static void parameters_go_by_their_number(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct str text = STR("a\0b\xff");
	assert_int_equal(add(t->db, 7, text, &err), 0);
	assert_int_equal(db_changes(t->db), 1);
	struct db_query *q = db_query(t->db, "SELECT a, b, c, NULL FROM t WHERE a = $1");
	db_bind_int(q, 1, 7);
	assert_int_equal(db_step(q, &err), 1);
	assert_int_equal(db_int(q, 0), 7);
	assert_true(str_eq(db_str(q, 1), text));
	assert_true(str_eq(db_str(q, 2), text));
	assert_true(db_is_null(q, 3));
	assert_false(db_is_null(q, 0));
	assert_int_equal(db_step(q, &err), 0);
}

static void failures_have_kinds(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	assert_int_equal(add(t->db, 1, STR("x"), &err), 0);
	assert_int_equal(db_failure(t->db), DB_FINE);
	assert_int_equal(add(t->db, 1, STR("x"), &err), -1);
	assert_int_equal(db_failure(t->db), DB_REFUSED);
	assert_int_equal(err.kind, ERR_TEMP);
	assert_int_equal(db_run(db_query(t->db, "SELECT nothing FROM nowhere"), &err), -1);
	assert_int_equal(db_failure(t->db), DB_BROKEN);
	/* A parameter that the statement does not have. */
	struct db_query *q = db_query(t->db, "SELECT a FROM t WHERE a = $1");
	db_bind_int(q, 2, 1);
	assert_int_equal(db_run(q, &err), -1);
	assert_int_equal(add(t->db, 2, STR("x"), &err), 0);
}

static void a_reader_cannot_write(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	int64_t n;
	struct db *reader = db_open(t->path, DB_READER, &err);
	assert_non_null(reader);
	assert_int_equal(add(reader, 1, STR("x"), &err), -1);
	assert_int_equal(add(t->db, 1, STR("x"), &err), 0);
	assert_int_equal(db_number(reader, "SELECT count(*) FROM t", &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(db_number(t->db, "PRAGMA synchronous", &n, &err), 0);
	assert_int_equal(n, 2); /* FULL */
	assert_int_equal(db_number(t->db, "PRAGMA wal_autocheckpoint", &n, &err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(db_number(t->db, "PRAGMA secure_delete", &n, &err), 0);
	assert_int_equal(n, 2); /* FAST */
	db_close(reader);
}

static void what_is_no_database_is_refused(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	char path[100];
	snprintf(path, sizeof path, "%s/" NODE_DB, t->home);
	assert_int_equal(db_make_folder(t->home, &err), 0);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	for (int i = 0; i < 200; i++)
		assert_int_equal(write(fd, "this is no database, but long enough to be one", 46), 46);
	close(fd);
	assert_null(node_db_open(t->home, &err));
	assert_int_equal(err.kind, ERR_TEMP);
	assert_null(db_open("/nowhere/x.db", DB_READER, &err));
}

static void a_newer_schema_is_refused(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct db *d = node_db_open(t->home, &err);
	assert_non_null(d);
	assert_int_equal(db_exec(d, "PRAGMA user_version = 99", &err), 0);
	db_close(d);
	assert_null(node_db_open(t->home, &err));
	assert_int_equal(err.kind, ERR_PERM);
	assert_null(node_db_open_reader(t->home, &err));
}

static void states_have_names(void **state)
{
	enum recipient_state s;
	(void)state;
	assert_true(recipient_state_parse(STR("Held"), &s));
	assert_int_equal(s, RECIPIENT_HELD);
	assert_false(recipient_state_parse(STR("active"), &s));
	assert_string_equal(recipient_state_name(RECIPIENT_EXPIRED), "expired");
	assert_string_equal(recipient_state_name((enum recipient_state)0), "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(parameters_go_by_their_number),
		TEST(failures_have_kinds),
		TEST(a_reader_cannot_write),
		TEST(what_is_no_database_is_refused),
		TEST(a_newer_schema_is_refused),
		TEST(states_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
