#include "cert/name.h"

#include <setjmp.h> /* style: cmocka wants it */
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_names(void **state)
{
	static const struct {
		const char *presented, *host;
		bool fits;
	} table[] = {
		{"mx.example.org", "mx.example.org", true},
		{"MX.example.ORG", "mx.Example.org", true},
		{"mx.example.org", "mx.example.org.", true},
		{"mx.example.org", "mx.example.or", false},
		{"mx.example.org", "amx.example.org", false},
		{"example.org", "mx.example.org", false},
		{"*.example.org", "mx.example.org", true},
		{"*.Example.org", "MX.example.org.", true},
		{"*.example.org", "a.mx.example.org", false},
		{"*.example.org", "example.org", false},
		{"*.example.org", ".example.org", false},
		{"*.example.org", "*.example.org", true},
		{"*.org", "example.org", false},
		{"*", "example", false},
		{"*.", "example.", false},
		{"m*.example.org", "mx.example.org", false},
		{"*x.example.org", "mx.example.org", false},
		{"mx.*.org", "mx.example.org", false},
		{"*.*.org", "mx.example.org", false},
		{"*.xn--bcher-kva.example", "mx.xn--bcher-kva.example", true},
		{"", "", false},
		{"", "mx", false},
		{"mx", "", false},
		{"mx", ".", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (name_matches(str_from_c(table[i].presented), str_from_c(table[i].host)) !=
			table[i].fits)
			fail_msg("%s for %s", table[i].presented, table[i].host);
	/* A NUL ends nothing (CVE-2009-2408). */
	assert_false(name_matches(STR("mx.example.org\0.evil.example"), STR("mx.example.org")));
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} table[] = {
		{"192.0.2.1", 4},
		{"[192.0.2.1]", 4},
		{"2001:db8::1", 16},
		{"[2001:db8::1]", 16},
		{"[IPv6:2001:db8::1]", 16},
		{"192.0.2", 0},
		{"192.0.2.1.", 0},
		{"[192.0.2.1", 0},
		{"mx.example.org", 0},
		{"[]", 0},
		{"", 0},
		{"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct ip ip;
		size_t n = name_is_address(str_from_c(table[i].text), &ip) ? ip_bytes(&ip).n : 0;
		if (n != table[i].n)
			fail_msg("%s: %zu", table[i].text, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
