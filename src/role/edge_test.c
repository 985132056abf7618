/* The edge's listeners and sessions on a real loop and real sockets, in one process: a fake store
 * answers over a real link, clients run in threads with blocking sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/log.h"
#include "cert/tls.h"
#include "conf/settings.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "role/edge.h"

enum { PATIENCE_S = 20 };

/* ---- a certificate made here ------------------------------------------------------------------- */

static struct ssl_ctx_st *server_context(void)
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
	X509_sign(certificate, key, EVP_sha256());
	BIO *bio = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(bio, certificate);
	char *pem;
	long n = BIO_get_mem_data(bio, &pem);
	struct err err;
	struct ssl_ctx_st *ctx = tls_server_context_with_key(str_make(pem, (size_t)n), key, &err);
	assert_non_null(ctx);
	BIO_free(bio);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return ctx;
}

/* ---- the stage --------------------------------------------------------------------------------- */

struct stage {
	struct edge edge;
	struct ask_link *store; /* its end */
	struct sockaddr_in address;
	unsigned accepted, asked_again;
	bool dies; /* store goes away instead of answering, once */
	char body[256];
	atomic_bool over;
	struct loop_timer *watch;
	bool failed;
};

static ask_handler store_answers;

/* As serve and take_link() do when store has died. */
static void replace_store(void *arg)
{
	struct stage *s = arg;
	int pair[2];
	ask_link_free(s->store);
	fiber_sleep("for the restart", 30);
	ask_pair(pair);
	struct ask_link *before = s->edge.store;
	s->edge.store = ask_link_new(pair[0], "store", NULL, NULL, NULL);
	s->edge.stores++;
	ask_link_free(before);
	s->store = ask_link_new(pair[1], "edge", store_answers, NULL, s);
}

static void store_answers(struct ask_question *q, void *arg)
{
	struct stage *s = arg;
	if (q->kind == ASK_RCPT) {
		struct ask_rcpt_answer a = {250, RCPT_ONE, STR("2.1.5 ok")};
		ask_answer(q, xfer_ask_rcpt_answer, &a);
	} else if (q->kind == ASK_ACCEPT) {
		struct ask_accept a;
		if (ask_take(q, xfer_ask_accept, &a) != 0)
			return;
		s->asked_again += a.again;
		if (s->dies) {
			s->dies = false;
			fiber_start("serve", replace_store, s);
			fiber_sleep("for its death", 100);
			return;
		}
		str_to_c(a.body.bytes, s->body, sizeof s->body);
		s->accepted++;
	}
}

static void watch(void *arg)
{
	struct stage *s = arg;
	if (s->over)
		loop_stop();
	else
		loop_timer_start(s->watch, 5);
}

static void set_up_for(struct stage *s, enum listener listener)
{
	int pair[2];
	signal(SIGPIPE, SIG_IGN);
	loop_init();
	vec_init(&s->edge.listeners, sizeof(void *));
	s->edge.clients = clients_open(-1, 0, NULL);
	s->edge.conf = conf_new();
	s->edge.conf->hostname = STR("mx.example.org");
	ask_pair(pair);
	s->edge.store = ask_link_new(pair[0], "store", NULL, NULL, NULL);
	s->store = ask_link_new(pair[1], "edge", store_answers, NULL, s);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof s->address;
	s->address =
		(struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)&s->address, len), 0);
	assert_int_equal(listen(fd, 100), 0);
	getsockname(fd, (struct sockaddr *)&s->address, &len);
	struct ask_listen question = {1, listener, STR("test")};
	edge_listen(&s->edge, &question, fd);
	s->watch = loop_timer_new(watch, s);
	loop_timer_start(s->watch, 5);
}

static void set_up(struct stage *s)
{
	set_up_for(s, LISTENER_SMTP);
}

static void tear_down(struct stage *s)
{
	SSL_CTX_free(s->edge.tls);
	edge_unlisten(&s->edge, 1);
	ask_link_free(s->edge.store);
	ask_link_free(s->store);
	clients_close(s->edge.clients);
	vec_done(&s->edge.listeners);
	conf_drop(s->edge.conf);
	loop_timer_free(s->watch);
	loop_done();
}

/* Runs the clients' script in a thread beside the loop. */
static void play(struct stage *s, void *(*script)(void *))
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, script, s), 0);
	loop_run();
	pthread_join(thread, NULL);
	assert_false(s->failed);
	assert_int_equal(s->edge.session_count, 0);
	assert_null(s->edge.sessions);
	tear_down(s);
}

/* ---- clients ----------------------------------------------------------------------------------- */

/* What a client talks over: ssl is NULL in clear. */
struct wire {
	int fd;
	SSL *ssl;
};

static int dial(struct stage *s)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = {.tv_sec = PATIENCE_S};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (connect(fd, (struct sockaddr *)&s->address, sizeof s->address) != 0)
		s->failed = true;
	return fd;
}

static ssize_t hear(struct wire *w, char *p)
{
	return w->ssl ? SSL_read(w->ssl, p, 1) : recv(w->fd, p, 1, 0);
}

/* Says `command` (may be NULL) and expects the last line of a reply to begin with `reply`; "" is the
 * end of the connection. */
static void expect_on(struct stage *s, struct wire *w, const char *command, const char *reply)
{
	char line[1024] = "";
	size_t n = 0;
	if (command && w->ssl)
		SSL_write(w->ssl, command, (int)strlen(command));
	else if (command)
		send(w->fd, command, strlen(command), MSG_NOSIGNAL);
	while (n + 1 < sizeof line && hear(w, line + n) == 1) {
		if (line[n++] != '\n')
			continue;
		if (line[3] == ' ')
			break;
		n = 0;
	}
	line[n] = 0;
	if (strncmp(line, reply, strlen(reply)) != 0 || (!*reply && n)) {
		fprintf(
			stderr, "after %s: got %s, wanted %s\n", command ? command : "connecting", line, reply);
		s->failed = true;
	}
}

static void expect(struct stage *s, int fd, const char *command, const char *reply)
{
	struct wire w = {.fd = fd};
	expect_on(s, &w, command, reply);
}

/* Closes, and lets the session notice. */
static void hang_up(struct stage *s, int fd)
{
	expect(s, fd, "QUIT\r\n", "221");
	expect(s, fd, NULL, "");
	close(fd);
}

static void over(struct stage *s)
{
	usleep(50 * 1000); /* style: a client thread, no fiber */
	s->over = true;
}

/* ---- tests ------------------------------------------------------------------------------------- */

static void *send_messages(void *arg)
{
	struct stage *s = arg;
	int fd = dial(s);
	expect(s, fd, NULL, "220 mx.example.org ");
	expect(s, fd, "EHLO client\r\n", "250 ");
	for (int i = 0; i < 3; i++) {
		expect(s, fd, "MAIL FROM:<a@b.example>\r\n", "250 2.1.0");
		expect(s, fd, "RCPT TO:<c@example.org>\r\n", "250 2.1.5");
		expect(s, fd, "DATA\r\n", "354");
		expect(s, fd, "Subject: x\r\n\r\n..dot\r\n.\r\n", "250 2.0.0");
	}
	hang_up(s, fd);
	over(s);
	return NULL;
}

static void messages(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up(&s);
	play(&s, send_messages);
	assert_int_equal(s.accepted, 3);
	assert_string_equal(s.body, "Subject: x\r\n\r\n.dot\r\n");
}

static void stop_fiber(void *arg)
{
	edge_finish(arg);
}

/* Clients set `stopping` to have the loop's side begin. */
static void stop_when_told(void *arg)
{
	struct stage *s = arg;
	while (!s->edge.stopping)
		fiber_sleep("for the test", 5);
	fiber_start("stop", stop_fiber, &s->edge);
}

static void start_tls(struct stage *s, struct wire *w, SSL_CTX *ctx)
{
	w->ssl = SSL_new(ctx);
	SSL_set_fd(w->ssl, w->fd);
	if (SSL_connect(w->ssl) != 1)
		s->failed = true;
}

static void end_tls(struct wire *w)
{
	SSL_free(w->ssl);
	close(w->fd);
	ERR_clear_error();
}

/* TLS from the first byte; one more client idles until the service stops. */
static void *send_under_tls(void *arg)
{
	struct stage *s = arg;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct wire w = {.fd = dial(s)}, idle = {.fd = dial(s)};
	start_tls(s, &w, ctx);
	start_tls(s, &idle, ctx);
	expect_on(s, &idle, NULL, "220");
	expect_on(s, &w, NULL, "220");
	expect_on(s, &w, "EHLO client\r\n", "250 ");
	expect_on(s, &w, "STARTTLS\r\n", "503 5.5.1");
	expect_on(s, &w, "MAIL FROM:<a@b.example>\r\n", "250 2.1.0");
	expect_on(s, &w, "RCPT TO:<c@example.org>\r\n", "250 2.1.5");
	expect_on(s, &w, "DATA\r\n", "354");
	expect_on(s, &w, "Subject: x\r\n\r\nx\r\n.\r\n", "250 2.0.0");
	expect_on(s, &w, "QUIT\r\n", "221");
	s->edge.stopping = true;
	expect_on(s, &idle, NULL, "421 4.3.2");
	end_tls(&w);
	end_tls(&idle);
	SSL_CTX_free(ctx);
	over(s);
	return NULL;
}

static void submissions(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up_for(&s, LISTENER_SUBMISSIONS);
	s.edge.tls = server_context();
	fiber_start("told", stop_when_told, &s);
	play(&s, send_under_tls);
	assert_int_equal(s.accepted, 1);
}

static void *dial_in_vain(void *arg)
{
	struct stage *s = arg;
	int fd = dial(s);
	expect(s, fd, NULL, "");
	close(fd);
	over(s);
	return NULL;
}

/* Without a certificate there is no TLS, and never plain text instead. */
static void submissions_without_certificate(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up_for(&s, LISTENER_SUBMISSIONS);
	play(&s, dial_in_vain);
}

static void *crowd(void *arg)
{
	struct stage *s = arg;
	int a = dial(s), b = dial(s);
	expect(s, a, NULL, "220");
	expect(s, b, NULL, "220");
	int c = dial(s);
	expect(s, c, NULL, "421 4.7.0");
	expect(s, c, NULL, "");
	close(c);
	hang_up(s, a);
	c = dial(s); /* a's place is free again */
	expect(s, c, NULL, "220");
	hang_up(s, b);
	hang_up(s, c);
	over(s);
	return NULL;
}

static void limit_per_address(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up(&s);
	s.edge.conf->smtp_max_sessions_per_address = 2;
	play(&s, crowd);
}

static void limit_of_all(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up(&s);
	s.edge.conf->smtp_max_sessions = 2;
	play(&s, crowd);
}

static void *too_early(void *arg)
{
	struct stage *s = arg;
	int fd = dial(s);
	expect(s, fd, NULL, "421 4.3.2");
	close(fd);
	over(s);
	return NULL;
}

static void not_ready(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up(&s);
	struct conf *conf = s.edge.conf;
	s.edge.conf = NULL;
	play(&s, too_early);
	conf_drop(conf);
}

static void *ask_in_vain(void *arg)
{
	struct stage *s = arg;
	int fd = dial(s);
	expect(s, fd, NULL, "220");
	expect(s, fd, "EHLO client\r\n", "250 ");
	expect(s, fd, "MAIL FROM:<a@b.example>\r\n", "250 2.1.0");
	expect(s, fd, "RCPT TO:<c@example.org>\r\n", "451 4.3.0");
	hang_up(s, fd);
	over(s);
	return NULL;
}

static void store_is_away(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up(&s);
	ask_link_free(s.edge.store);
	s.edge.store = NULL;
	play(&s, ask_in_vain);
}

static void store_dies_before_it_answers(void **state)
{
	(void)state;
	struct stage s = {.dies = true};
	set_up(&s);
	play(&s, send_messages);
	assert_int_equal(s.asked_again, 1);
	assert_int_equal(s.accepted, 3);
}

/* One session idles, one is inside a message, one inside a transaction. */
static void *stop_amid(void *arg)
{
	struct stage *s = arg;
	int idle = dial(s), busy = dial(s), begun = dial(s);
	expect(s, idle, NULL, "220");
	expect(s, busy, NULL, "220");
	expect(s, begun, NULL, "220");
	expect(s, busy, "EHLO client\r\n", "250 ");
	expect(s, busy, "MAIL FROM:<a@b.example>\r\n", "250");
	expect(s, busy, "RCPT TO:<c@example.org>\r\n", "250");
	expect(s, busy, "DATA\r\n", "354");
	expect(s, begun, "EHLO client\r\n", "250 ");
	expect(s, begun, "MAIL FROM:<a@b.example>\r\n", "250");
	s->edge.stopping = true;
	int64_t before = clock_steady_ms();
	expect(s, idle, NULL, "421 4.3.2");
	expect(s, idle, NULL, "");
	expect(s, begun, NULL, "421 4.3.2");
	expect(s, begun, NULL, "");
	if (clock_steady_ms() - before > 5000)
		s->failed = true;
	expect(s, busy, "Subject: x\r\n.\r\n", "250 2.0.0");
	expect(s, busy, NULL, "421 4.3.2");
	expect(s, busy, NULL, "");
	close(idle);
	close(busy);
	close(begun);
	over(s);
	return NULL;
}

static void stopping(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up(&s);
	fiber_start("told", stop_when_told, &s);
	play(&s, stop_amid);
	assert_int_equal(s.accepted, 1);
	assert_int_equal(s.edge.listeners.n, 0);
}

/* A client that sends without a pause does not keep the others waiting. On a memory stream, because
 * no client of ours is fast enough. */
struct greedy {
	struct buf input;
	struct smtp_server server;
	struct stage *stage;
	unsigned turns; /* of the others meanwhile */
	bool done;
};

static void greedy_fiber(void *arg)
{
	struct greedy *g = arg;
	struct stream *s = stream_new_memory(buf_str(&g->input), 6, NULL);
	smtp_serve(s, &g->server);
	stream_free(s);
	g->done = true;
	over(g->stage);
}

static void meek_fiber(void *arg)
{
	struct greedy *g = arg;
	while (!g->done) {
		g->turns++;
		fiber_sleep("for the test", 0);
	}
}

static void takes_turns(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up(&s);
	struct greedy g = {
		.stage = &s,
		.server = {.conf = s.edge.conf,
			.client = STR("192.0.2.1"),
			.questions = &edge_questions,
			.arg = &s.edge},
	};
	buf_init(&g.input, 1 << 20);
	for (int i = 0; i < 1600; i++)
		buf_add(&g.input, STR("NOOP\r\n"));
	fiber_start("greedy", greedy_fiber, &g);
	fiber_start("meek", meek_fiber, &g);
	loop_run();
	assert_true(g.turns > 50);
	buf_done(&g.input);
	tear_down(&s);
}

/* A session keeps the settings it began with. */
static void *change_settings(void *arg)
{
	struct stage *s = arg;
	int old = dial(s);
	expect(s, old, NULL, "220 mx.example.org ");
	s->failed |= s->edge.stopping;
	usleep(100 * 1000); /* style: a client thread; new_settings() comes meanwhile */
	int new = dial(s);
	expect(s, new, NULL, "220 new.example.org ");
	expect(s, old, "HELO x\r\n", "250 mx.example.org");
	hang_up(s, old);
	hang_up(s, new);
	over(s);
	return NULL;
}

static void new_settings(void *arg)
{
	struct stage *s = arg;
	while (!s->edge.sessions)
		fiber_sleep("for the test", 1);
	fiber_sleep("for its greeting", 20);
	conf_drop(s->edge.conf);
	s->edge.conf = conf_new();
	s->edge.conf->hostname = STR("new.example.org");
}

static void settings_change(void **state)
{
	(void)state;
	struct stage s = {0};
	set_up(&s);
	fiber_start("settings", new_settings, &s);
	play(&s, change_settings);
}

int main(void)
{
	log_open(-1, LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(submissions),
		cmocka_unit_test(submissions_without_certificate),
		cmocka_unit_test(limit_per_address),
		cmocka_unit_test(limit_of_all),
		cmocka_unit_test(not_ready),
		cmocka_unit_test(store_is_away),
		cmocka_unit_test(store_dies_before_it_answers),
		cmocka_unit_test(stopping),
		cmocka_unit_test(takes_turns),
		cmocka_unit_test(settings_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
