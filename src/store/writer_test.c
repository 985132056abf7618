/* The writer's invariants (writer.c), with a disk that fails on command: this program's own fsync(),
 * fdatasync(), write() and pwrite64() stand in front of the C library's, for SQLite too. */
#include "store/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/body.h"
#include "io/fiber.h"
#include "store/node_db.h"
#include "store/writer.h"

/* ---- a disk that fails ------------------------------------------------------------------------ */

static atomic_bool fail_syncs, disk_full;
static atomic_int file_syncs, slow_ms;

int fsync(int fd)
{
	file_syncs++;
	if (fail_syncs) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	fiber_sleep("for a slow disk", slow_ms);
	if (fail_syncs) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static bool is_memory(int fd)
{
	return fcntl(fd, F_GET_SEALS) >= 0;
}

static bool is_pipe_or_event(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && !S_ISREG(st.st_mode);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	if (disk_full) {
		errno = ENOSPC;
		return -1;
	}
	return (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t write(int fd, const void *p, size_t n)
{
	if (disk_full && !is_memory(fd) && !is_pipe_or_event(fd)) {
		errno = ENOSPC;
		return -1;
	}
	return (ssize_t)syscall(SYS_write, fd, p, n);
}

/* ---- the stage -------------------------------------------------------------------------------- */

struct stage {
	char home[64];
	struct spool *spool;
	struct writer *writer;
	struct db *reader;
	unsigned failures_told;
};

static void failed(const char *why, void *arg)
{
	struct stage *t = arg;
	assert_true(why[0]);
	t->failures_told++;
}

static int set_up(void **state)
{
	struct stage *t = calloc(1, sizeof *t); /* style: a test */
	struct err err = {0};
	fail_syncs = disk_full = false;
	home_make(t->home);
	t->spool = spool_open(t->home, &err);
	assert_non_null(t->spool);
	t->writer = writer_new(t->home, t->spool, failed, t, &err);
	if (!t->writer)
		fail_msg("%s", err.log);
	t->reader = node_db_open_reader(t->home, &err);
	if (!t->reader)
		fail_msg("%s", err.log);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *t = *state;
	writer_free(t->writer);
	db_close(t->reader);
	spool_close(t->spool);
	home_remove(t->home);
	free(t);
	return 0;
}

struct row_job {
	struct write_job job;
	int64_t id;
	bool unlink_file;
	unsigned applied;
};

static int apply_row(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct row_job *r = (struct row_job *)job;
	r->applied++;
	if (r->unlink_file)
		writer_unlink_later(w, (uint64_t)r->id);
	struct db_query *q = db_query(db, "INSERT INTO body (id, data) VALUES ($1, $2)");
	db_bind_int(q, 1, r->id);
	db_bind_blob(q, 2, STR("a body"));
	return db_run(q, err);
}

static struct row_job row(int64_t id, enum write_kind kind)
{
	return (struct row_job){.job = {.apply = apply_row, .kind = kind, .body_fd = -1}, .id = id};
}

static int64_t number(struct stage *t, const char *sql)
{
	int64_t v = -1;
	struct err err = {0};
	if (db_number(t->reader, sql, &v, &err))
		fail_msg("%s", err.log);
	return v;
}

static bool file_there(struct stage *t, uint64_t id)
{
	int fd;
	if (spool_read(t->spool, id, &fd, NULL))
		return false;
	close(fd);
	return true;
}

/* ---- W1 --------------------------------------------------------------------------------------- */

static void what_is_done_is_on_disk(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct row_job j = row(1, WRITE_ADMITS);
	assert_int_equal(writer_do(t->writer, &j.job, &err), 0);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 1);
}

/* Posted while the thread is busy: one transaction for all. */
static void what_waits_together_is_written_together(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	static struct row_job jobs[200];
	for (int i = 0; i < 200; i++) {
		jobs[i] = row(i + 1, WRITE_ADMITS);
		writer_post(t->writer, &jobs[i].job);
	}
	assert_int_equal(writer_flush(t->writer, &err), 0);
	for (int i = 0; i < 200; i++)
		assert_true(jobs[i].job.finished && jobs[i].job.err.kind == ERR_NONE);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 200);
}

static void lazy_jobs_go_with_the_next_batch_or_after_a_while(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct row_job lazy = row(1, WRITE_LAZY), now = row(2, WRITE_ADMITS),
				   alone = row(3, WRITE_LAZY);
	writer_post(t->writer, &lazy.job);
	usleep(50 * 1000); /* style: a test */
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 0);
	assert_int_equal(writer_do(t->writer, &now.job, &err), 0);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 2);
	int64_t start = clock_steady_ms();
	assert_int_equal(writer_do(t->writer, &alone.job, &err), 0);
	assert_true(clock_steady_ms() - start >= WRITER_LAZY_MS - 50);
}

/* ---- W2, W6 ----------------------------------------------------------------------------------- */

static void bodies_become_files_and_go_after_the_commit(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	char text[100000];
	memset(text, 'x', sizeof text);
	struct row_job j = row(77, WRITE_ADMITS);
	j.job.body_fd = body_from_str(str_make(text, sizeof text), "letter", &err);
	j.job.body_in_memory = true;
	j.job.body_id = 77;
	int before = file_syncs;
	assert_int_equal(writer_do(t->writer, &j.job, &err), 0);
	/* The file, its directory, and the directory's own name. */
	assert_int_equal(file_syncs - before, 3);
	close(j.job.body_fd);
	int fd;
	struct stat st;
	assert_int_equal(spool_read(t->spool, 77, &fd, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, sizeof text);
	close(fd);
	/* Refused, so its file stays. */
	struct row_job bad = row(77, WRITE_FINISHES);
	bad.unlink_file = true;
	assert_int_equal(writer_do(t->writer, &bad.job, &err), -1);
	assert_true(file_there(t, 77));
	struct row_job good = row(78, WRITE_FINISHES);
	good.unlink_file = true;
	good.id = 78;
	assert_int_equal(writer_do(t->writer, &good.job, &err), 0);
	assert_true(file_there(t, 77));
}

static void a_refused_body_leaves_no_file(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct row_job first = row(5, WRITE_ADMITS), second = row(5, WRITE_ADMITS);
	assert_int_equal(writer_do(t->writer, &first.job, &err), 0);
	second.job.body_fd = body_from_str(STR("a large body"), "letter", &err);
	second.job.body_in_memory = true;
	second.job.body_id = 6;
	assert_int_equal(writer_do(t->writer, &second.job, &err), -1);
	assert_false(file_there(t, 6));
	close(second.job.body_fd);
}

/* ---- W4 --------------------------------------------------------------------------------------- */

static void a_constraint_harms_only_its_message(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	static struct row_job jobs[30];
	/* The thread is kept busy by the first, so the others meet in one batch. */
	for (int i = 0; i < 30; i++) {
		jobs[i] = row(i == 17 ? 3 : i + 1, WRITE_ADMITS);
		writer_post(t->writer, &jobs[i].job);
	}
	assert_int_equal(writer_flush(t->writer, &err), 0);
	for (int i = 0; i < 30; i++)
		assert_int_equal(jobs[i].job.err.kind, i == 17 ? ERR_TEMP : ERR_NONE);
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 29);
	assert_int_equal(t->failures_told, 0);
}

/* ---- W5 --------------------------------------------------------------------------------------- */

static void a_slow_sync_is_told_of(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct row_job quick = row(1, WRITE_ADMITS), slow = row(2, WRITE_ADMITS);
	char text[4096] = "";
	int fd = memfd_create("log", MFD_CLOEXEC);
	log_open(fd, LOG_INFO);
	assert_int_equal(writer_do(t->writer, &quick.job, &err), 0);
	slow_ms = 1010;
	assert_int_equal(writer_do(t->writer, &slow.job, &err), 0);
	slow_ms = 0;
	log_open(STDERR_FILENO, LOG_INFO);
	assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
	close(fd);
	char *line = strstr(text, ":writer] W store.slow-sync step=commit ms=1");
	assert_non_null(line);
	assert_null(strstr(strchr(line, '\n'), "store.slow-sync"));
}

static void a_failed_sync_is_never_retried(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct row_job good = row(1, WRITE_ADMITS), bad[3], later = row(9, WRITE_ADMITS);
	assert_int_equal(writer_do(t->writer, &good.job, &err), 0);
	fail_syncs = true;
	for (int i = 0; i < 3; i++) {
		bad[i] = row(2 + i, WRITE_ADMITS);
		writer_post(t->writer, &bad[i].job);
	}
	assert_int_equal(writer_flush(t->writer, &err), -1);
	assert_int_equal(err.kind, ERR_TEMP);
	for (int i = 0; i < 3; i++) {
		assert_true(bad[i].job.finished);
		assert_int_equal(bad[i].job.err.kind, ERR_TEMP);
		assert_int_equal(bad[i].applied <= 1, 1);
	}
	assert_int_equal(t->failures_told, 1);
	/* The disk may be well again: nobody knows what it lost. */
	fail_syncs = false;
	assert_int_equal(writer_do(t->writer, &later.job, &err), -1);
	assert_int_equal(later.applied, 0);
	assert_int_equal(t->failures_told, 1);
}

static void a_failed_sync_of_a_body_is_as_bad(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct row_job j = row(1, WRITE_ADMITS), later = row(2, WRITE_ADMITS);
	j.job.body_fd = body_from_str(STR("a large body"), "letter", &err);
	j.job.body_in_memory = true;
	j.job.body_id = 1;
	fail_syncs = true;
	assert_int_equal(writer_do(t->writer, &j.job, &err), -1);
	fail_syncs = false;
	assert_int_equal(j.applied, 0);
	assert_int_equal(writer_do(t->writer, &later.job, &err), -1);
	close(j.job.body_fd);
}

/* ---- W7 --------------------------------------------------------------------------------------- */

static bool reserve_there(struct stage *t)
{
	char path[100];
	struct stat st;
	snprintf(path, sizeof path, "%s/" DATA_FOLDER "/reserve", t->home);
	return stat(path, &st) == 0 && st.st_blocks > 0;
}

static void a_full_disk_refuses_new_mail_until_there_is_space(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct row_job one = row(1, WRITE_ADMITS), two = row(2, WRITE_ADMITS),
				   three = row(3, WRITE_FINISHES), four = row(4, WRITE_ADMITS);
	assert_true(reserve_there(t));
	log_open(open("/dev/null", O_WRONLY), LOG_ERROR);
	disk_full = true;
	assert_int_equal(writer_do(t->writer, &one.job, &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	assert_true(writer_disk_full(t->writer));
	assert_false(reserve_there(t));
	/* The reserve is free now: what is here can be finished, nothing comes in. */
	disk_full = false;
	assert_int_equal(writer_do(t->writer, &two.job, &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	assert_int_equal(two.applied, 0);
	assert_int_equal(writer_do(t->writer, &three.job, &err), 0);
	usleep(1100 * 1000); /* style: a test */
	assert_int_equal(writer_do(t->writer, &four.job, &err), 0);
	assert_false(writer_disk_full(t->writer));
	assert_true(reserve_there(t));
	assert_int_equal(number(t, "SELECT count(*) FROM body"), 2);
	assert_int_equal(t->failures_told, 0);
}

static void a_full_disk_refuses_a_large_body_alone(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	struct row_job j = row(1, WRITE_ADMITS);
	log_open(open("/dev/null", O_WRONLY), LOG_ERROR);
	j.job.body_fd = body_from_str(STR("a large body"), "letter", &err);
	j.job.body_in_memory = true;
	j.job.body_id = 1;
	disk_full = true;
	assert_int_equal(writer_do(t->writer, &j.job, &err), -1);
	disk_full = false;
	assert_string_equal(err.peer, "insufficient system storage");
	assert_int_equal(t->failures_told, 0);
	assert_false(file_there(t, 1));
	close(j.job.body_fd);
}

/* ---- checkpoints ------------------------------------------------------------------------------ */

static off_t size_of(struct stage *t, const char *name)
{
	char path[100];
	struct stat st;
	snprintf(path, sizeof path, "%s/" DATA_FOLDER "/%s", t->home, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static int apply_many(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	static char blob[60000];
	struct row_job *r = (struct row_job *)job;
	(void)w;
	for (int i = 0; i < 100; i++) {
		struct db_query *q = db_query(db, "INSERT INTO body (id, data) VALUES ($1, $2)");
		db_bind_int(q, 1, r->id * 100 + i);
		db_bind_blob(q, 2, str_make(blob, sizeof blob));
		if (db_run(q, err))
			return -1;
	}
	return 0;
}

/* The WAL is copied back when there is time, so it does not grow with all that was ever written. */
static void idle_time_is_used_to_checkpoint(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	for (int i = 0; i < 4; i++) {
		struct row_job j = row(i + 1, WRITE_ADMITS);
		j.job.apply = apply_many;
		assert_int_equal(writer_do(t->writer, &j.job, &err), 0);
		usleep(200 * 1000); /* style: a test */
	}
	assert_true(size_of(t, "node.db") > 18 * 1000 * 1000);
	assert_true(size_of(t, "node.db-wal") < 14 * 1000 * 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_done_is_on_disk),
		TEST(what_waits_together_is_written_together),
		TEST(lazy_jobs_go_with_the_next_batch_or_after_a_while),
		TEST(bodies_become_files_and_go_after_the_commit),
		TEST(a_refused_body_leaves_no_file),
		TEST(a_constraint_harms_only_its_message),
		TEST(a_slow_sync_is_told_of),
		TEST(a_failed_sync_is_never_retried),
		TEST(a_failed_sync_of_a_body_is_as_bad),
		TEST(a_full_disk_refuses_new_mail_until_there_is_space),
		TEST(a_full_disk_refuses_a_large_body_alone),
		TEST(idle_time_is_used_to_checkpoint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
