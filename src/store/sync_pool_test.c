/* Every file is synced once, and a failure is heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "store/sync_pool.h"

/* Stands in for the kernel's: this program has its own. */
static atomic_int synced[200];
static atomic_int bad = -1;

int fsync(int fd)
{
	usleep(100); /* style: a test */
	if (fd == bad) {
		errno = EIO;
		return -1;
	}
	synced[fd]++;
	return 0;
}

static void each_is_synced_once(void **state)
{
	int fds[200];
	struct sync_pool *p = sync_pool_new();
	(void)state;
	for (int i = 0; i < 200; i++)
		fds[i] = i;
	for (size_t n = 0; n <= 200; n += n < 20 ? 1 : 45) {
		for (int i = 0; i < 200; i++)
			synced[i] = 0;
		assert_int_equal(sync_pool_run(p, fds, n), 0);
		for (size_t i = 0; i < 200; i++)
			assert_int_equal(synced[i], i < n);
	}
	sync_pool_free(p);
}

static void a_failure_is_heard(void **state)
{
	int fds[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	struct sync_pool *p = sync_pool_new();
	(void)state;
	for (bad = 1; bad <= 10; bad++)
		assert_int_equal(sync_pool_run(p, fds, 10), EIO);
	bad = 3;
	assert_int_equal(sync_pool_run(p, fds + 2, 1), EIO);
	bad = -1;
	assert_int_equal(sync_pool_run(p, fds, 10), 0);
	sync_pool_free(p);
}

static void one_that_did_nothing_ends(void **state)
{
	(void)state;
	sync_pool_free(sync_pool_new());
	sync_pool_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_synced_once),
		cmocka_unit_test(a_failure_is_heard),
		cmocka_unit_test(one_that_did_nothing_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
