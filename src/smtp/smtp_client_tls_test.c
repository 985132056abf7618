/* STARTTLS of the client against a peer in a thread: levels, verdicts, broken handshakes. */
#include "smtp/smtp_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cert/test_pki.h"
#include "cert/tls.h"
#include "conf/settings.h"
#include "smtp/test_peer.h"

/* ---- a world with one authority, and another that nobody trusts ---- */

static struct {
	struct pki_pair root, stranger;
	struct buf anchors;
} world;

static int make_world(void **state)
{
	(void)state;
	tls_init();
	world.root = pki_make((struct pki_wish){.cn = "Root", .authority = true});
	world.stranger = pki_make((struct pki_wish){.cn = "Stranger", .authority = true});
	buf_init(&world.anchors, 1 << 16);
	pki_add_pem(&world.anchors, &world.root);
	return 0;
}

static int free_world(void **state)
{
	(void)state;
	pki_free(&world.root);
	pki_free(&world.stranger);
	buf_done(&world.anchors);
	return 0;
}

static SSL_CTX *server_context(struct pki_wish wish, const struct pki_pair *chain)
{
	struct err err;
	struct buf pem;
	buf_init(&pem, 1 << 16);
	struct pki_pair leaf = pki_make(wish);
	pki_add_pem(&pem, &leaf);
	if (chain)
		pki_add_pem(&pem, chain);
	SSL_CTX *ctx = tls_server_context_with_key(buf_str(&pem), leaf.key, &err);
	assert_non_null(ctx);
	pki_free(&leaf);
	buf_done(&pem);
	return ctx;
}

static SSL_CTX *good_server(void)
{
	return server_context(
		(struct pki_wish){.cn = "x", .san = "DNS:mx.example", .issuer = &world.root}, NULL);
}

/* ---- a session with it ---- */

struct session {
	struct arena *arena;
	struct conf *conf;
	struct record *record;
	struct smtp_client *client;
	struct smtp_failure failure;
	SSL_CTX *ctx;
};

static int64_t opening_ms; /* 0: no limit */

static struct session session_open(
	const struct peer *peer, enum tls_level level, const char *sni, bool in_clear)
{
	struct session s = {.arena = arena_new(), .conf = conf_new()};
	struct err err;
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(peer->port)};
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s.conf->hostname = STR("client.example");
	s.conf->relay_timeout_ms = 5000;
	s.record = record_new(s.arena, RECORD_ATTEMPT, STR("x.example"));
	s.ctx =
		tls_client_context(level, level == TLS_VERIFY ? buf_str(&world.anchors) : STR(""), &err);
	struct smtp_target target = {.host = STR("mx.example"),
		.address = STR("127.0.0.1:25"),
		.sni = str_from_c(sni),
		.tls = level,
		.tls_ctx = s.ctx,
		.until_ms = opening_ms ? clock_steady_ms() + opening_ms : 0,
		.in_clear = in_clear};
	struct stream *stream = stream_connect((struct sockaddr *)&sa, sizeof sa, 1000, &err);
	assert_non_null(stream);
	s.client = smtp_client_open(stream, &target, s.conf, s.record, s.arena, &s.failure);
	return s;
}

static void session_close(struct session *s)
{
	smtp_client_close(s->client);
	SSL_CTX_free(s->ctx);
	conf_drop(s->conf);
	arena_free(s->arena);
}

static bool contains(struct str s, const char *part)
{
	return memmem(s.p, s.n, part, strlen(part));
}

static bool recorded(const struct session *s, enum record_event_kind kind, const char *text)
{
	for (uint32_t i = 0; i < s->record->event_count; i++)
		if (s->record->events[i].kind == kind && contains(s->record->events[i].text, text))
			return true;
	return false;
}

static void verified(void **state)
{
	(void)state;
	struct peer peer = {.tls = good_server()};
	peer_start(&peer, "127.0.0.1", 0);
	struct session s = session_open(&peer, TLS_VERIFY, "", false);
	assert_non_null(s.client);
	assert_true(contains(smtp_client_tls(s.client), "TLSv1.3"));
	assert_true(contains(smtp_client_tls(s.client), " verified"));
	assert_true(recorded(&s, EVENT_TLS, "sni=mx.example"));
	assert_true(recorded(&s, EVENT_CERTIFICATE, "sha256="));
	assert_true(recorded(&s, EVENT_VERDICT, "verified for mx.example"));
	session_close(&s);
	peer_stop(&peer);
	/* What was learned in clear counts no more: EHLO is said twice. */
	assert_string_equal(
		buf_c(&peer.said), "EHLO client.example\nSTARTTLS\nEHLO client.example\nQUIT\n");
	peer_free(&peer);
}

/* Four faults, four causes; at `may` and `encrypt` the same servers are good enough. */
static void verdicts(void **state)
{
	(void)state;
	const struct {
		struct pki_wish leaf;
		const struct pki_pair *chain;
		const char *cause;
	} rows[] = {
		{{.cn = "x", .san = "DNS:mx.example", .issuer = &world.stranger}, &world.stranger,
			"tls.untrusted-root"},
		{{.cn = "x", .san = "DNS:mx.example"}, NULL, "tls.self-signed"},
		{{.cn = "x",
			 .san = "DNS:mx.example",
			 .issuer = &world.root,
			 .from_days = -20,
			 .to_days = -1},
			NULL, "tls.expired"},
		{{.cn = "mx.example", .san = "DNS:other.example", .issuer = &world.root}, NULL,
			"tls.name-mismatch"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (enum tls_level level = TLS_MAY; level <= TLS_VERIFY; level++) {
			struct peer peer = {.tls = server_context(rows[i].leaf, rows[i].chain)};
			peer_start(&peer, "127.0.0.1", 0);
			struct session s = session_open(&peer, level, "", false);
			if (level == TLS_VERIFY) {
				assert_null(s.client);
				assert_string_equal(s.failure.cause.p, rows[i].cause);
				assert_int_equal(s.failure.outcome, DELIVERY_TEMP);
				assert_true(contains(s.failure.enhanced, "4.7.5"));
				assert_true(contains(s.failure.tls, "not verified"));
				assert_true(recorded(&s, EVENT_VERDICT, rows[i].cause));
				assert_false(s.failure.retry_in_clear);
			} else {
				assert_non_null(s.client);
				assert_true(contains(smtp_client_tls(s.client), "not verified"));
			}
			session_close(&s);
			peer_stop(&peer);
			peer_free(&peer);
		}
}

static void the_name_of_the_connector_is_sent_and_checked(void **state)
{
	(void)state;
	struct peer peer = {.tls = good_server()};
	peer_start(&peer, "127.0.0.1", 0);
	struct session s = session_open(&peer, TLS_VERIFY, "other.example", false);
	assert_null(s.client);
	assert_string_equal(s.failure.cause.p, "tls.name-mismatch");
	assert_true(recorded(&s, EVENT_TLS, "sni=other.example"));
	session_close(&s);
	peer_stop(&peer);
	peer_free(&peer);
}

/* However long each wait may be, the whole has an end. */
static void opening_has_an_end(void **state)
{
	(void)state;
	struct peer peer = {.stay_silent = 1};
	peer_start(&peer, "127.0.0.1", 0);
	opening_ms = 100;
	int64_t start_ms = clock_steady_ms();
	struct session s = session_open(&peer, TLS_OFF, "", false);
	opening_ms = 0;
	assert_null(s.client);
	assert_string_equal(s.failure.cause.p, "peer.timeout");
	assert_in_range(clock_steady_ms() - start_ms, 90, 900);
	session_close(&s);
	peer_stop(&peer);
	peer_free(&peer);
}

/* `may` tries again in clear, the others wait; never does a broken handshake pass unseen. */
static void broken_handshakes(void **state)
{
	(void)state;
	for (enum tls_level level = TLS_MAY; level <= TLS_VERIFY; level++) {
		struct peer peer = {.break_handshake = true};
		peer_start(&peer, "127.0.0.1", 0);
		struct session s = session_open(&peer, level, "", false);
		assert_null(s.client);
		assert_string_equal(s.failure.cause.p, "tls.handshake");
		assert_int_equal(s.failure.outcome, DELIVERY_TEMP);
		assert_int_equal(s.failure.retry_in_clear, level == TLS_MAY);
		session_close(&s);
		s = session_open(&peer, level, "", true);
		if (level == TLS_MAY)
			assert_string_equal(smtp_client_tls(s.client).p,
				"in clear: the TLS handshake failed on the connection before");
		else
			assert_null(s.client);
		session_close(&s);
		peer_stop(&peer);
		peer_free(&peer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verified),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(the_name_of_the_connector_is_sent_and_checked),
		cmocka_unit_test(broken_handshakes),
		cmocka_unit_test(opening_has_an_end),
	};
	return cmocka_run_group_tests(tests, make_world, free_world);
}
