/* Tests of a message's content as a descriptor: what is taken from another role and what is not, and
 * how a writer moves from the heap to memory to the spool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/body.h"

enum { ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static int memory(int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, "hello", 5), 5);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void check(int fd, int64_t expected)
{
	struct err err = {0};
	assert_int_equal(body_check(fd, &err), expected);
	assert_int_equal(err.kind, expected < 0 ? ERR_TEMP : ERR_NONE);
	close(fd);
}

static void sealed_memory_is_taken(void **state)
{
	(void)state;
	check(memory(ALL_SEALS), 5);
	check(body_from_str(STR(""), "empty", NULL), 0);
}

static void memory_that_can_change_is_refused(void **state)
{
	(void)state;
	check(memory(0), -1);
	check(memory(ALL_SEALS & ~F_SEAL_WRITE), -1);
	check(memory(ALL_SEALS & ~F_SEAL_SHRINK), -1);
	check(memory(ALL_SEALS & ~F_SEAL_GROW), -1);
	check(memory(ALL_SEALS & ~F_SEAL_SEAL), -1);
}

static void check_file(int fd, bool good)
{
	struct err err = {0};
	struct str mapped;
	assert_int_equal(body_map_file(fd, 5, &mapped, &err), good ? 0 : -1);
	if (good)
		body_unmap(mapped);
	assert_int_equal(body_check(fd, &err), -1); /* only store may hand files over */
	close(fd);
}

/* A file system in memory knows seals too, on files that cannot be sealed. */
static void files_of_the_spool_are_taken_read_only(void **state)
{
	static const char *const folders[] = {"/tmp", "/dev/shm"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char path[64];
		snprintf(path, sizeof path, "%s/body_test.XXXXXX", folders[i]);
		int writable = mkstemp(path);
		if (writable < 0)
			continue;
		assert_int_equal(write(writable, "hello", 5), 5);
		check_file(open(path, O_RDONLY | O_CLOEXEC), true);
		check_file(open(path, O_RDWR | O_CLOEXEC), false);
		check_file(writable, false);
		unlink(path);
	}
}

static void what_is_no_file_is_refused(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	check(ends[0], -1);
	check(ends[1], -1);
	check(open("/dev/zero", O_RDONLY | O_CLOEXEC), -1);
	check(open("/tmp", O_RDONLY | O_CLOEXEC), -1);
	check(-1, -1);
}

/* A hole costs its maker nothing. */
static void a_map_is_bounded(void **state)
{
	(void)state;
	struct str mapped = STR("untouched");
	struct err err = {0};
	int fd = memory(0);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, ALL_SEALS), 0);
	assert_int_equal(body_map(fd, 1024 * 1024, &mapped, &err), -1);
	assert_int_equal(err.kind, ERR_PERM);
	assert_true(str_eq(mapped, STR("untouched")));
	close(fd);
	fd = memory(ALL_SEALS);
	assert_int_equal(body_map(fd, 4, &mapped, &err), -1);
	assert_int_equal(body_map(fd, 5, &mapped, &err), 0);
	assert_true(str_eq(mapped, STR("hello")));
	body_unmap(mapped);
	close(fd);
}

/* ---- writing ---- */

static int spool_read_side, spools_opened;

static int open_spool(void *arg, int *ret_fd, uint64_t *ret_spool, struct err *err)
{
	char path[] = "/tmp/body_test.XXXXXX";
	(void)err;
	if (arg)
		return err_temp(err, NULL, "no spool today");
	*ret_fd = mkstemp(path);
	spool_read_side = open(path, O_RDONLY | O_CLOEXEC);
	unlink(path);
	*ret_spool = 7;
	spools_opened++;
	return 0;
}

/* Byte number i is i modulo 251; in pieces of all sizes. */
static struct body_writer *write_bytes(size_t size, body_spool_open *open, void *arg, int *ret)
{
	static char pattern[251 * 1024];
	struct err err = {0};
	struct body_writer *w = body_writer_new(open, arg);
	for (size_t i = 0; i < sizeof pattern; i++)
		pattern[i] = (char)(i % 251);
	*ret = 0;
	for (size_t at = 0, piece = 1; at < size && *ret == 0; at += piece, piece = piece * 3 % 99991) {
		if (piece > size - at)
			piece = size - at;
		*ret = body_writer_add(w, str_make(pattern + at % 251, piece), &err);
	}
	return w;
}

static void assert_bytes(int fd, size_t size)
{
	struct str all;
	struct err err;
	assert_int_equal(body_map_file(fd, size, &all, &err), 0);
	assert_int_equal(all.n, size);
	for (size_t i = 0; i < size; i++)
		if (all.p[i] != (char)(i % 251))
			fail_msg("byte %zu of %zu is wrong", i, size);
	body_unmap(all);
	close(fd);
}

static void a_writer_keeps_every_byte(void **state)
{
	static const size_t sizes[] = {0, 1, BODY_PACKET_MAX, BODY_PACKET_MAX + 1, 64 * 1024,
		64 * 1024 + 1, BODY_MEMORY_MAX - 1, BODY_MEMORY_MAX, BODY_MEMORY_MAX + 1,
		3 * BODY_MEMORY_MAX};
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct body body;
		struct err err;
		int status;
		spools_opened = 0;
		struct body_writer *w = write_bytes(sizes[i], open_spool, NULL, &status);
		assert_int_equal(status, 0);
		assert_int_equal(body_writer_size(w), sizes[i]);
		assert_int_equal(body_writer_finish(w, &body, &err), 0);
		assert_int_equal(body.size, sizes[i]);
		assert_int_equal(body.spool != 0, sizes[i] > BODY_MEMORY_MAX);
		assert_int_equal(spools_opened, body.spool != 0);
		if (body.fd >= 0)
			assert_true(body_is_sealed(body.fd));
		assert_int_equal(body.bytes.n, sizes[i] <= BODY_PACKET_MAX ? sizes[i] : 0);
		if (body.bytes.n || sizes[i] == 0) /* read as the others are */
			body.fd = body_from_str(body.bytes, "small", &err);
		assert_bytes(body.spool ? spool_read_side : dup(body.fd), sizes[i]);
		body_done(&body);
	}
}

static void without_a_spool_it_stays_in_memory(void **state)
{
	struct body body;
	struct err err;
	int status;
	(void)state;
	struct body_writer *w = write_bytes(2 * BODY_MEMORY_MAX, NULL, NULL, &status);
	assert_int_equal(body_writer_finish(w, &body, &err), 0);
	assert_int_equal(body.spool, 0);
	assert_bytes(body.fd, 2 * BODY_MEMORY_MAX);
}

static void a_failure_stays_a_failure(void **state)
{
	struct body body = {.fd = -7};
	struct err err = {0};
	int status, refuse;
	(void)state;
	struct body_writer *w = write_bytes(2 * BODY_MEMORY_MAX, open_spool, &refuse, &status);
	assert_int_equal(status, -1);
	assert_int_equal(body_writer_add(w, STR("more"), &err), -1);
	assert_string_equal(err.log, "no spool today");
	assert_int_equal(body_writer_finish(w, &body, &err), -1);
	assert_int_equal(body.fd, -7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealed_memory_is_taken),
		cmocka_unit_test(memory_that_can_change_is_refused),
		cmocka_unit_test(files_of_the_spool_are_taken_read_only),
		cmocka_unit_test(what_is_no_file_is_refused),
		cmocka_unit_test(a_map_is_bounded),
		cmocka_unit_test(a_writer_keeps_every_byte),
		cmocka_unit_test(without_a_spool_it_stays_in_memory),
		cmocka_unit_test(a_failure_stays_a_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
