#include "wire/domain_name.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LABEL_63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz01234567890"
#define NAME_192 LABEL_63 "." LABEL_63 "." LABEL_63 "."

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool ok, dns_ok;
	} rows[] = {
		{"example.org", true, true},
		{"EXAMPLE.ORG", true, true},
		{"localhost", true, true},
		{"a", true, true},
		{"3com.com", true, true},
		{"xn--mnchen-3ya.example", true, true},
		{"a--b.example", true, true},
		{LABEL_63 ".example", true, true},
		{LABEL_63 "x.example", false, false},
		{NAME_192 "abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz12345678", true, true},
		{NAME_192 "abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz123456789", false, false},
		{"", false, false},
		{".", false, false},
		{".example", false, false},
		{"example.", false, false},
		{"a..b", false, false},
		{"-a.example", false, false},
		{"a-.example", false, false},
		{"a b", false, false},
		{"a\tb", false, false},
		{"m\xc3\xbcnchen.example", false, false},
		{"_dmarc.example.org", false, true},
		{"a_b", false, true},
		{"[192.0.2.1]", false, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str name = str_from_c(rows[i].name);
		assert_int_equal(domain_name_ok(name), rows[i].ok);
		assert_int_equal(domain_name_dns_ok(name), rows[i].dns_ok);
	}
	assert_false(domain_name_ok(str_make("a\0b", 3)));
}

static void test_dot_at_the_end(void **state)
{
	(void)state;
	assert_true(str_eq(domain_name_trim_dot(STR("example.org.")), STR("example.org")));
	assert_true(str_eq(domain_name_trim_dot(STR("example.org")), STR("example.org")));
	assert_int_equal(domain_name_trim_dot(STR("")).n, 0);
	assert_true(domain_name_eq(STR("Example.org."), STR("example.ORG")));
	assert_false(domain_name_eq(STR("example.org"), STR("example.org..")));
	assert_false(domain_name_eq(STR("example.org"), STR("example.or")));
}

static void test_mistyped_addresses(void **state)
{
	(void)state;
	assert_true(domain_name_ends_in_number(STR("192.0.2.256")));
	assert_true(domain_name_ends_in_number(STR("example.123456789012345678901234567890")));
	assert_true(domain_name_ends_in_number(STR("7")));
	assert_false(domain_name_ends_in_number(STR("7.example")));
	assert_false(domain_name_ends_in_number(STR("example.7a")));
	assert_false(domain_name_ends_in_number(STR("example.")));
	assert_false(domain_name_ends_in_number(STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_dot_at_the_end),
		cmocka_unit_test(test_mistyped_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
