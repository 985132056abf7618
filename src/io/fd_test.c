#include "io/fd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

/* A file in memory of `n` bytes that say where they stand, read from its beginning. */
static int file_of(size_t n)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char *bytes = mem_new(n + 1);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)(i % 251);
	assert_int_equal(fd_write_all(fd, str_make(bytes, n)), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	free(bytes);
	return fd;
}

static void what_is_written_is_read(void **state)
{
	static const struct {
		size_t size, max;
		int status;
	} rows[] = {
		{0, 0, 0},
		{0, 100, 0},
		{1, 0, -1},
		{100, 100, 0},
		{101, 100, -1},
		{70000, 70000, 0},
		{70000, 1 << 20, 0},
		{70001, 70000, -1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf b;
		int fd = file_of(rows[i].size);
		buf_init(&b, rows[i].max);
		errno = 0;
		assert_int_equal(fd_read_all(fd, &b), rows[i].status);
		assert_int_equal(errno, rows[i].status ? EFBIG : 0);
		assert_int_equal(b.n, rows[i].status ? rows[i].max : rows[i].size);
		for (size_t k = 0; k < b.n; k++)
			if (b.p[k] != (char)(k % 251))
				fail_msg("byte %zu of row %zu is wrong", k, i);
		buf_done(&b);
		close(fd);
	}
}

static void it_is_added_to_what_is_there(void **state)
{
	struct buf b;
	int fd = file_of(2);
	(void)state;
	buf_init(&b, 10);
	buf_add(&b, STR("before"));
	assert_int_equal(fd_read_all(fd, &b), 0);
	assert_true(str_eq(buf_str(&b), str_make("before\0\1", 8)));
	buf_done(&b);
	close(fd);
}

static void in_many_pieces(void **state)
{
	struct buf b;
	int pipes[2];
	(void)state;
	assert_int_equal(pipe(pipes), 0);
	if (fork() == 0) {
		for (int i = 0; i < 100; i++)
			if (fd_write_all(pipes[1], STR("0123456789")) != 0)
				_exit(1);
		_exit(0);
	}
	close(pipes[1]);
	buf_init(&b, 1000);
	assert_int_equal(fd_read_all(pipes[0], &b), 0);
	assert_int_equal(b.n, 1000);
	buf_done(&b);
	close(pipes[0]);
}

static void failures_keep_their_reason(void **state)
{
	struct buf b;
	(void)state;
	buf_init(&b, 10);
	assert_int_equal(fd_write_all(-1, STR("x")), -1);
	assert_int_equal(errno, EBADF);
	errno = 0;
	assert_int_equal(fd_read_all(-1, &b), -1);
	assert_int_equal(errno, EBADF);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(it_is_added_to_what_is_there),
		cmocka_unit_test(in_many_pieces),
		cmocka_unit_test(failures_keep_their_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
