#include "wire/enhanced.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_codes(void **state)
{
	static const struct {
		const char *text;
		enum parse result;
		const char *code, *rest;
	} rows[] = {
		{"5.1.1 no such user", PARSE_DONE, "5.1.1", " no such user"},
		{"2.0.0", PARSE_DONE, "2.0.0", ""},
		{"4.123.999\tx", PARSE_DONE, "4.123.999", "\tx"},
		{"", PARSE_MORE, NULL, NULL},
		{"5", PARSE_MORE, NULL, NULL},
		{"5.", PARSE_MORE, NULL, NULL},
		{"5.1", PARSE_MORE, NULL, NULL},
		{"5.1.", PARSE_MORE, NULL, NULL},
		{"5 1 1", PARSE_BAD, NULL, NULL},
		{"5.1 x", PARSE_BAD, NULL, NULL},
		{"5..1", PARSE_BAD, NULL, NULL},
		{"5.1.x", PARSE_BAD, NULL, NULL},
		{"5.1.1.1", PARSE_BAD, NULL, NULL},
		{"5.1.1x", PARSE_BAD, NULL, NULL},
		{"5.1234.1", PARSE_BAD, NULL, NULL},
		{"5.1.1234", PARSE_BAD, NULL, NULL},
		{"1.1.1", PARSE_BAD, NULL, NULL},
		{"3.1.1", PARSE_BAD, NULL, NULL},
		{"55.1.1", PARSE_BAD, NULL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str at = str_from_c(rows[i].text);
		struct str code = STR("untouched");
		assert_int_equal(enhanced_code(&at, &code), rows[i].result);
		bool done = rows[i].result == PARSE_DONE;
		assert_true(str_eq(code, str_from_c(done ? rows[i].code : "untouched")));
		assert_true(str_eq(at, str_from_c(done ? rows[i].rest : rows[i].text)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_codes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
