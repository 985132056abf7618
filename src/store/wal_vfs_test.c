/* What SQLite hands to the disk through the gathering VFS, and that nothing it reads is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/db.h"
#include "store/store_fixture.h"
#include "store/wal_vfs.h"

/* The VFS below counts the writes of a WAL, and can refuse them. */
static sqlite3_vfs counting, *unix_vfs;
static sqlite3_io_methods counted;
static const sqlite3_io_methods *unix_methods;
static int wal_writes, fail_with;

static int count_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	wal_writes++;
	return fail_with ? fail_with : unix_methods->xWrite(file, p, n, at);
}

static int count_open(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	int failed = unix_vfs->xOpen(unix_vfs, name, file, flags, ret_flags);
	if (failed || !(flags & SQLITE_OPEN_WAL))
		return failed;
	unix_methods = file->pMethods;
	counted = *unix_methods;
	counted.xWrite = count_write;
	file->pMethods = &counted;
	return SQLITE_OK;
}

struct stage {
	char home[64];
	char path[100];
	struct db *writer, *reader;
	struct err err;
};

static int set_up(void **state)
{
	static struct stage s;
	home_make(s.home);
	snprintf(s.path, sizeof s.path, "%s/test.db", s.home);
	s.writer = db_open(s.path, DB_WRITER, &s.err);
	assert_non_null(s.writer);
	assert_int_equal(db_exec(s.writer, "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)", NULL), 0);
	s.reader = db_open(s.path, DB_READER, &s.err);
	assert_non_null(s.reader);
	wal_writes = fail_with = 0;
	*state = &s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;
	db_close(s->reader);
	db_close(s->writer);
	home_remove(s->home);
	return 0;
}

static int64_t number(struct db *d, const char *sql)
{
	int64_t n = -1;
	assert_int_equal(db_number(d, sql, &n, NULL), 0);
	return n;
}

static const char many[] =
	"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 40)"
	" INSERT INTO t (v) SELECT zeroblob(4000) FROM c";

static void a_commit_is_one_write(void **state)
{
	struct stage *s = *state;
	if (db_exec(s->writer, many, &s->err))
		fail_msg("%s", s->err.log);
	assert_int_equal(wal_writes, 2); /* 170 KB, of which 127 KB go at a time */
	assert_int_equal(number(s->reader, "SELECT count(*) FROM t"), 40);
}

static void what_was_gathered_can_be_read(void **state)
{
	struct stage *s = *state;
	/* So small a cache spills within the transaction. */
	assert_int_equal(db_exec(s->writer, "PRAGMA cache_size = 10", NULL), 0);
	assert_int_equal(db_exec(s->writer, "BEGIN", NULL), 0);
	for (int i = 0; i < 5; i++)
		if (db_exec(s->writer, many, &s->err))
			fail_msg("%s", s->err.log);
	assert_int_equal(number(s->writer, "SELECT sum(length(v)) FROM t"), 200 * 4000);
	assert_int_equal(number(s->reader, "SELECT count(*) FROM t"), 0);
	assert_int_equal(db_exec(s->writer, "ROLLBACK", NULL), 0);
	assert_int_equal(number(s->writer, "SELECT count(*) FROM t"), 0);
	if (db_exec(s->writer, many, &s->err))
		fail_msg("%s", s->err.log);
	assert_int_equal(number(s->reader, "SELECT sum(length(v)) FROM t"), 40 * 4000);
}

static void what_another_process_finds_is_whole(void **state)
{
	struct stage *s = *state;
	for (int i = 0; i < 50; i++) {
		if (db_exec(s->writer, many, &s->err))
			fail_msg("%s", s->err.log);
		if (i % 7 == 6)
			assert_int_equal(db_checkpoint(s->writer, i % 2, &s->err), 0);
	}
	sqlite3 *other;
	assert_int_equal(sqlite3_open_v2(s->path, &other, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
	sqlite3_stmt *check;
	assert_int_equal(sqlite3_prepare_v2(other,
						 "SELECT integrity_check, (SELECT count(*) FROM t)"
						 " FROM pragma_integrity_check",
						 -1, &check, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_step(check), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(check, 0), "ok");
	assert_int_equal(sqlite3_column_int(check, 1), 50 * 40);
	sqlite3_finalize(check);
	sqlite3_close(other);
}

static void a_refused_write_fails_the_commit(void **state)
{
	static const struct {
		int code;
		enum db_failure failure;
	} cases[] = {{SQLITE_FULL, DB_FULL}, {SQLITE_IOERR_WRITE, DB_BROKEN}};
	struct stage *s = *state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(db_exec(s->writer, "BEGIN", NULL), 0);
		assert_int_equal(db_exec(s->writer, many, NULL), 0);
		fail_with = cases[i].code;
		assert_int_equal(db_exec(s->writer, "COMMIT", NULL), -1);
		assert_int_equal(db_failure(s->writer), cases[i].failure);
		fail_with = 0;
		if (db_in_transaction(s->writer))
			assert_int_equal(db_exec(s->writer, "ROLLBACK", NULL), 0);
		assert_int_equal(number(s->reader, "SELECT count(*) FROM t"), 0);
	}
	assert_int_equal(db_exec(s->writer, many, NULL), 0);
	assert_int_equal(number(s->reader, "SELECT count(*) FROM t"), 40);
}

/* Fills the WAL beyond what is committed, then has the disk refuse the rest. A statement that reads
 * hears of it first; it alone is undone. */
static void be_refused_while_reading(struct stage *s)
{
	static const char more[] =
		"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 40)"
		" INSERT INTO t (id, v) SELECT -i, (SELECT v FROM t WHERE id = 41 - i) FROM c";
	assert_int_equal(db_exec(s->writer, "PRAGMA cache_size = 10", NULL), 0);
	assert_int_equal(db_exec(s->writer, "BEGIN", NULL), 0);
	if (db_exec(s->writer, many, &s->err))
		fail_msg("%s", s->err.log);
	fail_with = SQLITE_FULL;
	assert_int_equal(db_exec(s->writer, more, NULL), -1);
	assert_int_equal(db_failure(s->writer), DB_FULL);
	assert_true(db_in_transaction(s->writer));
}

static void what_a_read_could_not_write_is_not_lost(void **state)
{
	struct stage *s = *state;
	be_refused_while_reading(s);
	fail_with = 0;
	assert_int_equal(db_exec(s->writer, "COMMIT", NULL), 0);
	assert_int_equal(number(s->reader, "SELECT sum(length(v)) FROM t"), 40 * 4000);
}

static void what_was_rolled_back_is_in_nobodys_way(void **state)
{
	struct stage *s = *state;
	be_refused_while_reading(s);
	assert_int_equal(db_exec(s->writer, "ROLLBACK", NULL), 0);
	assert_int_equal(number(s->writer, "SELECT count(*) FROM t"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	unix_vfs = sqlite3_vfs_find("unix");
	counting = *unix_vfs;
	counting.zName = "counting";
	counting.xOpen = count_open;
	sqlite3_vfs_register(&counting, 0);
	if (wal_vfs_register("counting") != SQLITE_OK)
		return 1;
	const struct CMUnitTest tests[] = {
		TEST(a_commit_is_one_write),
		TEST(what_was_gathered_can_be_read),
		TEST(what_another_process_finds_is_whole),
		TEST(a_refused_write_fails_the_commit),
		TEST(what_a_read_could_not_write_is_not_lost),
		TEST(what_was_rolled_back_is_in_nobodys_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
