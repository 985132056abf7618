/* tls and provider: real handshakes between two fibers, with the logic of `keys` behind a real link
 * in a third one. */
#include "cert/tls.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <setjmp.h> /* style: cmocka wants it */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cert/judge.h"
#include "cert/key.h"
#include "cert/keys.h"
#include "cert/provider.h"
#include "cert/test_pki.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/stream.h"

static struct {
	struct keys *keys;
	struct ask_link *to_keys, *from_edge;
	struct pki_pair root, other_root, middle;
	struct buf anchors;
	char folder[32];
} world = {.folder = "/tmp/letterlock-tls-XXXXXX"};

static void link_keys(const char *name_of_asker)
{
	int pair[2];
	ask_pair(pair);
	world.to_keys = ask_link_new(pair[0], "keys", NULL, NULL, NULL);
	world.from_edge = ask_link_new(pair[1], name_of_asker, keys_answer, NULL, world.keys);
}

static void unlink_keys(void)
{
	ask_link_free(world.to_keys);
	ask_link_free(world.from_edge);
	world.to_keys = world.from_edge = NULL;
}

static int setup(void **state)
{
	struct err err;
	(void)state;
	assert_non_null(mkdtemp(world.folder));
	signal(SIGPIPE, SIG_IGN); /* as every role does */
	loop_init();
	tls_init();
	world.keys = keys_open(open(world.folder, O_RDONLY | O_DIRECTORY), &err);
	assert_non_null(world.keys);
	world.root = pki_make((struct pki_wish){.cn = "Root", .authority = true});
	world.other_root = pki_make((struct pki_wish){.cn = "Other Root", .authority = true});
	world.middle =
		pki_make((struct pki_wish){.cn = "Middle", .authority = true, .issuer = &world.root});
	buf_init(&world.anchors, 1 << 16);
	pki_add_pem(&world.anchors, &world.root);
	return 0;
}

/* ---- a handshake ---- */

struct shake {
	SSL_CTX *server, *client;
	struct str host;
	int max_version; /* 0: any */
	/* what came of it */
	bool server_ok, client_ok;
	struct err server_err, client_err;
	struct tls_verdict verdict;
	char text[96], server_subject[128], record[2048];
	int waiting;
	struct stream *streams[2];
};

static void end_one(struct shake *s)
{
	if (--s->waiting == 0)
		loop_stop();
}

static void serve(void *arg)
{
	struct shake *s = arg;
	s->server_ok = stream_accept_tls(s->streams[0], s->server, NULL, NULL, &s->server_err) == 0;
	if (s->server_ok) {
		stream_put(s->streams[0], STR("hello\r\n"));
		s->server_ok = stream_flush(s->streams[0], &s->server_err) == 0;
	}
	stream_close(s->streams[0]);
	end_one(s);
}

static int prepare(SSL *ssl, void *arg, struct err *err)
{
	struct shake *s = arg;
	if (s->max_version)
		SSL_set_max_proto_version(ssl, s->max_version);
	return tls_client_prepare(ssl, &s->host, err);
}

static void note_result(struct shake *s, struct arena *arena)
{
	SSL *ssl = stream_ssl(s->streams[1]);
	tls_peer_verdict(ssl, s->host, &s->verdict);
	str_to_c(tls_text(ssl, arena), s->text, sizeof s->text);
	X509_NAME_oneline(X509_get_subject_name(SSL_get0_peer_certificate(ssl)), s->server_subject,
		sizeof s->server_subject);
	struct record *r = record_new(arena, RECORD_ATTEMPT, STR("peer"));
	tls_describe(ssl, r);
	size_t n = 0;
	for (uint32_t i = 0; i < r->event_count; i++)
		n += (size_t)snprintf(s->record + n, sizeof s->record - n, "%s %.*s\n",
			record_event_name(r->events[i].kind), STR_ARG(r->events[i].text));
}

static void dial(void *arg)
{
	struct shake *s = arg;
	struct arena *arena = arena_new();
	struct str line;
	s->client_ok =
		stream_connect_tls(s->streams[1], s->client, STR(""), prepare, s, &s->client_err) == 0;
	if (s->client_ok) {
		note_result(s, arena);
		s->client_ok = stream_line(s->streams[1], 100, &line, &s->client_err) == STREAM_LINE &&
			str_eq(line, STR("hello"));
	}
	stream_close(s->streams[1]);
	arena_free(arena);
	end_one(s);
}

static void shake_many(struct shake *all, int n)
{
	for (int i = 0; i < n; i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		all[i].streams[0] = stream_new_fd(pair[0]);
		all[i].streams[1] = stream_new_fd(pair[1]);
		stream_set_timeout(all[i].streams[0], 20000);
		stream_set_timeout(all[i].streams[1], 20000);
		all[i].waiting = 2;
		fiber_start("server", serve, &all[i]);
		fiber_start("client", dial, &all[i]);
	}
	for (int i = 0; i < n; i++)
		while (all[i].waiting)
			loop_run();
	assert_int_equal(ERR_peek_error(), 0);
}

static void expect_good(const struct shake *s)
{
	if (!s->server_ok || !s->client_ok)
		fail_msg("server: %s, client: %s", s->server_err.log, s->client_err.log);
	if (s->verdict.cause)
		fail_msg("verdict %s: %s", s->verdict.cause, s->verdict.text);
}

/* A conf with certificates; the slices are the caller's. */
static struct conf conf_with(struct conf_certificate *c, size_t n)
{
	return (struct conf){.certificates = c, .certificate_count = n};
}

static struct str put_key(const EVP_PKEY *key, struct arena *arena)
{
	struct buf pem;
	struct ask_key_answer answer;
	struct err err;
	buf_init(&pem, 1 << 16);
	pki_add_key(&pem, key);
	assert_int_equal(keys_put(world.keys, buf_str(&pem), arena, &answer, &err), 0);
	buf_done(&pem);
	return answer.key_id;
}

/* Loses a key: its file is gone and `keys` was started again. */
static void unlink_key(struct str id)
{
	struct err err;
	char path[128];
	snprintf(path, sizeof path, "%s/%.*s", world.folder, STR_ARG(id));
	assert_int_equal(unlink(path), 0);
	unlink_keys();
	keys_close(world.keys);
	world.keys = keys_open(open(world.folder, O_RDONLY | O_DIRECTORY), &err);
	link_keys("edge");
}

/* A leaf below the middle and its chain as PEM; the key goes to `keys`. */
static struct conf_certificate certificate_for(
	const char *name, const char *type, struct arena *arena)
{
	char san[128];
	snprintf(san, sizeof san, "DNS:%s", name);
	struct pki_pair leaf =
		pki_make((struct pki_wish){.cn = name, .san = san, .type = type, .issuer = &world.middle});
	struct buf pem;
	buf_init(&pem, 1 << 16);
	pki_add_pem(&pem, &leaf);
	pki_add_pem(&pem, &world.middle);
	struct conf_certificate c = {
		.names = arena_dup(arena, str_from_c(name)),
		.chain_pem = arena_dup(arena, buf_str(&pem)),
		.key_id = put_key(leaf.key, arena),
	};
	buf_done(&pem);
	pki_free(&leaf);
	return c;
}

struct making {
	const struct conf *conf;
	SSL_CTX *server;
	struct buf faults;
	struct err err;
};
static struct making made;

static void make_in_fiber(void *arg)
{
	struct making *m = arg;
	m->server = tls_server_context(m->conf, &world.to_keys, &m->faults, &m->err);
	loop_stop();
}

/* What it found stands in made.faults and made.err. */
static SSL_CTX *make_server(const struct conf *conf)
{
	buf_done(&made.faults);
	made = (struct making){.conf = conf};
	buf_init(&made.faults, 4096);
	fiber_start("make", make_in_fiber, &made);
	loop_run();
	return made.server;
}

static SSL_CTX *verifying_client(void)
{
	struct err err;
	SSL_CTX *ctx = tls_client_context(TLS_VERIFY, buf_str(&world.anchors), &err);
	assert_non_null(ctx);
	assert_int_equal(tls_client_anchors(ctx), 1);
	return ctx;
}

/* ---- tests ---- */

static void test_every_key_type_in_both_versions(void **state)
{
	static const char *const types[] = {"p256", "p384", "rsa2048", "rsa4096", "ed25519"};
	(void)state;
	link_keys("edge");
	SSL_CTX *client = verifying_client();
	for (size_t t = 0; t < sizeof types / sizeof *types; t++)
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			struct arena *arena = arena_new();
			struct conf_certificate c = certificate_for("mx.example.org", types[t], arena);
			struct conf conf = conf_with(&c, 1);
			struct shake s = {.server = make_server(&conf),
				.client = client,
				.host = STR("mx.example.org"),
				.max_version = version};
			assert_non_null(s.server);
			shake_many(&s, 1);
			expect_good(&s);
			assert_string_equal(s.verdict.text, "verified");
			assert_memory_equal(
				s.text, version == TLS1_3_VERSION ? "TLSv1.3 TLS_" : "TLSv1.2 ECDHE-", 12);
			SSL_CTX_free(s.server);
			arena_free(arena);
		}
	SSL_CTX_free(client);
	unlink_keys();
}

static void test_many_at_once(void **state)
{
	enum { MANY = 40 };
	static struct shake all[MANY];
	(void)state;
	link_keys("edge");
	struct arena *arena = arena_new();
	struct conf_certificate c = certificate_for("mx.example.org", "p256", arena);
	struct conf conf = conf_with(&c, 1);
	SSL_CTX *server = make_server(&conf), *client = verifying_client();
	for (int i = 0; i < MANY; i++)
		all[i] = (struct shake){.server = server, .client = client, .host = STR("mx.example.org")};
	shake_many(all, MANY);
	for (int i = 0; i < MANY; i++)
		expect_good(&all[i]);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	arena_free(arena);
	unlink_keys();
}

static void test_record_tells_the_chain(void **state)
{
	(void)state;
	link_keys("edge");
	struct arena *arena = arena_new();
	struct conf_certificate c = certificate_for("mx.example.org", "p256", arena);
	struct conf conf = conf_with(&c, 1);
	struct shake s = {
		.server = make_server(&conf), .client = verifying_client(), .host = STR("mx.example.org")};
	shake_many(&s, 1);
	expect_good(&s);
	assert_non_null(strstr(s.record, "tls TLSv1.3 TLS_"));
	assert_non_null(strstr(s.record, " x25519 sni=mx.example.org\n"));
	assert_non_null(strstr(s.record, "certificate 0 s:CN = mx.example.org i:CN = Middle 20"));
	assert_non_null(strstr(s.record, "certificate 1 s:CN = Middle i:CN = Root 20"));
	assert_non_null(strstr(s.record, " sha256="));
	SSL_CTX_free(s.server);
	SSL_CTX_free(s.client);
	arena_free(arena);
	unlink_keys();
}

static void test_server_name_chooses(void **state)
{
	static const struct {
		const char *host, *subject;
	} cases[] = {
		{"mx.example.org", "/CN=mx.example.org"},
		{"MX.Example.ORG.", "/CN=mx.example.org"},
		{"mail.example.net", "/CN=mail.example.net"},
		{"a.wild.example", "/CN=*.wild.example"},
		{"exact.wild.example", "/CN=exact.wild.example"},
		{"a.b.wild.example", "/CN=mx.example.org"},
		{"wild.example", "/CN=mx.example.org"},
		{"late.example", "/CN=late.example"},
		{"unknown.example", "/CN=mx.example.org"},
		{"192.0.2.1", "/CN=mx.example.org"},
		{"", "/CN=mx.example.org"},
	};
	(void)state;
	link_keys("edge");
	struct arena *arena = arena_new();
	struct conf_certificate c[] = {
		certificate_for("mx.example.org", "p256", arena),
		certificate_for("mail.example.net", "rsa2048", arena),
		certificate_for("*.wild.example", "p256", arena),
		certificate_for("exact.wild.example", "ed25519", arena),
		certificate_for("late.example", "p256", arena),
	};
	c[4].names = STR("mail.example.net late.example"); /* the first one that has a name keeps it */
	struct conf conf = conf_with(c, 5);
	SSL_CTX *server = make_server(&conf), *client = verifying_client();
	assert_non_null(server);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct shake s = {.server = server, .client = client, .host = str_from_c(cases[i].host)};
		shake_many(&s, 1);
		assert_true(s.client_ok);
		assert_string_equal(s.server_subject, cases[i].subject);
	}
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	arena_free(arena);
	unlink_keys();
}

/* The link is replaced when keys was restarted; without one the handshake fails and nothing else. */
static void test_keys_goes_and_comes_back(void **state)
{
	(void)state;
	struct arena *arena = arena_new();
	struct conf_certificate c = certificate_for("mx.example.org", "p256", arena);
	struct conf conf = conf_with(&c, 1);
	world.to_keys = NULL;
	struct shake s = {
		.server = make_server(&conf), .client = verifying_client(), .host = STR("mx.example.org")};
	shake_many(&s, 1);
	assert_false(s.server_ok);
	assert_false(s.client_ok);
	assert_string_equal(
		s.server_err.log, "TLS handshake: keys: nobody there to answer question 40");
	link_keys("edge");
	shake_many(&s, 1);
	expect_good(&s);
	unlink_keys();
	link_keys("store"); /* which may not have handshakes signed */
	shake_many(&s, 1);
	assert_false(s.server_ok);
	SSL_CTX_free(s.server);
	SSL_CTX_free(s.client);
	arena_free(arena);
	unlink_keys();
}

static void test_private_half_stays_where_it_is(void **state)
{
	struct err err;
	(void)state;
	link_keys("edge");
	struct pki_pair pair = pki_make((struct pki_wish){.cn = "x"});
	struct arena *arena = arena_new();
	put_key(pair.key, arena);
	EVP_PKEY *remote = provider_key(X509_get0_pubkey(pair.c), &world.to_keys, &err);
	assert_non_null(remote);
	unsigned char *der = NULL;
	assert_true(i2d_PrivateKey(remote, &der) <= 0);
	OSSL_PARAM *params = NULL;
	assert_int_not_equal(EVP_PKEY_todata(remote, EVP_PKEY_KEYPAIR, &params), 1);
	BIGNUM *secret = NULL;
	assert_int_not_equal(EVP_PKEY_get_bn_param(remote, "priv", &secret), 1);
	BIO *bio = BIO_new(BIO_s_mem());
	assert_int_not_equal(PEM_write_bio_PrivateKey(bio, remote, NULL, NULL, 0, NULL, NULL), 1);
	BIO_free(bio);
	/* The public half may go where it likes. */
	assert_int_equal(EVP_PKEY_eq(remote, X509_get0_pubkey(pair.c)), 1);
	ERR_clear_error();
	EVP_PKEY_free(remote);
	pki_free(&pair);
	arena_free(arena);
	unlink_keys();
}

/* What only resembles a handshake gets no signature through the provider either. */
static void sign_other_text(void *arg)
{
	struct err err;
	int *status = arg;
	struct pki_pair pair = pki_make((struct pki_wish){.cn = "x"});
	struct arena *arena = arena_new();
	put_key(pair.key, arena);
	EVP_PKEY *remote = provider_key(X509_get0_pubkey(pair.c), &world.to_keys, &err);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char signature[256];
	size_t n = sizeof signature;
	static const unsigned char text[] = "give me a certificate request";
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, remote, NULL), 1);
	*status = EVP_DigestSign(ctx, signature, &n, text, sizeof text);
	ERR_clear_error();
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(remote);
	pki_free(&pair);
	arena_free(arena);
	loop_stop();
}

static void test_other_texts_are_not_signed(void **state)
{
	int status = 1;
	(void)state;
	link_keys("edge");
	fiber_start("signer", sign_other_text, &status);
	loop_run();
	assert_int_not_equal(status, 1);
	unlink_keys();
}

/* P2: what cannot be used is told, and the next certificate that has the name serves it. */
static void test_bad_certificates_are_passed_over(void **state)
{
	struct err err;
	(void)state;
	link_keys("edge");
	struct arena *arena = arena_new();
	struct conf_certificate c[] = {
		{.names = STR("mx.example.org"), .chain_pem = STR("-----BEGIN CERTIFICATE-----\nMIIB\n")},
		certificate_for("lost.example", "p256", arena),
		certificate_for("other.example", "p256", arena),
		certificate_for("mx.example.org", "rsa2048", arena),
	};
	unlink_key(c[1].key_id);
	struct conf conf = conf_with(c, 4);
	conf.hostname = STR("mx.example.org");
	struct shake s = {.server = make_server(&conf), .client = verifying_client()};
	assert_non_null(s.server);
	assert_non_null(strstr(buf_c(&made.faults), "certificate for mx.example.org: "));
	assert_non_null(strstr(buf_c(&made.faults), "certificate for lost.example: its private key, "));
	assert_null(strstr(buf_c(&made.faults), "other.example"));
	shake_many(&s, 1);
	assert_true(s.client_ok);
	assert_string_equal(s.server_subject, "/CN=mx.example.org");
	/* Nothing else has this name: better a handshake that fails than one under a wrong name. */
	s.host = STR("lost.example");
	shake_many(&s, 1);
	assert_false(s.server_ok);
	SSL_CTX_free(s.server);
	SSL_CTX_free(s.client);
	conf.certificate_count = 1;
	assert_null(make_server(&conf));
	conf.certificate_count = 0;
	assert_null(make_server(&conf));
	assert_null(tls_client_context(TLS_VERIFY, STR("no anchors here"), &err));
	assert_int_equal(ERR_peek_error(), 0);
	arena_free(arena);
	unlink_keys();
}

/* ---- verdicts ---- */

struct expectation {
	const char *what;
	struct pki_wish leaf;
	const struct pki_pair *send[3];
	const char *host;
	const char *cause; /* NULL: verified */
	const char *also;  /* must stand in the text */
};

static void check_verdict(const struct expectation *e, SSL_CTX *client)
{
	struct err err;
	struct buf pem;
	buf_init(&pem, 1 << 16);
	struct pki_pair leaf = pki_make(e->leaf);
	pki_add_pem(&pem, &leaf);
	for (int i = 0; i < 3 && e->send[i]; i++)
		pki_add_pem(&pem, e->send[i]);
	struct shake s = {.server = tls_server_context_with_key(buf_str(&pem), leaf.key, &err),
		.client = client,
		.host = str_from_c(e->host)};
	assert_non_null(s.server);
	shake_many(&s, 1);
	assert_true(s.client_ok); /* no fault of a certificate ends the handshake */
	const char *got = s.verdict.cause ? s.verdict.cause : "verified";
	const char *want = e->cause ? e->cause : "verified";
	if (strcmp(got, want) != 0 || (e->also && !strstr(s.verdict.text, e->also)))
		fail_msg("%s: %s instead of %s (%s): %s", e->what, got, want, e->also ? e->also : "",
			s.verdict.text);
	SSL_CTX_free(s.server);
	buf_done(&pem);
	pki_free(&leaf);
}

static void test_verdicts(void **state)
{
	const struct pki_pair *root = &world.root, *middle = &world.middle, *other = &world.other_root;
	struct pki_pair forged = pki_make((struct pki_wish){.cn = "Root", .authority = true});
	const struct expectation table[] = {
		{"good", {.cn = "a", .san = "DNS:mx.example.org", .issuer = middle}, {middle},
			"mx.example.org", NULL, "verified"},
		{"good, root sent too", {.cn = "a", .san = "DNS:mx.example.org", .issuer = middle},
			{middle, root}, "mx.example.org", NULL, NULL},
		{"good, any order", {.cn = "a", .san = "DNS:mx.example.org", .issuer = middle},
			{root, middle}, "MX.Example.Org.", NULL, NULL},
		{"good, address", {.cn = "a", .san = "IP:192.0.2.7,DNS:b", .issuer = root}, {0},
			"192.0.2.7", NULL, NULL},
		{"good, address in brackets", {.cn = "a", .san = "IP:2001:db8::1", .issuer = root}, {0},
			"[IPv6:2001:db8::1]", NULL, NULL},
		{"address as dNSName", {.cn = "a", .san = "DNS:192.0.2.7", .issuer = root}, {0},
			"192.0.2.7", "tls.name-mismatch", NULL},
		{"wildcard", {.cn = "a", .san = "DNS:*.example.org", .issuer = root}, {0}, "mx.example.org",
			NULL, NULL},
		{"wildcard, two labels", {.cn = "a", .san = "DNS:*.example.org", .issuer = root}, {0},
			"a.mx.example.org", "tls.name-mismatch", "*.example.org"},
		{"wildcard, no label", {.cn = "a", .san = "DNS:*.example.org", .issuer = root}, {0},
			"example.org", "tls.name-mismatch", NULL},
		{"common name only", {.cn = "mx.example.org", .issuer = root}, {0}, "mx.example.org",
			"tls.name-mismatch", NULL},
		{"wrong name", {.cn = "a", .san = "DNS:other.example", .issuer = root}, {0},
			"mx.example.org", "tls.name-mismatch", "not for \"mx.example.org\""},
		{"expired", {.cn = "a", .san = "DNS:m", .issuer = root, .from_days = -9, .to_days = -1},
			{0}, "m", "tls.expired", "\"CN = a\" expired on 20"},
		{"not yet valid", {.cn = "a", .san = "DNS:m", .issuer = root, .from_days = 1, .to_days = 9},
			{0}, "m", "tls.not-yet-valid", "is not valid before 20"},
		{"expired and wrong name",
			{.cn = "a", .san = "DNS:x", .issuer = root, .from_days = -9, .to_days = -1}, {0}, "m",
			"tls.expired", "not for \"m\""},
		{"self-signed", {.cn = "a", .san = "DNS:m"}, {0}, "m", "tls.self-signed", NULL},
		{"self-signed, expired, wrong name",
			{.cn = "a", .san = "DNS:x", .from_days = -9, .to_days = -1}, {0}, "m",
			"tls.self-signed", "expired on"},
		{"untrusted root, sent", {.cn = "a", .san = "DNS:m", .issuer = other}, {other}, "m",
			"tls.untrusted-root", "root \"CN = Other Root\" is none of 1 trusted"},
		{"untrusted root, not sent", {.cn = "a", .san = "DNS:m", .issuer = other}, {0}, "m",
			"tls.untrusted-root", "CN = Other Root"},
		{"root of a known name", {.cn = "a", .san = "DNS:m", .issuer = &forged}, {0}, "m",
			"tls.untrusted-root", "another key signed"},
		{"missing intermediate that has an address",
			{.cn = "a",
				.san = "DNS:m",
				.issuer = middle,
				.address = "caIssuers;URI:http://ca.example/m.der"},
			{0}, "m", "tls.incomplete-chain", "CN = Middle"},
		{"not for servers", {.cn = "a", .san = "DNS:m", .issuer = root, .usage = "clientAuth"}, {0},
			"m", "tls.invalid-chain", NULL},
	};
	(void)state;
	SSL_CTX *client = verifying_client();
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		check_verdict(&table[i], client);
	SSL_CTX_free(client);
	pki_free(&forged);
}

/* An organisation whose root we trust has not sent the intermediate in between. */
static void test_missing_intermediate_of_a_trusted_family(void **state)
{
	struct err err;
	(void)state;
	struct pki_pair root =
		pki_make((struct pki_wish){.cn = "Root", .organisation = "Family", .authority = true});
	struct pki_pair middle = pki_make((struct pki_wish){
		.cn = "Middle", .organisation = "Family", .authority = true, .issuer = &root});
	struct buf anchors;
	buf_init(&anchors, 1 << 16);
	pki_add_pem(&anchors, &root);
	SSL_CTX *client = tls_client_context(TLS_VERIFY, buf_str(&anchors), &err);
	const struct expectation e = {"family", {.cn = "a", .san = "DNS:m", .issuer = &middle}, {0},
		"m", "tls.incomplete-chain", "was not sent"};
	check_verdict(&e, client);
	SSL_CTX_free(client);
	buf_done(&anchors);
	pki_free(&root);
	pki_free(&middle);
}

static void test_any_certificate_can_be_an_anchor(void **state)
{
	struct err err;
	(void)state;
	struct pki_pair self = pki_make((struct pki_wish){.cn = "s", .san = "DNS:m"});
	struct pki_pair leaf =
		pki_make((struct pki_wish){.cn = "l", .san = "DNS:m", .issuer = &world.middle});
	const struct pki_pair *anchors[] = {&self, &world.middle};
	const struct pki_pair *shown[] = {&self, &leaf};
	for (int i = 0; i < 2; i++) {
		struct buf anchor, chain;
		buf_init(&anchor, 1 << 16);
		buf_init(&chain, 1 << 16);
		pki_add_pem(&anchor, anchors[i]);
		pki_add_pem(&chain, shown[i]);
		struct shake s = {
			.server = tls_server_context_with_key(buf_str(&chain), shown[i]->key, &err),
			.client = tls_client_context(TLS_VERIFY, buf_str(&anchor), &err),
			.host = STR("m")};
		shake_many(&s, 1);
		expect_good(&s);
		SSL_CTX_free(s.server);
		SSL_CTX_free(s.client);
		buf_done(&anchor);
		buf_done(&chain);
	}
	pki_free(&self);
	pki_free(&leaf);
}

/* The verdict follows base/clock.h, not the machine's clock. */
static void test_time_is_ours(void **state)
{
	(void)state;
	struct pki_wish wish = {.cn = "a", .san = "DNS:m", .issuer = &world.root};
	const struct expectation late = {"in 40 days: root still good", wish, {0}, "m", NULL, NULL};
	SSL_CTX *client = verifying_client();
	check_verdict(&late, client);
	int64_t now = clock_wall_ms();
	struct expectation before = late;
	before.leaf.from_days = 100;
	before.leaf.to_days = 200;
	before.cause = "tls.not-yet-valid";
	check_verdict(&before, client);
	struct err err;
	struct buf pem;
	buf_init(&pem, 1 << 16);
	struct pki_pair leaf = pki_make(wish);
	pki_add_pem(&pem, &leaf);
	clock_set_wall_ms(now + 90 * INT64_C(86400000));
	struct shake s = {.server = tls_server_context_with_key(buf_str(&pem), leaf.key, &err),
		.client = client,
		.host = STR("m")};
	shake_many(&s, 1);
	clock_set_wall_ms(-1);
	assert_string_equal(s.verdict.cause, "tls.expired");
	SSL_CTX_free(s.server);
	SSL_CTX_free(client);
	buf_done(&pem);
	pki_free(&leaf);
}

static int old_peer(SSL *ssl, void *arg, struct err *err)
{
	(void)arg, (void)err;
	SSL_set_security_level(ssl, 0);
	SSL_set_min_proto_version(ssl, TLS1_VERSION);
	SSL_set_max_proto_version(ssl, TLS1_VERSION);
	return 0;
}

static void serve_old(void *arg)
{
	struct shake *s = arg;
	s->server_ok = stream_accept_tls(s->streams[0], s->server, old_peer, NULL, &s->server_err) == 0;
	stream_put(s->streams[0], STR("hello\r\n"));
	stream_close(s->streams[0]);
	end_one(s);
}

static void test_level_may_takes_old_peers(void **state)
{
	struct err err;
	(void)state;
	struct buf pem;
	buf_init(&pem, 1 << 16);
	struct pki_pair leaf =
		pki_make((struct pki_wish){.cn = "a", .san = "DNS:m", .type = "rsa2048"});
	pki_add_pem(&pem, &leaf);
	for (int level = TLS_MAY; level <= TLS_VERIFY; level++) {
		int pair[2];
		struct shake s = {.server = tls_server_context_with_key(buf_str(&pem), leaf.key, &err),
			.client = tls_client_context((enum tls_level)level, STR(""), &err),
			.host = STR("m"),
			.waiting = 2};
		SSL_CTX_set_cipher_list(s.server, "ALL:@SECLEVEL=0");
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		s.streams[0] = stream_new_fd(pair[0]);
		s.streams[1] = stream_new_fd(pair[1]);
		fiber_start("server", serve_old, &s);
		fiber_start("client", dial, &s);
		while (s.waiting)
			loop_run();
		assert_int_equal(s.client_ok, level == TLS_MAY);
		if (level == TLS_MAY) {
			assert_memory_equal(s.text, "TLSv1 ", 6);
			assert_string_equal(s.verdict.cause, "tls.self-signed");
		}
		SSL_CTX_free(s.server);
		SSL_CTX_free(s.client);
	}
	buf_done(&pem);
	pki_free(&leaf);
}

static int teardown(void **state)
{
	(void)state;
	keys_close(world.keys);
	pki_remove_folder(world.folder);
	pki_free(&world.root);
	pki_free(&world.other_root);
	pki_free(&world.middle);
	buf_done(&world.anchors);
	loop_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_type_in_both_versions),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_record_tells_the_chain),
		cmocka_unit_test(test_server_name_chooses),
		cmocka_unit_test(test_keys_goes_and_comes_back),
		cmocka_unit_test(test_private_half_stays_where_it_is),
		cmocka_unit_test(test_other_texts_are_not_signed),
		cmocka_unit_test(test_bad_certificates_are_passed_over),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_missing_intermediate_of_a_trusted_family),
		cmocka_unit_test(test_any_certificate_can_be_an_anchor),
		cmocka_unit_test(test_time_is_ours),
		cmocka_unit_test(test_level_may_takes_old_peers),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
