#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "conf/settings.h"
#include "mail/retry.h"

enum { MINUTE = 60 * 1000, NO_JITTER = INT32_MAX };
#define DAY ((int64_t)24 * 60 * MINUTE)
static const int64_t arrived = 1763752410000;

static int64_t wait_after(const struct conf *c, uint32_t attempts, int64_t now, uint32_t random)
{
	int64_t at;
	assert_true(retry_next(c, attempts, arrived, now, random, &at));
	return at - now;
}

static void waits_follow_the_list(void **state)
{
	(void)state;
	static const int minutes[] = {5, 10, 20, 40, 60, 120, 240, 240, 240};
	struct conf *c = conf_new();
	for (uint32_t n = 1; n <= sizeof minutes / sizeof minutes[0]; n++) {
		int64_t wait = wait_after(c, n, arrived, NO_JITTER);
		assert_in_range(wait, minutes[n - 1] * MINUTE - 1, minutes[n - 1] * MINUTE);
	}
	assert_in_range(wait_after(c, UINT32_MAX, arrived, NO_JITTER), 240 * MINUTE - 1, 240 * MINUTE);
	conf_drop(c);
}

static void chance_spreads_them_by_a_tenth(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	assert_int_equal(wait_after(c, 1, arrived, 0), 5 * MINUTE * 9 / 10);
	assert_int_equal(wait_after(c, 1, arrived, UINT32_MAX), 5 * MINUTE * 11 / 10);
	/* The longest wait that relay.retry takes. */
	assert_int_equal(setting_parse(setting_find(STR("relay.retry")), STR("30d"), c, NULL), 0);
	assert_int_equal(setting_parse(setting_find(STR("queue.give_up")), STR("60d"), c, NULL), 0);
	assert_int_equal(wait_after(c, 1, arrived, 0), 27 * DAY);
	assert_int_equal(wait_after(c, 1, arrived, UINT32_MAX), 33 * DAY);
	/* The shortest. */
	assert_int_equal(setting_parse(setting_find(STR("relay.retry")), STR("100ms"), c, NULL), 0);
	assert_int_equal(wait_after(c, 1, arrived, 0), 90);
	assert_int_equal(wait_after(c, 9, arrived, UINT32_MAX), 110);
	conf_drop(c);
}

static void the_last_attempt_is_at_the_end(void **state)
{
	(void)state;
	struct conf *c = conf_new();
	int64_t end = arrived + 5 * DAY, at = 0;
	assert_int_equal(wait_after(c, 40, end - DAY, 0), 240 * MINUTE * 9 / 10);
	assert_true(retry_next(c, 40, arrived, end - MINUTE, UINT32_MAX, &at));
	assert_int_equal(at, end);
	assert_true(retry_next(c, 40, arrived, end - 1, 0, &at));
	assert_int_equal(at, end);
	at = 7;
	assert_false(retry_next(c, 1, arrived, end, 0, &at));
	assert_false(retry_next(c, 1, arrived, end + 100 * DAY, 0, &at));
	assert_int_equal(at, 7);
	conf_drop(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_follow_the_list),
		cmocka_unit_test(chance_spreads_them_by_a_tenth),
		cmocka_unit_test(the_last_attempt_is_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
