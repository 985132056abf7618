/* The resolver against a tiny DNS server on loopback, which answers by name. */
#include "dns/resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "dns/mx.h"
#include "dns/test_server.h"
#include "io/fiber.h"
#include "io/loop.h"

static const struct dns_test_reply replies[] = {
	{"\4good\7example", DNS_MX, 0, 2,
		DNS_TEST_DATA("\0\12\0\24\5other\300\14\0\13\0\12\6backup\300\21")},
	{"\4null\7example", DNS_MX, 0, 1, DNS_TEST_DATA("\0\3\0\0\0")},
	{"\2nx\7example", DNS_TEST_ANY, DNS_NXDOMAIN, 0, DNS_TEST_DATA("")},
	{"\4fail\7example", DNS_TEST_ANY, DNS_SERVFAIL, 0, DNS_TEST_DATA("")},
	{"\7refused\7example", DNS_TEST_ANY, DNS_REFUSED, 0, DNS_TEST_DATA("")},
	{"\5empty\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	{"\4host\7example", DNS_A, 0, 2, DNS_TEST_DATA("\0\4\300\0\2\1\0\4\300\0\2\2")},
	{"\4host\7example", DNS_AAAA, 0, 1,
		DNS_TEST_DATA("\0\20\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1")},
	{"\4mail\4test", DNS_A, 0, 1, DNS_TEST_DATA("\0\4\300\0\2\7")},
	{"\6signed\7example", DNS_A, 0, 1, DNS_TEST_DATA("\0\4\300\0\2\1")},
	{"\6signed\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
};

static struct dns_test_server server = {
	.replies = replies, .count = sizeof replies / sizeof *replies};

static int start_server(void **state)
{
	(void)state;
	dns_test_start(&server);
	loop_init();
	return 0;
}

static int stop_server(void **state)
{
	(void)state;
	dns_test_stop(&server);
	loop_done();
	return 0;
}

/* ---- asking in a fiber, from a test ---- */

static struct resolver *resolver;
static struct arena *arena;

static struct resolver *resolver_make(const char *anchors)
{
	struct conf_addresses servers = {.at = &server.address, .n = 1};
	struct err err;
	struct resolver *r = resolver_new(&servers, str_from_c(anchors), &err);
	if (!r)
		fail_msg("%s", err.log);
	return r;
}

static int setup(void **state)
{
	(void)state;
	arena = arena_new();
	resolver = resolver_make("");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	resolver_drop(resolver);
	arena_free(arena);
	return 0;
}

static void run(void (*fn)(void *))
{
	fiber_start("test", fn, NULL);
	loop_run();
}

static struct {
	const char *name;
	enum dns_type type;
	int64_t timeout_ms;
	struct dns_answer answer;
} asked;

static void ask_in_fiber(void *arg)
{
	(void)arg;
	dns_lookup(
		resolver, str_from_c(asked.name), asked.type, asked.timeout_ms, arena, &asked.answer);
	loop_stop();
}

static struct dns_answer *lookup(const char *name, enum dns_type type, int64_t timeout_ms)
{
	asked.name = name;
	asked.type = type;
	asked.timeout_ms = timeout_ms;
	run(ask_in_fiber);
	return &asked.answer;
}

enum { LONG = 20000 };

static void mail_exchangers(void **state)
{
	(void)state;
	struct dns_answer *a = lookup("good.example.", DNS_MX, LONG);
	assert_int_equal(a->outcome, DNS_FOUND);
	assert_false(a->secure);
	assert_string_equal(a->server.p, "the test's server");
	struct mx_list list = mx_sort(a, mx_random_kernel, NULL, arena);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.hosts[0].name.p, "backup.example");
	assert_string_equal(list.hosts[1].name.p, "other.good.example");
	a = lookup("null.example", DNS_MX, LONG);
	assert_true(mx_sort(a, mx_random_kernel, NULL, arena).null_mx);
}

static void what_there_is_not(void **state)
{
	(void)state;
	struct dns_answer *a = lookup("nx.example", DNS_MX, LONG);
	assert_int_equal(a->outcome, DNS_NO_NAME);
	assert_int_equal(a->rcode, DNS_NXDOMAIN);
	assert_int_equal(lookup("empty.example", DNS_MX, LONG)->outcome, DNS_NONE);
	assert_int_equal(lookup("not a name", DNS_MX, LONG)->outcome, DNS_NO_NAME);
	assert_int_equal(lookup("", DNS_MX, LONG)->outcome, DNS_NO_NAME);
}

static void failure_is_never_none(void **state)
{
	(void)state;
	struct dns_answer *a = lookup("fail.example", DNS_MX, LONG);
	assert_int_equal(a->outcome, DNS_FAILED);
	assert_int_equal(a->rcode, DNS_SERVFAIL);
	assert_true(a->why.n > 0);
	assert_int_equal(lookup("refused.example", DNS_MX, LONG)->outcome, DNS_FAILED);
}

static void private_zones_are_asked_of_our_servers(void **state)
{
	(void)state;
	assert_int_equal(lookup("mail.test", DNS_A, LONG)->outcome, DNS_FOUND);
}

static struct dns_host hosts[] = {{.name = {"host.example", 12}}, {.name = {"nx.example", 10}},
	{.name = {"bad name", 8}}, {.name = {"host.example", 12}}};

static void ask_for_addresses(void *arg)
{
	(void)arg;
	dns_addresses(resolver, hosts, sizeof hosts / sizeof *hosts, LONG, arena);
	loop_stop();
}

static void addresses_of_several_hosts(void **state)
{
	(void)state;
	run(ask_for_addresses);
	assert_int_equal(hosts[0].a.count, 2);
	assert_int_equal(hosts[0].aaaa.count, 1);
	assert_int_equal(hosts[1].a.outcome, DNS_NO_NAME);
	assert_int_equal(hosts[1].aaaa.outcome, DNS_NO_NAME);
	assert_int_equal(hosts[2].a.outcome, DNS_NO_NAME);
	assert_int_equal(hosts[3].a.count, 2);
}

static void our_own_deadline(void **state)
{
	(void)state;
	int64_t start = clock_steady_ms();
	struct dns_answer *a = lookup("silent.example", DNS_MX, 300);
	assert_int_equal(a->outcome, DNS_TIMEOUT);
	assert_in_range(clock_steady_ms() - start, 290, 2000);
	assert_in_range(a->ms, 290, 2000);
}

#define DS_OF_SIGNED                    \
	"signed.example. IN DS 12345 13 2 " \
	"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void tampering(void **state)
{
	(void)state;
	resolver_drop(resolver);
	resolver =
		resolver_make("; a comment\n\nsigned.example. IN DS 12345 13 2 "
					  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff ; x\n");
	struct dns_answer *a = lookup("signed.example", DNS_A, LONG);
	assert_int_equal(a->outcome, DNS_BOGUS);
	assert_int_equal(a->count, 0);
	assert_true(a->why.n > 0);
	assert_int_equal(lookup("host.example", DNS_A, LONG)->outcome, DNS_FOUND);
}

static void bad_anchors_are_refused(void **state)
{
	(void)state;
	struct conf_addresses servers = {.at = &server.address, .n = 1};
	struct err err;
	assert_null(resolver_new(&servers, STR("; first\n" DS_OF_SIGNED "\nnonsense\n"), &err));
	assert_string_equal(err.log, "dns.trust_anchor: line 3 is no DS or DNSKEY record");
}

/* Many at once, and the resolver is replaced while they wait. */
enum { CROWD = 50 };
static unsigned arrived;

static void one_of_many(void *arg)
{
	struct dns_answer answer;
	struct resolver *mine = resolver_hold(resolver);
	bool silent = arg != NULL;
	dns_lookup(mine, silent ? STR("silent.example") : STR("host.example"), DNS_A,
		silent ? 200 : LONG, arena, &answer);
	assert_int_equal(answer.outcome, silent ? DNS_TIMEOUT : DNS_FOUND);
	resolver_drop(mine);
	if (++arrived == CROWD)
		loop_stop();
}

static void replace(void *arg)
{
	(void)arg;
	struct resolver *old = resolver;
	resolver = resolver_make("");
	resolver_drop(old);
}

static void replaced_while_many_wait(void **state)
{
	(void)state;
	arrived = 0;
	for (int i = 0; i < CROWD; i++) {
		fiber_start("one", one_of_many, i % 2 ? &arrived : NULL);
		if (i % 10 == 5)
			fiber_start("replace", replace, NULL);
	}
	loop_run();
	assert_int_equal(arrived, CROWD);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mail_exchangers),
		TEST(what_there_is_not),
		TEST(failure_is_never_none),
		TEST(private_zones_are_asked_of_our_servers),
		TEST(addresses_of_several_hosts),
		TEST(tampering),
		TEST(bad_anchors_are_refused),
		TEST(our_own_deadline),
		TEST(replaced_while_many_wait),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
