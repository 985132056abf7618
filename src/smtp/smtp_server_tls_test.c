/* STARTTLS over a real socket pair: the session blocks in the test's thread, a client with OpenSSL
 * runs in another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/log.h"
#include "smtp/smtp_fake.h"

/* ---- a certificate made here ------------------------------------------------------------------- */

static SSL_CTX *server_context(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	X509_NAME *name = X509_get_subject_name(certificate);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(certificate, name);
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(ctx, certificate);
	SSL_CTX_use_PrivateKey(ctx, key);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return ctx;
}

/* ---- the client -------------------------------------------------------------------------------- */

struct client {
	int fd;
	SSL *ssl;
	bool failed;
	char reply[2048]; /* the last one, all its lines */
};

static void say(struct client *c, const char *text)
{
	size_t n = strlen(text);
	ssize_t done = c->ssl ? SSL_write(c->ssl, text, (int)n) : send(c->fd, text, n, MSG_NOSIGNAL);
	c->failed |= done != (ssize_t)n;
}

/* Reads up to the last line of a reply; "" at the end of the connection. */
static const char *hear(struct client *c)
{
	size_t n = 0, line = 0;
	for (;;) {
		char ch;
		int got = c->ssl ? SSL_read(c->ssl, &ch, 1) : (int)recv(c->fd, &ch, 1, 0);
		if (got != 1 || n + 1 >= sizeof c->reply) {
			c->reply[0] = 0;
			return c->reply;
		}
		c->reply[n++] = ch;
		if (ch != '\n')
			continue;
		if (c->reply[line + 3] == ' ') {
			c->reply[n] = 0;
			return c->reply;
		}
		line = n;
	}
}

static void expect(struct client *c, const char *command, const char *reply)
{
	if (command)
		say(c, command);
	if (strncmp(hear(c), reply, strlen(reply)) != 0) {
		fprintf(stderr, "after %s: got %s, wanted %s\n", command ? command : "connecting", c->reply,
			reply);
		c->failed = true;
	}
}

static void start_tls(struct client *c, SSL_CTX *ctx)
{
	c->ssl = SSL_new(ctx);
	SSL_set_fd(c->ssl, c->fd);
	c->failed |= SSL_connect(c->ssl) != 1;
}

/* ---- a session with a client in another thread ------------------------------------------------- */

struct play {
	struct client client;
	void (*script)(struct client *, SSL_CTX *);
};

static void *play_client(void *arg)
{
	struct play *play = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	play->script(&play->client, ctx);
	SSL_free(play->client.ssl);
	SSL_CTX_free(ctx);
	close(play->client.fd);
	ERR_clear_error();
	return NULL;
}

static void play(struct smtp_fake *f, void (*script)(struct client *, SSL_CTX *))
{
	int fds[2];
	pthread_t thread;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	struct timeval patience = {.tv_sec = 3};
	setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	struct play play = {.client.fd = fds[1], .script = script};
	assert_int_equal(pthread_create(&thread, NULL, play_client, &play), 0);
	struct stream *s = stream_new_fd(fds[0]);
	f->server.tls = server_context();
	smtp_serve(s, &f->server);
	stream_close(s);
	pthread_join(thread, NULL);
	SSL_CTX_free(f->server.tls);
	assert_false(play.client.failed);
}

static void assert_holds(struct str text, const char *part)
{
	if (!memmem(text.p, text.n, part, strlen(part)))
		fail_msg("\"%.*s\" does not hold \"%s\"", STR_ARG(text), part);
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void upgrade_script(struct client *c, SSL_CTX *ctx)
{
	expect(c, NULL, "220 ");
	expect(c, "EHLO client.example.net\r\n", "250-");
	c->failed |= !strstr(c->reply, "STARTTLS\r\n");
	expect(c, "MAIL FROM:<a@example.net>\r\n", "530 5.7.0");
	expect(c, "STARTTLS\r\n", "220 2.0.0");
	start_tls(c, ctx);
	/* nothing said before TLS counts */
	expect(c, "MAIL FROM:<a@example.net>\r\n", "503 5.5.1");
	expect(c, "EHLO client.example.net\r\n", "250-");
	c->failed |= strstr(c->reply, "STARTTLS") != NULL;
	expect(c, "STARTTLS\r\n", "503 5.5.1");
	expect(c, "MAIL FROM:<a@example.net>\r\n", "250 2.1.0");
	expect(c, "RCPT TO:<b@example.org>\r\n", "250 2.1.5");
	expect(c, "DATA\r\n", "354 ");
	expect(c, "Subject: x\r\n\r\nx\r\n.\r\n", "250 2.0.0");
	expect(c, "QUIT\r\n", "221 2.0.0");
}

static void upgrade(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	f->conf.smtp_tls = TLS_INBOUND_REQUIRED;
	play(f, upgrade_script);
	assert_int_equal(f->accepted, 1);
	assert_true(str_starts(f->tls, STR("TLSv1.3 TLS_")));
	assert_holds(f->prefix, "ESMTPS");
	assert_holds(f->prefix, "TLS_");
	assert_holds(str_from_c(f->record), "\ntls ");
	smtp_fake_free(f);
}

/* A transaction begun in clear is gone after STARTTLS, not continued. */
static void forgets_script(struct client *c, SSL_CTX *ctx)
{
	expect(c, NULL, "220 ");
	expect(c, "EHLO evil.example.net\r\n", "250-");
	expect(c, "MAIL FROM:<evil@example.net>\r\n", "250 2.1.0");
	expect(c, "RCPT TO:<b@example.org>\r\n", "250 2.1.5");
	expect(c, "STARTTLS\r\n", "220 2.0.0");
	start_tls(c, ctx);
	expect(c, "EHLO client.example.net\r\n", "250-");
	expect(c, "RCPT TO:<c@example.org>\r\n", "503 5.5.1");
	expect(c, "DATA\r\n", "503 5.5.1");
	expect(c, "QUIT\r\n", "221 2.0.0");
}

static void forgets(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	play(f, forgets_script);
	assert_int_equal(f->accepted, 0);
	smtp_fake_free(f);
}

static void injection_script(struct client *c, SSL_CTX *ctx)
{
	(void)ctx;
	expect(c, NULL, "220 ");
	expect(c, "EHLO evil.example.net\r\n", "250-");
	expect(c, "STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n", "554 5.5.1");
	c->failed |= *hear(c) != 0; /* closed */
}

static void injection(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	play(f, injection_script);
	assert_int_equal(f->recorded, 1);
	assert_holds(str_from_c(f->record), "plaintext behind STARTTLS");
	smtp_fake_free(f);
}

/* Plaintext where the handshake should begin kills the connection. */
static void no_handshake_script(struct client *c, SSL_CTX *ctx)
{
	(void)ctx;
	expect(c, NULL, "220 ");
	expect(c, "EHLO evil.example.net\r\n", "250-");
	expect(c, "STARTTLS\r\n", "220 2.0.0");
	say(c, "EHLO evil.example.net\r\nMAIL FROM:<evil@example.net>\r\n");
	const char *after = hear(c);
	c->failed |= strstr(after, "250") != NULL;
}

static void no_handshake(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	play(f, no_handshake_script);
	assert_int_equal(f->recorded, 1);
	assert_holds(str_from_c(f->record), "note TLS handshake failed");
	assert_holds(str_from_c(f->record), "error TLS handshake");
	smtp_fake_free(f);
}

static void slow_script(struct client *c, SSL_CTX *ctx)
{
	(void)ctx;
	expect(c, NULL, "220 ");
	expect(c, "NOOP", "421 4.4.2"); /* no CRLF: it waits for the rest */
	c->failed |= *hear(c) != 0;
}

static void time_is_over(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	f->conf.smtp_timeout_ms = 50;
	play(f, slow_script);
	assert_holds(str_from_c(f->record), "note time is over");
	smtp_fake_free(f);
}

/* The deadline of the session ends it although the client never pauses. */
static void endless_script(struct client *c, SSL_CTX *ctx)
{
	(void)ctx;
	const char *reply;
	expect(c, NULL, "220 ");
	do {
		say(c, "NOOP\r\n");
		reply = hear(c);
	} while (strncmp(reply, "250", 3) == 0);
	c->failed = strncmp(reply, "421 4.4.2", 9) != 0;
}

static void session_deadline(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	f->conf.smtp_session_ms = 100;
	f->conf.smtp_max_commands = UINT64_MAX;
	play(f, endless_script);
	smtp_fake_free(f);
}

static void slow_data_script(struct client *c, SSL_CTX *ctx)
{
	(void)ctx;
	expect(c, NULL, "220 ");
	expect(c, "EHLO client.example.net\r\n", "250-");
	expect(c, "MAIL FROM:<>\r\n", "250");
	expect(c, "RCPT TO:<b@example.org>\r\n", "250");
	expect(c, "DATA\r\n", "354");
	expect(c, "Subject: x\r\n", "421 4.4.2");
}

static void slow_data(void **state)
{
	(void)state;
	struct smtp_fake *f = smtp_fake_new();
	f->conf.smtp_data_timeout_ms = 50;
	play(f, slow_data_script);
	assert_int_equal(f->accepted, 0);
	smtp_fake_free(f);
}

int main(void)
{
	log_open(-1, LOG_ERROR);
	signal(SIGPIPE, SIG_IGN); /* a failing script hangs up early */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(upgrade),
		cmocka_unit_test(forgets),
		cmocka_unit_test(injection),
		cmocka_unit_test(no_handshake),
		cmocka_unit_test(time_is_over),
		cmocka_unit_test(session_deadline),
		cmocka_unit_test(slow_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
