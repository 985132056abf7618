#include "wire/host_port.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_parts(void **state)
{
	/* NULL: refused. */
	static const struct {
		const char *text, *host, *port;
	} rows[] = {
		{"mail.example.org:25", "mail.example.org", "25"},
		{"mail.example.org", "mail.example.org", ""},
		{"192.0.2.1:x", "192.0.2.1", "x"},
		{"[2001:db8::1]:25", "2001:db8::1", "25"},
		{"[2001:db8::1]", "2001:db8::1", ""},
		{"2001:db8::1", "2001:db8::1", ""},
		{"a:25:26", "a:25:26", ""},
		{"[a]:25:26", "a", "25:26"},
		{":25", "", "25"},
		{"[]:25", "", "25"},
		{"", "", ""},
		{"a]:25", "a]", "25"},
		{"[", NULL, NULL},
		{"[::1", NULL, NULL},
		{"[::1]25", NULL, NULL},
		{"[::1]:", NULL, NULL},
		{"a:", NULL, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str host = STR("kept"), port = STR("kept");
		assert_int_equal(
			host_port_split(str_from_c(rows[i].text), &host, &port), rows[i].host != NULL);
		assert_true(str_eq(host, rows[i].host ? str_from_c(rows[i].host) : STR("kept")));
		assert_true(str_eq(port, rows[i].host ? str_from_c(rows[i].port) : STR("kept")));
	}
}

static void test_ports(void **state)
{
	static const char *const bad[] = {
		"", "0", "65536", "-1", "+1", "1 ", "x", "99999999999999999999"};
	uint16_t port = 7;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(port_parse(str_from_c(bad[i]), &port));
	assert_int_equal(port, 7);
	assert_true(port_parse(STR("1"), &port));
	assert_int_equal(port, 1);
	assert_true(port_parse(STR("65535"), &port));
	assert_int_equal(port, 65535);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_ports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
