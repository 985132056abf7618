#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cli/socket.h"
#include "cli/table.h"

static struct arena *a;

static int set_up(void **state)
{
	(void)state;
	a = arena_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(a);
	return 0;
}

#define assert_str(s, c) assert_true(str_eq(s, STR(c)))

static void sizes_and_spans(void **state)
{
	(void)state;
	assert_str(text_size(a, 0), "0 B");
	assert_str(text_size(a, 1023), "1023 B");
	assert_str(text_size(a, 1024), "1.0 KB");
	assert_str(text_size(a, 1536), "1.5 KB");
	assert_str(text_size(a, 1048575), "1.0 MB"); /* never "1024.0 KB" */
	assert_str(text_size(a, 52428800), "50.0 MB");
	assert_str(text_span(a, -5), "0s");
	assert_str(text_span(a, 119999), "119s");
	assert_str(text_span(a, 120000), "2m");
	assert_str(text_span(a, 3 * 3600000), "3h");
	assert_str(text_span(a, 96 * 3600000LL), "4d");
}

static void times(void **state)
{
	(void)state;
	char text[CLOCK_TEXT];
	int64_t moments[] = {1, 951782400000, 1795000000123};
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(text_time_ms(str_from_c(clock_rfc3339(moments[i], text))), moments[i]);
	assert_int_equal(text_time_ms(STR("")), 0);
	assert_int_equal(text_time_ms(STR("2026-11-21")), 0);
	assert_int_equal(text_time_ms(STR("2026-xx-21T19:13:33.123Z")), 0);
	assert_str(text_time(a, STR("2026-11-21T19:13:33.123Z")), "2026-11-21 19:13:33Z");
}

static void nothing_plays_with_the_terminal(void **state)
{
	(void)state;
	assert_str(text_clean(a, STR("a\033[31mb\r\nc\177")), "a [31mb  c ");
	assert_str(text_clean(a, STR("x\302\233m")), "x  m");         /* CSI as one character */
	assert_str(text_clean(a, STR("gr\303\274n")), "gr\303\274n"); /* letters stay */
}

/* What table_print() writes. */
static struct str printed(const struct table *t)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = tmpfile();
	assert_non_null(f);
	table_print(t, f);
	n = (size_t)ftell(f);
	rewind(f);
	text = arena_alloc(a, n + 1);
	assert_int_equal(fread(text, 1, n, f), n);
	fclose(f);
	return str_make(text, n);
}

static void columns_stand_below_each_other(void **state)
{
	(void)state;
	struct table t;
	table_init(&t, a, "NAME|>SIZE|WHY");
	table_add(&t, STR("gr\303\274n"));
	table_add(&t, STR("5"));
	table_add(&t, STR("a\nb"));
	table_add(&t, STR("longer"));
	table_addf(&t, "%d", 12345);
	table_add(&t, STR(""));
	assert_str(printed(&t),
		"NAME     SIZE  WHY\n"
		"gr\303\274n        5  a b\n"
		"longer  12345\n");
}

/* ---- answers of the daemon */

static void a_whole_answer_is_taken(void **state)
{
	(void)state;
	unsigned status;
	struct str body;
	struct err err;
	assert_int_equal(
		socket_parse(
			STR("HTTP/1.1 404 Refused\r\nContent-Type: x\r\ncontent-LENGTH:  2 \r\n\r\n{}"),
			&status, &body, &err),
		0);
	assert_int_equal(status, 404);
	assert_str(body, "{}");
}

static void a_broken_answer_is_none(void **state)
{
	(void)state;
	static const char *const broken[] = {
		"",
		"\r\n\r\n",
		"HTTP/1.1\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 2",
		"SSH-2.0-x\r\nContent-Length: 0\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		unsigned status = 7;
		struct str body;
		struct err err = {0};
		assert_int_equal(socket_parse(str_from_c(broken[i]), &status, &body, &err), -1);
		assert_int_equal(status, 7);
		assert_true(strlen(err.log) > 5);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sizes_and_spans),
		TEST(times),
		TEST(nothing_plays_with_the_terminal),
		TEST(columns_stand_below_each_other),
		TEST(a_whole_answer_is_taken),
		TEST(a_broken_answer_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
