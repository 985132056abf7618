/* What of a disk mail may take, small and large. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/space.h"

#define KB ((uint64_t)1024)
#define MB (1024 * KB)
#define GB (1024 * MB)

static void the_reserve_is_more_than_the_log_and_a_small_part_of_the_disk(void **state)
{
	static const struct {
		uint64_t total, reserve;
	} rows[] = {{0, 256 * KB}, {4 * MB, 256 * KB}, {16 * MB, MB}, {256 * MB, 16 * MB},
		{UINT64_MAX, 16 * MB}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		uint64_t reserve = space_reserve(rows[i].total);
		struct space_wal wal = space_wal(reserve);
		assert_int_equal(reserve, rows[i].reserve);
		assert_true(0 < wal.idle && wal.idle < wal.busy && wal.busy < wal.truncate);
		assert_true((uint64_t)wal.truncate * 4 * KB <= reserve);
	}
}

static void the_floor_is_the_setting_but_for_a_small_disk(void **state)
{
	(void)state;
	assert_int_equal(space_floor(100 * GB, 64 * MB), 64 * MB);
	assert_int_equal(space_floor(4 * MB, 64 * MB), 512 * KB);
	assert_int_equal(space_floor(4 * MB, 0), 0);
	assert_int_equal(space_floor(100 * GB, 200 * GB), 100 * GB / 8);
}

static void mail_takes_what_is_above_floor_and_debt(void **state)
{
	(void)state;
	assert_int_equal(space_for_mail(10 * MB, 4 * MB, MB), 5 * MB);
	assert_int_equal(space_for_mail(5 * MB, 4 * MB, MB), 0);
	assert_int_equal(space_for_mail(0, 4 * MB, MB), 0);
	assert_int_equal(space_to_promise(5 * MB, 8 * MB), MB);
	assert_int_equal(space_to_promise(MB, 8 * MB), 0);
}

/* Whoever was promised room for the largest message has it, and one byte more is too much. */
static void the_largest_message_is_the_one_that_just_fits(void **state)
{
	(void)state;
	for (uint64_t space = 0; space < 2 * MB; space += 777) {
		uint64_t n = space_largest(space);
		bool row = n <= 64 * KB;
		if (n)
			assert_true(space_need(row ? n : 0, row ? 0 : n) <= space);
		assert_true(space_need(n + 1, 0) > space || space_need(0, n + 1) + 64 * KB > space);
	}
	assert_int_equal(space_largest(0), 0);
	assert_true(space_largest(GB) > GB - MB);
}

static void low_ends_later_than_it_begins(void **state)
{
	(void)state;
	assert_true(space_is_low(false, 0, 0));
	assert_true(space_is_low(false, 10 * KB, 64 * MB));
	assert_false(space_is_low(false, 100 * KB, 64 * MB));
	assert_true(space_is_low(true, 100 * KB, 64 * MB));
	assert_false(space_is_low(true, 9 * MB, 64 * MB));
}

static void a_folder_is_measured(void **state)
{
	struct space s = {0, 0};
	(void)state;
	assert_true(space_measure("/tmp", &s));
	assert_true(s.total > 0 && s.available <= s.total);
	s = (struct space){1, 2};
	assert_false(space_measure("/no such folder", &s));
	assert_int_equal(s.total, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reserve_is_more_than_the_log_and_a_small_part_of_the_disk),
		cmocka_unit_test(the_floor_is_the_setting_but_for_a_small_disk),
		cmocka_unit_test(mail_takes_what_is_above_floor_and_debt),
		cmocka_unit_test(the_largest_message_is_the_one_that_just_fits),
		cmocka_unit_test(low_ends_later_than_it_begins),
		cmocka_unit_test(a_folder_is_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
