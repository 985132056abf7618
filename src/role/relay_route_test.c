#include "role/relay_route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct ip ip(const char *text)
{
	struct ip ret;
	assert_true(ip_parse(str_from_c(text), &ret));
	return ret;
}

static struct conf_address listening(const char *address, uint16_t port)
{
	return (struct conf_address){.ip = ip(address), .port = port, .text = str_from_c(address)};
}

static void addresses_we_listen_on(void **state)
{
	(void)state;
	static const struct {
		const char *listening;
		const char *ip;
		uint16_t port;
		bool of_this_machine, ours;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1", 25, true, true},
		{"192.0.2.1", "192.0.2.1", 25, false, true},
		{"192.0.2.1", "192.0.2.1", 2525, true, false},
		{"192.0.2.1", "192.0.2.2", 25, true, false},
		{"0.0.0.0", "192.0.2.2", 25, true, true},
		{"0.0.0.0", "192.0.2.2", 25, false, false},
		{"0.0.0.0", "192.0.2.2", 26, true, false},
		{"0.0.0.0", "2001:db8::1", 25, true, false},
		{"::", "2001:db8::1", 25, true, true},
		{"::", "192.0.2.1", 25, true, true},
		{"::", "192.0.2.1", 25, false, false},
		{"2001:db8::1", "2001:db8::1", 25, false, true},
		{"2001:db8::1", "2001:db8::2", 25, true, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct conf_address at[] = {
			listening("198.51.100.1", 25), listening(rows[i].listening, 25)};
		struct conf_addresses list = {at, 2};
		struct ip asked = ip(rows[i].ip);
		if (relay_address_is_ours(&list, &asked, rows[i].port, rows[i].of_this_machine) !=
			rows[i].ours)
			fail_msg("row %zu: %s for %s", i, rows[i].listening, rows[i].ip);
	}
	struct conf_addresses nowhere = {NULL, 0};
	struct ip any = ip("192.0.2.1");
	assert_false(relay_address_is_ours(&nowhere, &any, 25, true));
}

static void hosts_at_our_preference_and_beyond_are_left_out(void **state)
{
	(void)state;
	static const struct {
		uint16_t preferences[4];
		bool ours[4];
		size_t left;
	} rows[] = {
		{{10, 20, 20, 30}, {false, false, false, false}, 4},
		{{10, 20, 20, 30}, {true, false, false, false}, 0},
		{{10, 20, 20, 30}, {false, true, false, false}, 1},
		/* a host of the same preference, tried before us by chance, is left out too */
		{{10, 20, 20, 30}, {false, false, true, false}, 1},
		{{10, 20, 20, 30}, {false, false, false, true}, 3},
		{{10, 10, 10, 10}, {false, false, false, true}, 0},
		{{10, 20, 30, 40}, {false, true, false, true}, 1},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct relay_host hosts[4] = {{0}};
		for (int k = 0; k < 4; k++) {
			hosts[k].preference = rows[i].preferences[k];
			hosts[k].ours = rows[i].ours[k];
		}
		assert_int_equal(relay_hosts_before_us(hosts, 4), rows[i].left);
	}
	assert_int_equal(relay_hosts_before_us(NULL, 0), 0);
}

static void what_a_failed_question_means(void **state)
{
	(void)state;
	static const struct {
		enum dns_outcome answer;
		bool definite;
		enum delivery outcome;
		const char *enhanced, *cause;
	} rows[] = {
		{DNS_NO_NAME, true, DELIVERY_PERM, "5.1.2", "dns.no-domain"},
		{DNS_NO_NAME, false, DELIVERY_TEMP, "4.1.2", "dns.no-domain"},
		{DNS_NONE, true, DELIVERY_PERM, "5.4.4", "dns.no-address"},
		{DNS_NONE, false, DELIVERY_TEMP, "4.4.4", "dns.no-address"},
		{DNS_FAILED, true, DELIVERY_TEMP, "4.4.3", "dns.server-failed"},
		{DNS_TIMEOUT, true, DELIVERY_TEMP, "4.4.3", "dns.timeout"},
		{DNS_BOGUS, true, DELIVERY_TEMP, "4.4.3", "dns.bogus"},
	};
	struct arena *arena = arena_new();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct dns_answer answer = {
			.outcome = rows[i].answer, .rcode = DNS_SERVFAIL, .server = STR("192.0.2.53:53")};
		struct smtp_failure f =
			relay_dns_failure(STR("mx.example"), &answer, rows[i].definite, arena);
		assert_int_equal(f.outcome, rows[i].outcome);
		assert_string_equal(f.enhanced.p, rows[i].enhanced);
		assert_string_equal(f.cause.p, rows[i].cause);
		assert_non_null(strstr(f.text.p, "mx.example"));
		assert_non_null(strstr(f.text.p, "192.0.2.53:53"));
	}
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_we_listen_on),
		cmocka_unit_test(hosts_at_our_preference_and_beyond_are_left_out),
		cmocka_unit_test(what_a_failed_question_means),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
