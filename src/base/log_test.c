#include "base/log.h"

#include "base/log_thin.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static char line[4096];

/* What was written, from the event on, without the place in the source. */
static const char *written(int fd)
{
	ssize_t n = pread(fd, line, sizeof line - 1, 0);
	assert_true(n > 0);
	line[n] = 0;
	assert_int_equal(line[n - 1], '\n');
	assert_int_equal(strcspn(line, "\n"), n - 1);
	char *place = strrchr(line, '(');
	assert_non_null(place);
	assert_non_null(strstr(place, "log_test.c:"));
	place[-1] = 0;
	return strstr(line, "test.event");
}

/* One line into a file of its own. A macro, because log_info() is one. */
#define LOGGED(...)                                 \
	({                                              \
		int fd_ = memfd_create("log", MFD_CLOEXEC); \
		log_open(fd_, LOG_INFO);                    \
		log_info("test.event", __VA_ARGS__);        \
		log_open(STDERR_FILENO, LOG_INFO);          \
		const char *written_ = written(fd_);        \
		close(fd_);                                 \
		written_;                                   \
	})

static void values_of_every_kind(void **state)
{
	(void)state;
	struct str none = str_skip(STR("x"), 9);
	struct str cut = {"abcdef", 3};
	assert_string_equal(LOGGED("plain 100%%"), "test.event plain 100%");
	assert_string_equal(LOGGED("a=%s b=%.*s c=\"%.2s\" d=%s", "x", STR_ARG(cut), "yyy", ""),
		"test.event a=x b=abc c=\"yy\" d=");
	assert_string_equal(LOGGED("a=%.*s.", STR_ARG(none)), "test.event a=.");
	assert_string_equal(LOGGED("a=%d b=%u c=%zu", -7, 4294967295u, (size_t)1 << 40),
		"test.event a=-7 b=4294967295 c=1099511627776");
	assert_string_equal(LOGGED("a=%lld b=%llu c=%lu d=%ld", INT64_MIN + 0ll,
							(unsigned long long)UINT64_MAX, 5ul, -5l),
		"test.event a=-9223372036854775808 b=18446744073709551615 c=5 d=-5");
}

static void no_value_forges_another(void **state)
{
	(void)state;
	assert_string_equal(LOGGED("reply=\"%s\" code=%d", "no\" tls=\"verified", 550),
		"test.event reply=\"no' tls='verified\" code=550");
	struct str lines = STR("a\r\nb\t\x7f\1c");
	assert_string_equal(LOGGED("x=%.*s", STR_ARG(lines)), "test.event x=a??b???c");
}

static void long_lines_are_cut(void **state)
{
	(void)state;
	char large[3000];
	memset(large, 'x', sizeof large);
	large[sizeof large - 1] = 0;
	const char *cut = LOGGED("a=%s b=%s n=%d", large, large, 7);
	assert_in_range(strlen(cut), 1000, 1600);
}

/* Twenty thousand lines in ten seconds: the first ones, then two a second, and how many went. */
static void a_flood_is_thinned(void **state)
{
	(void)state;
	struct log_thin thin = {0};
	int written_lines = 0;
	log_open(-1, LOG_ERROR);
	for (int i = 0; i < 20000; i++)
		written_lines += log_thin_may(&thin, "test.event", i / 2);
	assert_int_equal(written_lines, LOG_THIN_BURST + 9999 / LOG_THIN_EVERY_MS);
	/* The next one tells what was held back since the last. */
	uint64_t held = thin.held;
	assert_true(held > 0);
	int fd = memfd_create("log", MFD_CLOEXEC);
	char told[200] = "";
	log_open(fd, LOG_INFO);
	assert_true(log_thin_may(&thin, "test.event", 11 * 1000));
	log_open(STDERR_FILENO, LOG_INFO);
	assert_true(pread(fd, told, sizeof told - 1, 0) > 0);
	close(fd);
	char *lines = strstr(told, "log.thinned event=test.event lines=");
	assert_non_null(lines);
	assert_int_equal(strtoull(strrchr(lines, '=') + 1, NULL, 10), held);
	assert_int_equal(thin.held, 0);
	/* After quiet times a burst is welcome again. */
	for (int i = 0; i < LOG_THIN_BURST; i++)
		assert_true(log_thin_may(&thin, "test.event", 3600 * 1000));
	assert_false(log_thin_may(&thin, "test.event", 3600 * 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_of_every_kind),
		cmocka_unit_test(no_value_forges_another),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(a_flood_is_thinned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
