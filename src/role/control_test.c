/* The control socket with a store played by the test: what is let through, what is refused, and what
 * store gets to see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <event2/keyvalq_struct.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ask/ask_mail.h"
#include "ask/questions.h"
#include "io/body.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/stream.h"
#include "role/control.h"
#include "role/http_gate.h"

/* ---- the gate alone */

static const char *gate(const char *const *lines)
{
	static struct evkeyval fields[8];
	struct evkeyvalq headers = {.tqh_first = fields};
	for (int i = 0; lines[2 * i]; i++) {
		fields[i].key = (char *)lines[2 * i];
		fields[i].value = (char *)lines[2 * i + 1];
		fields[i].next.tqe_next = lines[2 * i + 2] ? &fields[i + 1] : NULL;
	}
	return http_gate(&headers);
}

#define GATE(...) gate((const char *const[]){__VA_ARGS__, NULL})

static void the_gate_refuses_what_two_readers_could_see_differently(void **state)
{
	(void)state;
	assert_null(GATE("Host", "x"));
	assert_null(GATE("host", "x", "content-length", "12"));
	assert_null(GATE("Host", "x", "Transfer-Encoding", "Chunked"));
	assert_non_null(GATE("Content-Length", "0"));
	assert_non_null(GATE("Host", "x", "HOST", "y"));
	assert_non_null(GATE("Host", "x", "Content-Length", "1", "Content-Length", "1"));
	assert_non_null(GATE("Host", "x", "Content-Length", "+1"));
	assert_non_null(GATE("Host", "x", "Content-Length", "-1"));
	assert_non_null(GATE("Host", "x", "Content-Length", ""));
	assert_non_null(GATE("Host", "x", "Content-Length", "1 1"));
	assert_non_null(GATE("Host", "x", "Content-Length", "99999999999999999999"));
	assert_non_null(GATE("Host", "x", "Transfer-Encoding", "gzip, chunked"));
	assert_non_null(
		GATE("Host", "x", "Transfer-Encoding", "chunked", "Transfer-Encoding", "chunked"));
	assert_non_null(GATE("Host", "x", "Transfer-Encoding", "chunked", "Content-Length", "1"));
	assert_non_null(GATE("Host", "x", "X ", "1"));
	assert_non_null(GATE("Host", "x", "X", "a\tb"));
	assert_non_null(GATE("Host", "x", "", "1"));
}

/* ---- the whole road, over a socket */

static struct {
	char path[80];
	struct control *control;
	struct ask_link *store, *far_store;
	int asked;
	char verb[64], args[256], raw[256];
	bool no_answer, slow;
	struct str request; /* what the client says */
	struct buf reply;
} t;

static void store_answers(struct ask_question *q, void *arg)
{
	struct ask_admin ask = {0};
	struct ask_admin_answer answer = {.status = 200, .json = STR("{\"done\":true}")};
	struct ucred caller;
	socklen_t n = sizeof caller;
	struct str raw;
	(void)arg;
	t.asked++;
	assert_int_equal(ask_take(q, xfer_ask_admin, &ask), 0);
	str_to_c(ask.verb, t.verb, sizeof t.verb);
	str_to_c(ask.args, t.args, sizeof t.args);
	/* The caller's own connection came along. */
	assert_int_equal(getsockopt(q->fd[0], SOL_SOCKET, SO_PEERCRED, &caller, &n), 0);
	assert_int_equal(caller.pid, getpid());
	t.raw[0] = 0;
	if (q->fd[1] >= 0) {
		assert_true(body_check(q->fd[1], &q->err) >= 0); /* sealed */
		assert_int_equal(body_map(q->fd[1], 1024, &raw, &q->err), 0);
		str_to_c(raw, t.raw, sizeof t.raw);
		body_unmap(raw);
	}
	if (t.slow)
		fiber_sleep("as a store at work", 100);
	if (t.no_answer)
		err_temp(&q->err, "busy", "busy");
	else
		ask_answer(q, xfer_ask_admin_answer, &answer);
}

static int set_up(void **state)
{
	(void)state;
	int pair[2];
	struct err err;
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	memset(&t, 0, sizeof t);
	buf_init(&t.reply, 1 << 20);
	loop_init();
	snprintf(t.path, sizeof t.path, "/tmp/control-test-%d.sock", (int)getpid());
	unlink(t.path);
	memcpy(sa.sun_path, t.path, sizeof t.path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 8), 0);
	t.control = control_new();
	assert_int_equal(control_listen(t.control, fd, &err), 0);
	ask_pair(pair);
	t.far_store = ask_link_new(pair[0], "control", store_answers, NULL, NULL);
	t.store = ask_link_new(pair[1], "store", NULL, NULL, NULL);
	control_set_store(t.control, t.store);
	return 0;
}

/* Lets what is under way end, so that nothing is left to the leak checker. */
static void settle(void *arg)
{
	(void)arg;
	fiber_sleep("for the links to end", 20);
	loop_stop();
}

static int tear_down(void **state)
{
	(void)state;
	control_set_store(t.control, NULL);
	ask_link_free(t.store);
	ask_link_free(t.far_store);
	fiber_start("settle", settle, NULL);
	loop_run();
	assert_int_equal(control_busy(t.control), 0);
	control_free(t.control);
	loop_done();
	unlink(t.path);
	buf_done(&t.reply);
	return 0;
}

static void client(void *arg)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct err err = {0};
	struct str piece;
	(void)arg;
	memcpy(sa.sun_path, t.path, sizeof t.path);
	struct stream *s = stream_connect((struct sockaddr *)&sa, sizeof sa, 1000, &err);
	if (!s)
		fail_msg("%s", err.log);
	stream_set_timeout(s, 2000);
	stream_put(s, t.request);
	while (stream_peek(s, &piece, &err) == 0) {
		buf_add(&t.reply, piece);
		stream_skip(s, piece.n);
		if (memmem(t.reply.p, t.reply.n, "}\n", 2))
			break; /* answers end so; the connection may stay */
	}
	stream_free(s);
	loop_stop();
}

/* Sends a request; the status of the answer. */
static int say(const char *request)
{
	t.request = str_from_c(request);
	buf_clear(&t.reply);
	fiber_start("client", client, NULL);
	loop_run();
	uint64_t status = 0;
	assert_true(t.reply.n > 12);
	assert_true(str_to_u64(str_make(t.reply.p + 9, 3), 999, &status));
	return (int)status;
}

static bool replied(const char *text)
{
	return memmem(t.reply.p, t.reply.n, text, strlen(text)) != NULL;
}

static void a_verb_goes_to_store_with_its_arguments(void **state)
{
	(void)state;
	assert_int_equal(say("POST /v1/config.get HTTP/1.1\r\nHost: x\r\nContent-Length: "
						 "15\r\n\r\n{\"key\":\"a.b.c\"}"),
		200);
	assert_string_equal(t.verb, "config.get");
	assert_string_equal(t.args, "{\"key\":\"a.b.c\"}");
	assert_string_equal(t.raw, "");
	assert_true(replied("{\"done\":true}"));
	assert_true(replied("application/json"));
}

static void raw_bytes_come_sealed_beside_their_arguments(void **state)
{
	(void)state;
	assert_int_equal(
		say("POST /v1/cert.import HTTP/1.1\r\nHost: x\r\nLetterlock-Args: {\"a\":1}\r\n"
			"Content-Length: 5\r\n\r\nBYTES"),
		200);
	assert_string_equal(t.args, "{\"a\":1}");
	assert_string_equal(t.raw, "BYTES");
}

static void what_is_no_verb_never_reaches_store(void **state)
{
	(void)state;
	assert_int_equal(say("POST /v1/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 404);
	assert_int_equal(say("POST /v1/Config HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 404);
	assert_int_equal(say("POST /v1/../etc HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 404);
	assert_int_equal(say("POST /status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 404);
	assert_int_equal(say("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"), 405);
	assert_int_equal(say("POST /v1/status HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), 400);
	assert_int_equal(say("POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
						 "Content-Length: 5\r\n\r\n"),
		400);
	assert_int_equal(t.asked, 0);
}

static void without_store_the_answer_is_503(void **state)
{
	(void)state;
	static const char request[] =
		"POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
	t.no_answer = true;
	assert_int_equal(say(request), 503);
	assert_true(replied("\"error\""));
	control_set_store(t.control, NULL);
	assert_int_equal(say(request), 503);
}

/* Says its request and goes before it is answered. */
static void rude_client(void *arg)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct err err = {0};
	(void)arg;
	memcpy(sa.sun_path, t.path, sizeof t.path);
	struct stream *s = stream_connect((struct sockaddr *)&sa, sizeof sa, 1000, &err);
	assert_non_null(s);
	stream_put(s, STR("POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"));
	assert_int_equal(stream_flush(s, &err), 0);
	stream_free(s);
	fiber_sleep("for store to be asked", 50);
	assert_int_equal(control_busy(t.control), t.slow ? 1 : 0);
	fiber_sleep("for its answer to nobody", t.slow ? 100 : 0);
	loop_stop();
}

static void a_client_that_goes_away_harms_nobody(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		t.slow = i;
		fiber_start("rude", rude_client, NULL);
		loop_run();
		assert_int_equal(control_busy(t.control), 0);
	}
	t.slow = false;
	assert_int_equal(say("POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 200);
}

static void a_body_has_a_limit(void **state)
{
	(void)state;
	assert_int_equal(
		say("POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{}\n"), 413);
	assert_int_equal(t.asked, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_gate_refuses_what_two_readers_could_see_differently),
		TEST(a_verb_goes_to_store_with_its_arguments),
		TEST(raw_bytes_come_sealed_beside_their_arguments),
		TEST(what_is_no_verb_never_reaches_store),
		TEST(without_store_the_answer_is_503),
		TEST(a_client_that_goes_away_harms_nobody),
		TEST(a_body_has_a_limit),
	};
	signal(SIGPIPE, SIG_IGN); /* as every role */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
