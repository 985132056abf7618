/* Unit tests of the base folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <time.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hex.h"
#include "base/id.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/meter.h"
#include "base/utf8.h"
#include "base/vec.h"

static void str_compares(void **state)
{
	(void)state;
	assert_true(str_eq(STR("abc"), STR("abc")));
	assert_false(str_eq(STR("abc"), STR("abC")));
	assert_true(str_eq_nocase(STR("EHLO"), STR("ehlo")));
	assert_false(str_eq_nocase(STR("EHLO"), STR("ehlo ")));
	assert_true(str_eq_const_time(STR("secret"), STR("secret")));
	assert_false(str_eq_const_time(STR("secret"), STR("secreT")));
	assert_true(str_starts_nocase(STR("Mail From:<>"), STR("MAIL FROM:")));
	assert_true(str_ends_nocase(STR("a.EXAMPLE"), STR(".example")));
	assert_false(str_ends_nocase(STR("e"), STR(".example")));
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_int_equal(str_cmp(STR(""), STR("")), 0);
}

static void str_cuts(void **state)
{
	(void)state;
	struct str rest = STR("a,,b"), part;
	int n = 0;
	const char *expected[] = {"a", "", "b"};
	while (str_split(&rest, ',', &part))
		assert_true(str_eq(part, str_from_c(expected[n++])));
	assert_int_equal(n, 3);
	assert_true(str_eq(str_trim(STR(" \t x y\r\n")), STR("x y")));
	assert_true(str_eq(str_skip(STR("abc"), 9), STR("")));
	assert_true(str_eq(str_take(STR("abc"), 2), STR("ab")));
	char small[4];
	assert_string_equal(str_to_c(STR("abcdef"), small, sizeof small), "abc");
}

static void str_knows_characters(void **state)
{
	(void)state;
	assert_true(str_is_print(STR("a b~")) && str_is_print(STR("")));
	assert_false(
		str_is_print(STR("a\tb")) || str_is_print(STR("\x7f")) || str_is_print(STR("\xc3")));
	assert_true(str_is_graph(STR("!a~")) && str_is_graph(STR("")));
	assert_false(str_is_graph(STR("a b")) || str_is_graph(STR("a\n")));
	char lower[] = "A.Z[\xc4";
	assert_true(str_eq(str_lower(str_from_c(lower), lower), STR("a.z[\xc4")));
	char forged[] = "a\r\nb\0c\x7f \xc3\xbc";
	ascii_clean(forged, sizeof forged - 1);
	assert_string_equal(forged, "a??b?c? \xc3\xbc");
}

static void utf8_is_judged(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t n;
	} rows[] = {
		{"a", 1},
		{"\xc3\xbc", 2},
		{"\xe2\x82\xac", 3},
		{"\xf0\x9f\x92\x8c", 4},
		{"\xf4\x8f\xbf\xbf", 4}, /* the last one, U+10FFFF */
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xc1\xbf", 0}, /* overlong forms of two, three, four bytes */
		{"\xe0\x9f\xbf", 0},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xed\x9f\xbf", 3},
		{"\xed\xa0\x80", 0}, /* a surrogate */
		{"\x80", 0},
		{"\xc3", 0},
		{"\xc3(", 0},
		{"\xe2\x82", 0},
		{"\xe2\x82(", 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(utf8_length(str_from_c(rows[i].text)), rows[i].n);
}

static void hex_is_written_and_known(void **state)
{
	(void)state;
	char text[9];
	assert_string_equal(hex_format("\x00\x7f\xff\x1a", 4, text), "007fff1a");
	assert_true(hex_ok(str_from_c(text), 4));
	assert_false(hex_ok(str_from_c(text), 3) || hex_ok(str_from_c(text), 5));
	assert_false(hex_ok(STR("0A"), 1) || hex_ok(STR("0g"), 1) || hex_ok(STR("0"), 1));
}

static void str_reads_numbers(void **state)
{
	(void)state;
	uint64_t v = 7;
	assert_true(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	const char *bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616", "1e3"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(str_to_u64(str_from_c(bad[i]), UINT64_MAX, &v));
	assert_false(str_to_u64(STR("101"), 100, &v));
	assert_true(str_is_number(STR("0")) && str_is_number(STR("99999999999999999999999999")));
	assert_false(str_is_number(STR("")) || str_is_number(STR("1 ")) || str_is_number(STR("-1")));
	assert_true(v == UINT64_MAX); /* untouched */
}

static void buf_stays_within_its_maximum(void **state)
{
	(void)state;
	struct buf b;
	buf_init(&b, 5);
	assert_null(b.p);
	assert_true(buf_add(&b, STR("abc")));
	assert_false(buf_add(&b, STR("def")));
	assert_true(b.overflow);
	assert_false(buf_add(&b, STR("x"))); /* once over, nothing fits any more */
	assert_string_equal(buf_c(&b), "abc");
	buf_clear(&b);
	assert_true(buf_addf(&b, "%d", 12345));
	assert_string_equal(buf_c(&b), "12345");
	buf_consume(&b, 3);
	assert_true(str_eq(buf_str(&b), STR("45")));
	buf_done(&b);
	assert_null(b.p);
}

static int ended;
static void note_end(void *arg)
{
	ended = ended * 10 + *(int *)arg;
}

static void arena_ends_what_was_tied_to_it(void **state)
{
	(void)state;
	static int one = 1, two = 2;
	struct arena *a = arena_new();
	arena_on_done(a, note_end, &one);
	arena_on_done(a, note_end, &two);
	for (int i = 0; i < 1000; i++) {
		char *p = arena_alloc(a, (size_t)i);
		memset(p, 'x', (size_t)i);
		assert_int_equal((uintptr_t)p % 16, 0);
	}
	assert_true(str_eq(arena_fmt(a, "%s-%d", "a", 7), STR("a-7")));
	arena_free(a);
	assert_int_equal(ended, 21); /* last tied first */
	arena_free(NULL);
}

static void map_holds_what_was_put(void **state)
{
	(void)state;
	struct map *m = map_new();
	char key[16];
	static int values[5000];
	for (int i = 0; i < 5000; i++) {
		int n = snprintf(key, sizeof key, "k%d", i);
		assert_null(map_put(m, str_make(key, (size_t)n), &values[i]));
	}
	for (int i = 0; i < 5000; i += 2) {
		int n = snprintf(key, sizeof key, "k%d", i);
		assert_ptr_equal(map_remove(m, str_make(key, (size_t)n)), &values[i]);
	}
	assert_int_equal(map_count(m), 2500);
	for (int i = 0; i < 5000; i++) {
		int n = snprintf(key, sizeof key, "k%d", i);
		assert_ptr_equal(map_get(m, str_make(key, (size_t)n)), i % 2 ? &values[i] : NULL);
	}
	size_t at = 0, seen = 0;
	struct str k;
	void *v;
	while (map_next(m, &at, &k, &v))
		seen++;
	assert_int_equal(seen, 2500);
	/* Many rounds of put and remove must not grow it for ever. */
	for (int i = 0; i < 100000; i++) {
		int n = snprintf(key, sizeof key, "r%d", i);
		map_put(m, str_make(key, (size_t)n), &values[0]);
		map_remove(m, str_make(key, (size_t)n));
	}
	assert_int_equal(map_count(m), 2500);
	map_free(m, NULL);
}

static void vec_adds_and_removes(void **state)
{
	(void)state;
	struct vec v;
	vec_init(&v, sizeof(int));
	for (int i = 0; i < 20; i++)
		vec_add(&v, &i);
	vec_remove(&v, 0);
	assert_int_equal(*(int *)vec_at(&v, 0), 1);
	assert_int_equal(v.n, 19);
	assert_int_equal(*(int *)vec_add(&v, NULL), 0);
	vec_done(&v);
}

static void clock_writes_dates(void **state)
{
	(void)state;
	char text[CLOCK_TEXT];
	assert_string_equal(clock_rfc3339(1795288413123, text), "2026-11-21T19:13:33.123Z");
	const int64_t step = (int64_t)37 * 3600 * 1000 + 123456;
	for (int64_t ms = 0; ms < INT64_C(13569465600000); ms += step) { /* to 2400 */
		time_t seconds = (time_t)(ms / 1000);
		char want[CLOCK_TEXT];
		struct tm tm;
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.", gmtime_r(&seconds, &tm));
		assert_memory_equal(clock_rfc3339(ms, text), want, strlen(want));
	}
	assert_string_equal(clock_rfc3339(INT64_C(253402300799999), text), "9999-12-31T23:59:59.999Z");
	assert_string_equal(clock_rfc3339(951782400001, text), "2000-02-29T00:00:00.001Z");
	assert_string_equal(clock_rfc5322(1795288413123, text), "Sat, 21 Nov 2026 19:13:33 +0000");
	clock_set_wall_ms(5);
	assert_int_equal(clock_wall_ms(), 5);
	clock_set_wall_ms(-1);
	assert_true(clock_wall_ms() > 1700000000000);
}

static void meters_are(struct meter *m, int64_t ms, uint64_t second, uint64_t minute, uint64_t five)
{
	struct meter_sums sums = meter_read(m, ms);
	assert_int_equal(sums.second, second);
	assert_int_equal(sums.minute, minute);
	assert_int_equal(sums.minutes5, five);
}

static void meters_forget_in_time(void **state)
{
	(void)state;
	struct meter m = {0};
	const int64_t start = 1000 * 1000 * 1000;
	meters_are(&m, start, 0, 0, 0);
	meter_add(&m, 3, start);
	meter_add(&m, 2, start + 999);
	meters_are(&m, start + 999, 0, 0, 0); /* this second is not over */
	meters_are(&m, start + 1000, 5, 5, 5);
	meter_add(&m, 7, start + 2500);
	meters_are(&m, start + 2999, 0, 5, 5);
	meters_are(&m, start + 3000, 7, 12, 12);
	meters_are(&m, start + 60999, 0, 12, 12);
	meters_are(&m, start + 61000, 0, 7, 12);
	meters_are(&m, start + 300999, 0, 0, 12);
	meters_are(&m, start + 301000, 0, 0, 7);
	meters_are(&m, start + 303000, 0, 0, 0);
	meter_add(&m, 1, start + 900 * 1000);
	meters_are(&m, start + 901 * 1000, 1, 1, 1);
	meters_are(&m, INT64_MAX, 0, 0, 0);
	assert_int_equal(meter_read(&m, INT64_MAX).total, 13);
}

static void ids_sort_by_age_and_read_back(void **state)
{
	(void)state;
	char text[ID_TEXT], later[ID_TEXT];
	clock_set_wall_ms(1795288413123);
	uint64_t id = id_make(), back;
	clock_set_wall_ms(1795288413124);
	id_format(id_make(), later);
	clock_set_wall_ms(-1);
	id_format(id, text);
	assert_true(strcmp(text, later) < 0);
	assert_true(id_parse(str_from_c(text), &back));
	assert_true(back == id);
	assert_int_equal(id_time_ms(id), 1795288413123);
	assert_false(id_parse(STR("ZZZZZZZZZZZZZ"), &back)); /* more than 64 bits */
	assert_false(id_parse(STR("01"), &back));
	assert_false(id_parse(STR("0000000000U00"), &back));
}

static void err_knows_two_readers(void **state)
{
	(void)state;
	struct err e;
	assert_int_equal(err_temp(&e, "try later", "disk %s", "sda"), -1);
	assert_int_equal(e.kind, ERR_TEMP);
	assert_string_equal(e.peer, "try later");
	assert_string_equal(e.log, "disk sda");
	assert_int_equal(err_full(&e, "disk %s", "sda"), -1);
	assert_int_equal(e.kind, ERR_FULL);
	assert_string_equal(e.peer, "insufficient system storage");
	err_say(&e, "both");
	assert_string_equal(e.peer, "both");
	err_say(&e, "block \"%s\"", "\033[2J\r\n");
	assert_string_equal(e.log, "block \"?[2J??\"");
	assert_string_equal(e.peer, e.log);
	assert_int_equal(err_perm(NULL, NULL, "nobody listens"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(str_compares),
		cmocka_unit_test(str_cuts),
		cmocka_unit_test(str_knows_characters),
		cmocka_unit_test(utf8_is_judged),
		cmocka_unit_test(hex_is_written_and_known),
		cmocka_unit_test(str_reads_numbers),
		cmocka_unit_test(buf_stays_within_its_maximum),
		cmocka_unit_test(arena_ends_what_was_tied_to_it),
		cmocka_unit_test(map_holds_what_was_put),
		cmocka_unit_test(vec_adds_and_removes),
		cmocka_unit_test(clock_writes_dates),
		cmocka_unit_test(meters_forget_in_time),
		cmocka_unit_test(ids_sort_by_age_and_read_back),
		cmocka_unit_test(err_knows_two_readers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
