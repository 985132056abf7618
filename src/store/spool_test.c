#include "store/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "store/spool.h"

struct stage {
	char home[64];
	struct spool *spool;
	int borrower, other;
};

static int set_up(void **state)
{
	struct stage *t = calloc(1, sizeof *t); /* style: a test */
	struct err err = {0};
	home_make(t->home);
	t->spool = spool_open(t->home, &err);
	if (!t->spool)
		fail_msg("%s", err.log);
	*state = t;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *t = *state;
	spool_close(t->spool);
	home_remove(t->home);
	free(t);
	return 0;
}

static int lend(struct stage *t, uint64_t *number)
{
	int fd = -1;
	struct err err = {0};
	if (spool_lend(t->spool, &t->borrower, 1000, &fd, number, &err))
		fail_msg("%s", err.log);
	return fd;
}

static void a_file_comes_back_read_only(void **state)
{
	struct stage *t = *state;
	uint64_t number;
	int fd = lend(t, &number), back = -1;
	char text[8] = "";
	assert_int_equal(write(fd, "letter", 6), 6);
	close(fd);
	assert_int_equal(spool_take(t->spool, &t->borrower, number, 6, &back, NULL), 0);
	assert_int_equal(pread(back, text, 7, 0), 6);
	assert_string_equal(text, "letter");
	assert_int_equal(write(back, "x", 1), -1);
	assert_int_equal(errno, EBADF);
	close(back);
	/* Once only. */
	assert_int_equal(spool_take(t->spool, &t->borrower, number, 6, &back, NULL), -1);
}

static void a_writer_that_is_left_spoils_it(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	uint64_t number;
	int back, fd = lend(t, &number), second = dup(fd);
	assert_int_equal(write(fd, "letter", 6), 6);
	close(fd);
	assert_int_equal(spool_take(t->spool, &t->borrower, number, 6, &back, &err), -1);
	assert_non_null(strstr(err.log, "writer left"));
	close(second);
	assert_int_equal(spool_lent(t->spool), 0);
	/* A mapping is a writer too. */
	fd = lend(t, &number);
	assert_int_equal(ftruncate(fd, 4096), 0);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	close(fd);
	assert_int_equal(spool_take(t->spool, &t->borrower, number, 4096, &back, &err), -1);
	munmap(map, 4096);
}

static void another_size_or_borrower_is_refused(void **state)
{
	struct stage *t = *state;
	uint64_t number;
	int back, fd = lend(t, &number);
	assert_int_equal(write(fd, "letter", 6), 6);
	close(fd);
	assert_int_equal(spool_take(t->spool, &t->other, number, 6, &back, NULL), -1);
	assert_int_equal(spool_take(t->spool, &t->borrower, number + 1, 6, &back, NULL), -1);
	assert_int_equal(spool_lent(t->spool), 1);
	assert_int_equal(spool_take(t->spool, &t->borrower, number, 7, &back, NULL), -1);
	assert_int_equal(spool_lent(t->spool), 0);
}

static void what_nobody_brings_back_is_dropped(void **state)
{
	struct stage *t = *state;
	uint64_t number;
	int open_one = lend(t, &number), closed = lend(t, &number);
	close(closed);
	spool_tidy(t->spool, 2000);
	assert_int_equal(spool_lent(t->spool), 2);
	spool_tidy(t->spool, 2000 + SPOOL_IDLE_MS);
	assert_int_equal(spool_lent(t->spool), 1);
	spool_tidy(t->spool, 1000 + SPOOL_LENT_MS);
	assert_int_equal(spool_lent(t->spool), 0);
	close(open_one);
	closed = lend(t, &number);
	spool_forget(t->spool, &t->other);
	assert_int_equal(spool_lent(t->spool), 1);
	spool_forget(t->spool, &t->borrower);
	assert_int_equal(spool_lent(t->spool), 0);
	close(closed);
}

static void one_borrower_gets_so_many(void **state)
{
	struct stage *t = *state;
	uint64_t number;
	int fd;
	for (int i = 0; i < SPOOL_LENT_MAX; i++)
		close(lend(t, &number));
	assert_int_equal(spool_lend(t->spool, &t->borrower, 1, &fd, &number, NULL), -1);
	assert_int_equal(spool_lend(t->spool, &t->other, 1, &fd, &number, NULL), 0);
	close(fd);
}

static bool keep_even(void *arg, uint64_t id)
{
	(void)arg;
	return id % 2 == 0;
}

static void files_without_a_row_are_swept(void **state)
{
	struct stage *t = *state;
	struct err err = {0};
	uint64_t base = id_make() & ~UINT64_C(1), dropped;
	int fd;
	for (uint64_t i = 0; i < 4; i++) {
		/* Two directories. */
		uint64_t id = base + i + (i / 2 << 41);
		assert_int_equal(spool_make(t->spool, STR("body"), &fd, &err), 0);
		assert_int_equal(spool_link(t->spool, fd, id, &err), 0);
		assert_int_equal(spool_link(t->spool, fd, id, &err), -1);
		assert_int_equal(errno, EEXIST);
		assert_int_equal(spool_sync_dir(t->spool, id, &err), 0);
		close(fd);
	}
	char path[128];
	snprintf(path, sizeof path, "%s/spool/README", t->home);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(spool_sweep(t->spool, keep_even, NULL, &dropped, &err), 0);
	assert_int_equal(dropped, 2);
	assert_int_equal(spool_read(t->spool, base, &fd, &err), 0);
	close(fd);
	assert_int_equal(spool_read(t->spool, base + 1, &fd, &err), -1);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(spool_unlink(t->spool, base, &err), 0);
	assert_int_equal(spool_unlink(t->spool, base, &err), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_comes_back_read_only),
		TEST(a_writer_that_is_left_spoils_it),
		TEST(another_size_or_borrower_is_refused),
		TEST(what_nobody_brings_back_is_dropped),
		TEST(one_borrower_gets_so_many),
		TEST(files_without_a_row_are_swept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
