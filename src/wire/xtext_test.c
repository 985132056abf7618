#include "wire/xtext.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_decode(void **state)
{
	static const struct {
		const char *xtext, *text; /* text NULL: refused */
		bool printable;
	} rows[] = {
		{"", "", true},
		{"abc@example.org", "abc@example.org", true},
		{"a+2Bb+3Dc", "a+b=c", true},
		{"a+20b", "a b", true},
		{"+0D+0A", "\r\n", false},
		{"+FF", "\xff", false},
		{"+2b", NULL, false},
		{"+2", NULL, false},
		{"+", NULL, false},
		{"+GG", NULL, false},
		{"a=b", NULL, false},
		{"a b", NULL, false},
		{"a\x7f", NULL, false},
		{"\xc3\xbc", NULL, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str s = str_from_c(rows[i].xtext);
		struct buf out;
		buf_init(&out, 100);
		assert_int_equal(xtext_ok(s), rows[i].text != NULL);
		assert_int_equal(xtext_printable(s), rows[i].printable);
		assert_int_equal(xtext_decode(s, &out), rows[i].text != NULL);
		assert_string_equal(buf_c(&out), rows[i].text ? rows[i].text : "");
		buf_done(&out);
	}
}

static void test_all_bytes_come_back(void **state)
{
	char all[256];
	struct buf encoded, decoded;
	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	buf_init(&encoded, 1000);
	buf_init(&decoded, 1000);
	assert_true(xtext_encode(str_make(all, 256), &encoded));
	assert_true(xtext_decode(buf_str(&encoded), &decoded));
	assert_true(str_eq(buf_str(&decoded), str_make(all, 256)));
	buf_done(&encoded);
	buf_done(&decoded);
}

static void test_full_buffer(void **state)
{
	struct buf out;
	(void)state;
	buf_init(&out, 3);
	assert_false(xtext_decode(STR("abcd"), &out));
	assert_int_equal(out.n, 0);
	assert_false(xtext_encode(STR("a=b"), &out));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_all_bytes_come_back),
		cmocka_unit_test(test_full_buffer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
