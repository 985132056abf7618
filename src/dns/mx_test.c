#include "dns/mx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct arena *arena;

static int setup(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* Loaded dice: always the first, or always the last. */
static uint32_t first(void *arg, uint32_t n)
{
	(void)arg, (void)n;
	return 0;
}

static uint32_t last(void *arg, uint32_t n)
{
	(void)arg;
	return n - 1;
}

struct row {
	uint16_t preference;
	const char *host;
};

static struct mx_list sort(const struct row *rows, size_t n, mx_random *random)
{
	struct dns_record *records = arena_alloc(arena, n * sizeof *records);
	for (size_t i = 0; i < n; i++)
		records[i] = (struct dns_record){
			.type = DNS_MX, .mx = {rows[i].preference, str_from_c(rows[i].host)}};
	struct dns_answer answer = {.outcome = DNS_FOUND, .records = records, .count = n};
	return mx_sort(&answer, random, NULL, arena);
}
#define SORT(rows, random) sort(rows, sizeof(rows) / sizeof *(rows), random)

static void lower_preference_comes_first(void **state)
{
	(void)state;
	static const struct row rows[] = {{65535, "d"}, {20, "b"}, {0, "a"}, {256, "c"}};
	struct mx_list list = SORT(rows, last);
	assert_int_equal(list.count, 4);
	assert_string_equal(list.hosts[0].name.p, "a");
	assert_string_equal(list.hosts[1].name.p, "b");
	assert_string_equal(list.hosts[2].name.p, "c");
	assert_string_equal(list.hosts[3].name.p, "d");
}

static void equal_preferences_are_shuffled_among_themselves(void **state)
{
	(void)state;
	static const struct row rows[] = {{5, "a"}, {10, "b"}, {10, "c"}, {10, "d"}, {20, "e"}};
	unsigned seen[4][5] = {{0}};
	for (int i = 0; i < 300; i++) {
		struct mx_list list = SORT(rows, mx_random_kernel);
		assert_string_equal(list.hosts[0].name.p, "a");
		assert_string_equal(list.hosts[4].name.p, "e");
		for (int k = 1; k < 4; k++)
			seen[k][list.hosts[k].name.p[0] - 'a']++;
	}
	for (int k = 1; k < 4; k++)
		for (int host = 1; host < 4; host++)
			assert_in_range(seen[k][host], 50, 150);
	assert_string_equal(SORT(rows, last).hosts[1].name.p, "b");
	assert_string_not_equal(SORT(rows, first).hosts[1].name.p, "b");
}

static void null_mx(void **state)
{
	(void)state;
	static const struct row only[] = {{0, ""}}, twice[] = {{10, ""}, {0, ""}};
	static const struct row beside[] = {{0, ""}, {10, "mx.example"}}, bad[] = {{0, ""}, {1, "a?b"}};
	assert_true(SORT(only, last).null_mx);
	assert_true(SORT(twice, last).null_mx);
	struct mx_list list = SORT(beside, last);
	assert_false(list.null_mx);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.unusable, 1);
	list = SORT(bad, last);
	assert_false(list.null_mx);
	assert_int_equal(list.unusable, 2);
	assert_int_equal(list.count, 0);
}

static void a_host_named_twice_is_tried_once(void **state)
{
	(void)state;
	static const struct row rows[] = {{20, "MX.example"}, {10, "mx.example"}, {20, "b.example"}};
	struct mx_list list = SORT(rows, last);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.hosts[0].preference, 10);
	assert_string_equal(list.hosts[1].name.p, "b.example");
}

static void hosts_that_are_none_are_left_out(void **state)
{
	(void)state;
	static const struct row rows[] = {{10, "a?b"}, {10, "-"}, {10, "ok.example"}};
	struct mx_list list = SORT(rows, last);
	assert_int_equal(list.unusable, 2);
	assert_int_equal(list.count, 1);
}

static void no_records(void **state)
{
	(void)state;
	struct dns_answer none = {.outcome = DNS_NONE};
	struct mx_list list = mx_sort(&none, last, NULL, arena);
	assert_false(list.null_mx);
	assert_int_equal(list.count, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lower_preference_comes_first),
		TEST(equal_preferences_are_shuffled_among_themselves),
		TEST(null_mx),
		TEST(a_host_named_twice_is_tried_once),
		TEST(hosts_that_are_none_are_left_out),
		TEST(no_records),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
