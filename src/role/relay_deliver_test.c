/* Whole attempts: a DNS server and next hops in threads, the relay's own code in a fiber. All hops of
 * a test listen on one port, each at its own loopback address, as MX hosts do. */
#include "role/relay_deliver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/log.h"
#include "cert/test_pki.h"
#include "cert/tls.h"
#include "conf/settings.h"
#include "dns/test_server.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "smtp/test_peer.h"

#define ADDRESS(last) "\0\4\177\0\0" last

static const struct dns_test_reply replies[] = {
	/* two.example: the first hop is 127.0.0.2, the second 127.0.0.3 */
	{"\3two\7example", DNS_MX, 0, 2, DNS_TEST_DATA("\0\7\0\12\2m2\300\14\0\7\0\24\2m3\300\14")},
	{"\2m2\3two\7example", DNS_A, 0, 1, DNS_TEST_DATA(ADDRESS("\2"))},
	{"\2m2\3two\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	{"\2m3\3two\7example", DNS_A, 0, 1, DNS_TEST_DATA(ADDRESS("\3"))},
	{"\2m3\3two\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	/* plain.example has no MX, only an address */
	{"\5plain\7example", DNS_A, 0, 1, DNS_TEST_DATA(ADDRESS("\2"))},
	{"\5plain\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	/* zero.example and zero6.example: the addresses that are none */
	{"\4zero\7example", DNS_A, 0, 1, DNS_TEST_DATA("\0\4\0\0\0\0")},
	{"\4zero\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	{"\5zero6\7example", DNS_AAAA, 0, 1, DNS_TEST_DATA("\0\20\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
	{"\5zero6\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	/* ours.example: we are its second host, and its third is worse than we */
	{"\4ours\7example", DNS_MX, 0, 3,
		DNS_TEST_DATA("\0\7\0\36\2m4\300\14\0\7\0\24\2me\300\14\0\7\0\12\2m2\300\14")},
	{"\2m2\4ours\7example", DNS_A, 0, 1, DNS_TEST_DATA(ADDRESS("\2"))},
	{"\2m4\4ours\7example", DNS_A, 0, 1, DNS_TEST_DATA(ADDRESS("\4"))},
	{"\2me\4ours\7example", DNS_A, 0, 1, DNS_TEST_DATA(ADDRESS("\11"))},
	{"\2m2\4ours\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	{"\2m4\4ours\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	{"\2me\4ours\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	/* loop.example: we are its best host, by name */
	{"\4loop\7example", DNS_MX, 0, 1, DNS_TEST_DATA("\0\22\0\12\6client\7example\0")},
	{"\6client\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	/* homeless.example: its host has no address */
	{"\10homeless\7example", DNS_MX, 0, 1, DNS_TEST_DATA("\0\6\0\12\2nx\0")},
	{"\2nx", DNS_TEST_ANY, DNS_NXDOMAIN, 0, DNS_TEST_DATA("")},
	{"\5empty\7example", DNS_TEST_ANY, 0, 0, DNS_TEST_DATA("")},
	{"\4null\7example", DNS_MX, 0, 1, DNS_TEST_DATA("\0\3\0\0\0")},
	{"\2nx\7example", DNS_TEST_ANY, DNS_NXDOMAIN, 0, DNS_TEST_DATA("")},
	{"\4fail\7example", DNS_TEST_ANY, DNS_SERVFAIL, 0, DNS_TEST_DATA("")},
};

static struct dns_test_server dns = {.replies = replies, .count = sizeof replies / sizeof *replies};

/* ---- the relay, without its process ---- */

static struct relay_means means;
static struct arena *arena;
static struct ask_deliver message;
static struct ask_deliver_answer answer;
static uint16_t port;

static const struct str small = {"Subject: x\r\n\r\nhello\r\n", 21};
static struct str body;

static int start(void **state)
{
	(void)state;
	log_open(-1, LOG_ERROR);
	loop_init();
	tls_init();
	dns_test_start(&dns);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	dns_test_stop(&dns);
	loop_done();
	return 0;
}

static void run(void (*fn)(void *))
{
	fiber_start("test", fn, NULL);
	loop_run();
}

static int setup(void **state)
{
	(void)state;
	struct err err;
	struct conf_addresses servers = {.at = &dns.address, .n = 1};
	arena = arena_new();
	body = small;
	means = (struct relay_means){.conf = conf_new(),
		.resolver = resolver_new(&servers, STR(""), &err),
		.pool = relay_pool_new(),
		.tls = relay_tls_new()};
	means.conf->hostname = STR("client.example");
	means.conf->relay_timeout_ms = 3000;
	means.conf->relay_connect_timeout_ms = 1000;
	means.conf->relay_idle_ms = 60000;
	means.conf->dns_timeout_ms = 5000;
	means.conf->listen_smtp = (struct conf_addresses){NULL, 0};
	return 0;
}

static void clear_pool(void *arg)
{
	(void)arg;
	relay_pool_clear(means.pool);
	fiber_sleep("for the pool's watcher to end", 1);
	loop_stop();
}

static int teardown(void **state)
{
	(void)state;
	run(clear_pool);
	resolver_drop(means.resolver);
	relay_pool_free(means.pool);
	relay_tls_free(means.tls);
	conf_drop(means.conf);
	arena_free(arena);
	return 0;
}

static void deliver_in_fiber(void *arg)
{
	(void)arg;
	relay_deliver(&means, &message, body, arena, &answer);
	loop_stop();
}

/* One attempt for `count` recipients r0@, r1@, … by the route given. */
static const struct recipient_result *deliver(struct route route, uint32_t count)
{
	static struct envelope_recipient to[10];
	for (uint32_t i = 0; i < count; i++)
		to[i].address = arena_fmt(arena, "r%u@x.example", i);
	route.port = port;
	message = (struct ask_deliver){
		.queue_id = 7, .prefix = STR("Received: here\r\n"), .body_size = body.n, .route = route};
	message.envelope = (struct envelope){
		.sender = STR("a@client.example"), .recipients = to, .recipient_count = count};
	run(deliver_in_fiber);
	assert_int_equal(answer.result_count, count);
	return answer.results;
}

static const struct recipient_result *deliver_by_mx(const char *domain, uint32_t count)
{
	return deliver((struct route){.domain = str_from_c(domain)}, count);
}

static bool recorded(enum record_event_kind kind, const char *text)
{
	struct record record;
	struct xfer x = xfer_reader(answer.record, arena);
	xfer_record(&x, &record);
	assert_true(xfer_done(&x));
	for (uint32_t i = 0; i < record.event_count; i++)
		if (record.events[i].kind == kind &&
			memmem(record.events[i].text.p, record.events[i].text.n, text, strlen(text)))
			return true;
	return false;
}

static void peers_start(struct peer *first, struct peer *second)
{
	peer_start(first, "127.0.0.2", 0);
	port = first->port;
	if (second)
		peer_start(second, "127.0.0.3", port);
}

static void peers_stop(struct peer *first, struct peer *second)
{
	run(clear_pool); /* or the peer would wait for the idle connection */
	peer_stop(first);
	peer_free(first);
	if (second) {
		peer_stop(second);
		peer_free(second);
	}
}

static void expect(const struct recipient_result *r, enum delivery outcome, const char *cause)
{
	if (r->outcome != outcome || !str_eq(r->cause, str_from_c(cause)))
		fail_msg("outcome %d cause %.*s: %.*s", r->outcome, STR_ARG(r->cause), STR_ARG(r->text));
}

/* ---- routes ---- */

static void by_mx(void **state)
{
	(void)state;
	struct peer first = {0}, second = {0};
	peers_start(&first, &second);
	const struct recipient_result *r = deliver_by_mx("two.example", 2);
	expect(&r[0], DELIVERY_DONE, "");
	expect(&r[1], DELIVERY_DONE, "");
	assert_string_equal(r[0].remote_host.p, "m2.two.example");
	assert_non_null(strstr(r[0].remote_address.p, "127.0.0.2:"));
	assert_int_equal(first.messages, 1);
	assert_int_equal(second.connections, 0);
	assert_true(recorded(EVENT_DNS, "10 m2.two.example"));
	assert_true(recorded(EVENT_DNS, "A m2.two.example: 127.0.0.2"));
	assert_true(recorded(EVENT_CONNECT, "127.0.0.2:"));
	peers_stop(&first, &second);
}

static void by_the_domain_itself(void **state)
{
	(void)state;
	struct peer first = {0};
	peers_start(&first, NULL);
	expect(&deliver_by_mx("plain.example", 1)[0], DELIVERY_DONE, "");
	assert_true(recorded(EVENT_NOTE, "the domain name itself is used"));
	peers_stop(&first, NULL);
}

static void by_address(void **state)
{
	(void)state;
	static const char *const hosts[] = {"127.0.0.2", "[127.0.0.2]", "m2.two.example"};
	struct peer first = {0};
	peers_start(&first, NULL);
	for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
		struct route route = {.domain = STR("x.example"), .host = str_from_c(hosts[i])};
		expect(&deliver(route, 1)[0], DELIVERY_DONE, "");
	}
	peers_stop(&first, NULL);
}

static void what_the_dns_says(void **state)
{
	(void)state;
	static const struct {
		const char *domain, *host;
		enum delivery outcome;
		const char *enhanced, *cause;
	} rows[] = {
		{"nx.example", "", DELIVERY_PERM, "5.1.2", "dns.no-domain"},
		{"null.example", "", DELIVERY_PERM, "5.1.10", "dns.null-mx"},
		{"empty.example", "", DELIVERY_PERM, "5.4.4", "dns.no-address"},
		{"homeless.example", "", DELIVERY_PERM, NULL, "dns.no-domain"},
		{"fail.example", "", DELIVERY_TEMP, "4.4.3", "dns.server-failed"},
		{"loop.example", "", DELIVERY_PERM, "5.4.6", "route.loop"},
		{"x.example", "nx.example", DELIVERY_TEMP, "4.1.2", "dns.no-domain"},
		{"x.example", "empty.example", DELIVERY_TEMP, "4.4.4", "dns.no-address"},
		{"silent.example", "", DELIVERY_TEMP, "4.4.3", "dns.timeout"},
	};
	port = 25;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!strcmp(rows[i].domain, "silent.example"))
			means.conf->dns_timeout_ms = 300;
		struct route route = {
			.domain = str_from_c(rows[i].domain), .host = str_from_c(rows[i].host)};
		const struct recipient_result *r = deliver(route, 1);
		expect(r, rows[i].outcome, rows[i].cause);
		if (rows[i].enhanced)
			assert_string_equal(r->enhanced.p, rows[i].enhanced);
		assert_true(recorded(EVENT_DNS, "the test's server"));
	}
}

/* We listen at 127.0.0.9: the host that is we and the one beyond are not tried. */
static void hosts_beyond_us(void **state)
{
	(void)state;
	struct peer first = {.rcpt = "450 4.2.0 later\r\n"}, worse = {0};
	struct conf_address ours = {0};
	peers_start(&first, NULL);
	peer_start(&worse, "127.0.0.4", port);
	ours.port = port;
	assert_true(ip_parse(STR("127.0.0.9"), &ours.ip));
	means.conf->listen_smtp = (struct conf_addresses){&ours, 1};
	expect(&deliver_by_mx("ours.example", 1)[0], DELIVERY_TEMP, "reply.temporary");
	assert_int_equal(first.connections, 1);
	assert_int_equal(worse.connections, 0);
	assert_true(recorded(EVENT_NOTE, "2 of 3 hosts are this server or no better than it"));
	/* A connector that leads to us is our own mistake: its mail waits. */
	struct route route = {.domain = STR("x.example"), .host = STR("127.0.0.9")};
	expect(&deliver(route, 1)[0], DELIVERY_TEMP, "route.loop");
	means.conf->listen_smtp = (struct conf_addresses){NULL, 0};
	peers_stop(&first, NULL);
	peer_stop(&worse);
	peer_free(&worse);
}

/* Who dials 0.0.0.0 or :: reaches himself. */
static void addresses_that_are_none(void **state)
{
	(void)state;
	struct conf_address ours = {.port = port = 25};
	means.conf->listen_smtp = (struct conf_addresses){&ours, 1};
	expect(&deliver_by_mx("zero.example", 1)[0], DELIVERY_PERM, "route.loop");
	assert_true(ip_parse(STR("::1"), &ours.ip));
	expect(&deliver_by_mx("zero6.example", 1)[0], DELIVERY_PERM, "route.loop");
	means.conf->listen_smtp = (struct conf_addresses){NULL, 0};
}

/* ---- from host to host ---- */

static void the_next_host_takes_what_the_first_could_not(void **state)
{
	(void)state;
	static const struct peer firsts[] = {
		{.greeting = "554 5.7.1 not from you\r\n"},
		{.greeting = "421 busy\r\n"},
		{.mail = "451 4.3.0 later\r\n"},
		{.rcpt = "450 4.2.0 greylisted\r\n"},
		{.data = "451 4.3.0 later\r\n"},
		{.end = "451 4.3.0 later\r\n"},
	};
	for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
		struct peer first = firsts[i], second = {0};
		peers_start(&first, &second);
		const struct recipient_result *r = deliver_by_mx("two.example", 1);
		expect(r, DELIVERY_DONE, "");
		assert_string_equal(r->remote_host.p, "m3.two.example");
		peers_stop(&first, &second);
	}
}

static void nobody_listens_at_the_first(void **state)
{
	(void)state;
	struct peer second = {0};
	peer_start(&second, "127.0.0.3", 0);
	port = second.port;
	expect(&deliver_by_mx("two.example", 1)[0], DELIVERY_DONE, "");
	assert_true(recorded(EVENT_ERROR, "Connection refused"));
	run(clear_pool);
	peer_stop(&second);
	peer_free(&second);
	const struct recipient_result *r = deliver_by_mx("two.example", 1);
	expect(r, DELIVERY_TEMP, "connect.refused");
	assert_string_equal(r->enhanced.p, "4.4.1");
	assert_int_equal(r->code, 0);
}

static void a_refusal_is_final(void **state)
{
	(void)state;
	struct peer first = {.refused = "r1@"}, second = {0};
	peers_start(&first, &second);
	const struct recipient_result *r = deliver_by_mx("two.example", 3);
	expect(&r[0], DELIVERY_DONE, "");
	expect(&r[1], DELIVERY_PERM, "reply.no-mailbox");
	expect(&r[2], DELIVERY_DONE, "");
	assert_int_equal(second.connections, 0);
	peers_stop(&first, &second);
}

static void what_may_have_arrived_is_not_sent_to_the_next_host(void **state)
{
	(void)state;
	struct peer first = {.hang_up_on_end = true}, second = {0};
	peers_start(&first, &second);
	const struct recipient_result *r = deliver_by_mx("two.example", 1);
	expect(r, DELIVERY_TEMP, "peer.dropped");
	assert_non_null(strstr(r->text.p, "may be sent more than once"));
	assert_int_equal(second.connections, 0);
	peers_stop(&first, &second);
}

static void a_reply_says_more_than_a_connection_refused(void **state)
{
	(void)state;
	struct peer first = {.rcpt = "450 4.2.0 greylisted\r\n"};
	peers_start(&first, NULL);
	const struct recipient_result *r = deliver_by_mx("two.example", 1);
	expect(r, DELIVERY_TEMP, "reply.temporary");
	assert_int_equal(r->code, 450);
	assert_true(recorded(EVENT_ERROR, "Connection refused"));
	peers_stop(&first, NULL);
}

static void a_silent_peer(void **state)
{
	(void)state;
	struct peer first = {.stay_silent = 1};
	peers_start(&first, NULL);
	means.conf->relay_timeout_ms = 200;
	struct route route = {.domain = STR("x.example"), .host = STR("127.0.0.2")};
	expect(&deliver(route, 1)[0], DELIVERY_TEMP, "peer.timeout");
	peers_stop(&first, NULL);
}

/* A reply that is there before its command was sent belongs to no command: taken for the next one's it
 * would refuse the wrong recipient, or call a message delivered that nobody read. */
static void replies_ahead_of_their_commands(void **state)
{
	(void)state;
	static const struct peer wishes[] = {
		{.greeting = "220 peer.example\r\n250 peer.example\r\n"},
		{.mail = "250 ok\r\n250 ok\r\n", .refused = "r0@"},
		{.rcpt = "250 ok\r\n250 ok\r\n"},
		{.data = "354 go\r\n250 queued\r\n"},
	};
	struct route route = {.domain = STR("x.example"), .host = STR("127.0.0.2")};
	for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
		struct peer first = wishes[i];
		peers_start(&first, NULL);
		const struct recipient_result *r = deliver(route, 2);
		expect(&r[0], DELIVERY_TEMP, "peer.protocol");
		expect(&r[1], DELIVERY_TEMP, "peer.protocol");
		assert_non_null(strstr(r[0].text.p, "before the command"));
		peers_stop(&first, NULL);
	}
}

/* ---- connections that are used again ---- */

static void one_connection_for_many_messages(void **state)
{
	(void)state;
	struct peer first = {0};
	peers_start(&first, NULL);
	for (int i = 0; i < 5; i++)
		expect(&deliver_by_mx("two.example", 1)[0], DELIVERY_DONE, "");
	assert_int_equal(first.connections, 1);
	assert_int_equal(first.messages, 5);
	assert_true(recorded(EVENT_CONNECT, "an open connection is used again"));
	/* Another name to be checked, another connection. */
	run(clear_pool);
	struct route route = {.domain = STR("x.example"), .host = STR("127.0.0.2")};
	expect(&deliver(route, 1)[0], DELIVERY_DONE, "");
	assert_int_equal(first.connections, 2);
	peers_stop(&first, NULL);
}

static void an_idle_connection_that_ended_is_replaced_in_silence(void **state)
{
	(void)state;
	struct peer first = {.hang_up = 1};
	peers_start(&first, NULL);
	for (int i = 0; i < 3; i++)
		expect(&deliver_by_mx("two.example", 1)[0], DELIVERY_DONE, "");
	assert_int_equal(first.connections, 3);
	assert_int_equal(first.messages, 3);
	assert_true(recorded(EVENT_NOTE, "the open connection had ended"));
	peers_stop(&first, NULL);
}

static void an_idle_connection_with_a_reply_too_many_is_replaced(void **state)
{
	(void)state;
	struct peer first = {.end = "250 2.0.0 queued\r\n250 ok\r\n"};
	peers_start(&first, NULL);
	for (int i = 0; i < 3; i++)
		expect(&deliver_by_mx("two.example", 1)[0], DELIVERY_DONE, "");
	assert_int_equal(first.connections, 3);
	assert_int_equal(first.messages, 3);
	peers_stop(&first, NULL);
}

static void wait_a_little(void *arg)
{
	(void)arg;
	fiber_sleep("for the pool to close what is idle", 200);
	loop_stop();
}

static void idle_connections_run_out(void **state)
{
	(void)state;
	struct peer first = {0};
	means.conf->relay_idle_ms = 50;
	peers_start(&first, NULL);
	expect(&deliver_by_mx("two.example", 1)[0], DELIVERY_DONE, "");
	run(wait_a_little);
	peer_stop(&first);
	assert_non_null(strstr(buf_c(&first.said), "QUIT"));
	peer_free(&first);
}

/* Larger than the pieces it is sent in, a dot at the start of each line. */
static void a_large_message(void **state)
{
	(void)state;
	enum { LINES = 50000 };
	static const char line[] = ".a line of fifty bytes, which begins with a dot.\r\n";
	struct peer first = {0};
	struct buf large, want;
	buf_init(&large, 8 * 1024 * 1024);
	buf_init(&want, 8 * 1024 * 1024);
	buf_add_c(&large, "Subject: x\r\n\r\n");
	buf_add_c(&want, "DATA\nReceived: here\nSubject: x\n\n");
	for (int i = 0; i < LINES; i++) {
		buf_add_c(&large, line);
		buf_addf(&want, ".%.*s\n", (int)sizeof line - 3, line);
	}
	body = buf_str(&large);
	peers_start(&first, NULL);
	expect(&deliver_by_mx("two.example", 1)[0], DELIVERY_DONE, "");
	assert_non_null(strstr(buf_c(&first.said), buf_c(&want)));
	peers_stop(&first, NULL);
	buf_done(&large);
	buf_done(&want);
}

/* ---- TLS ---- */

static void levels(void **state)
{
	(void)state;
	struct err err;
	struct pki_pair root = pki_make((struct pki_wish){.cn = "Root", .authority = true});
	struct pki_pair leaf =
		pki_make((struct pki_wish){.cn = "x", .san = "DNS:m2.two.example", .issuer = &root});
	struct buf anchors, chain;
	unsigned count = 0;
	buf_init(&anchors, 1 << 16);
	buf_init(&chain, 1 << 16);
	pki_add_pem(&anchors, &root);
	pki_add_pem(&chain, &leaf);
	struct route route = {.domain = STR("two.example"), .tls = TLS_VERIFY};
	struct peer first = {.tls = tls_server_context_with_key(buf_str(&chain), leaf.key, &err)};
	peers_start(&first, NULL);

	/* trust.store is empty, then it holds the root; a damaged one changes nothing. */
	const struct recipient_result *r = deliver(route, 1);
	expect(r, DELIVERY_TEMP, "tls.untrusted-root");
	assert_int_equal(relay_tls_trust(means.tls, buf_str(&anchors), &count, &err), 0);
	assert_int_equal(count, 1);
	means.trust_revision++;
	assert_int_equal(relay_tls_trust(means.tls,
						 STR("-----BEGIN CERTIFICATE-----\nx\n"
							 "-----END CERTIFICATE-----\n"),
						 &count, &err),
		-1);
	r = deliver(route, 1);
	expect(r, DELIVERY_DONE, "");
	assert_non_null(strstr(r->tls.p, " verified"));

	/* A connector's own anchors are the only ones that count for it. */
	struct pki_pair other = pki_make((struct pki_wish){.cn = "Other", .authority = true});
	struct buf stranger;
	buf_init(&stranger, 1 << 16);
	pki_add_pem(&stranger, &other);
	route.trust = buf_str(&stranger);
	expect(&deliver(route, 1)[0], DELIVERY_TEMP, "tls.untrusted-root");
	route.trust = buf_str(&anchors);
	expect(&deliver(route, 1)[0], DELIVERY_DONE, "");

	/* The name of the certificate does not fit: verify waits, may delivers. */
	route = (struct route){.domain = STR("x"), .host = STR("127.0.0.2"), .tls = TLS_VERIFY};
	expect(&deliver(route, 1)[0], DELIVERY_TEMP, "tls.name-mismatch");
	route.tls = TLS_MAY;
	r = deliver(route, 1);
	expect(r, DELIVERY_DONE, "");
	assert_non_null(strstr(r->tls.p, "not verified"));
	peers_stop(&first, NULL);
	pki_free(&root);
	pki_free(&leaf);
	pki_free(&other);
	buf_done(&anchors);
	buf_done(&chain);
	buf_done(&stranger);
}

static void a_broken_handshake(void **state)
{
	(void)state;
	struct route route = {.domain = STR("x"), .host = STR("127.0.0.2"), .tls = TLS_MAY};
	struct peer first = {.break_handshake = true};
	peers_start(&first, NULL);
	const struct recipient_result *r = deliver(route, 1);
	expect(r, DELIVERY_DONE, "");
	assert_string_equal(r->tls.p, "in clear: the TLS handshake failed on the connection before");
	assert_int_equal(first.connections, 2);
	assert_true(recorded(EVENT_ERROR, "TLS handshake with"));
	route.tls = TLS_ENCRYPT;
	expect(&deliver(route, 1)[0], DELIVERY_TEMP, "tls.handshake");
	assert_int_equal(first.messages, 1);
	peers_stop(&first, NULL);
}

/* ---- what is not sent at all ---- */

static void envelopes_that_would_break_a_command(void **state)
{
	(void)state;
	struct envelope_recipient to = {.address = STR("r@x.example")};
	const struct ask_deliver good = {
		.envelope = {.sender = STR("a@b"), .recipients = &to, .recipient_count = 1},
		.route = {.domain = STR("x.example"), .port = 25}};
	struct err err;
	assert_int_equal(relay_check_message(&good, &err), 0);
	struct ask_deliver bad = good;
	bad.envelope.sender = STR("a@b>\r\nRCPT TO:<c@d");
	assert_int_equal(relay_check_message(&bad, &err), -1);
	bad = good;
	bad.envelope.envid = STR("a b");
	assert_int_equal(relay_check_message(&bad, &err), -1);
	bad = good;
	bad.route.helo = STR("a\r\nb");
	assert_int_equal(relay_check_message(&bad, &err), -1);
	bad = good;
	bad.route.port = 0;
	assert_int_equal(relay_check_message(&bad, &err), -1);
	to.orcpt = STR("rfc822;a\n");
	assert_int_equal(relay_check_message(&good, &err), -1);
	to.orcpt = STR("");
	to.address = STR("r@x\r");
	assert_int_equal(relay_check_message(&good, &err), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(by_mx),
		TEST(by_the_domain_itself),
		TEST(by_address),
		TEST(what_the_dns_says),
		TEST(hosts_beyond_us),
		TEST(addresses_that_are_none),
		TEST(the_next_host_takes_what_the_first_could_not),
		TEST(nobody_listens_at_the_first),
		TEST(a_refusal_is_final),
		TEST(what_may_have_arrived_is_not_sent_to_the_next_host),
		TEST(a_reply_says_more_than_a_connection_refused),
		TEST(a_silent_peer),
		TEST(replies_ahead_of_their_commands),
		TEST(one_connection_for_many_messages),
		TEST(an_idle_connection_that_ended_is_replaced_in_silence),
		TEST(an_idle_connection_with_a_reply_too_many_is_replaced),
		TEST(idle_connections_run_out),
		TEST(a_large_message),
		TEST(levels),
		TEST(a_broken_handshake),
		TEST(envelopes_that_would_break_a_command),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
