/* Tests of streams: strict lines however the input is cut, deadlines, back-pressure. TLS is tested
 * with the sessions that use it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/body.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/xfer.h"

/* Each line as a letter (L line, T too long, B bare, E end), lines with their text. */
static void read_all(struct str input, size_t piece, size_t max, struct buf *out)
{
	struct stream *s = stream_new_memory(input, piece, NULL);
	struct str line;
	struct err err;
	for (;;) {
		switch (stream_line(s, max, &line, &err)) {
		case STREAM_LINE:
			buf_addf(out, "L(%.*s)", STR_ARG(line));
			continue;
		case STREAM_TOO_LONG:
			buf_add_char(out, 'T');
			continue;
		case STREAM_BARE:
			buf_add_char(out, 'B');
			continue;
		case STREAM_END:
			buf_add_char(out, 'E');
			break;
		}
		break;
	}
	stream_free(s);
}

static void lines_are_strict_however_they_come(void **state)
{
	(void)state;
	static const struct {
		struct str input;
		const char *expected;
	} table[] = {
		{STR("NOOP\r\nQUIT\r\n"), "L(NOOP)L(QUIT)E"},
		{STR("\r\n\r\n"), "L()L()E"},
		{STR("NOOP\nQUIT\r\n"), "BL(QUIT)E"},
		{STR("NO\rOP\r\nQUIT\r\n"), "BL(QUIT)E"},
		{STR("\rNOOP\r\r\nX\r\n"), "BL(X)E"},
		{STR("12345678\r\n123456789\r\nok\r\n"), "L(12345678)TL(ok)E"},
		{STR("a very long line that goes on\nand on\r\nok\r\n"), "TL(and on)L(ok)E"},
		{STR("cut"), "E"},
		{STR("cut\r"), "E"},
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		for (size_t piece = 0; piece <= table[i].input.n; piece++) {
			struct buf out;
			buf_init(&out, 1000);
			read_all(table[i].input, piece, 8, &out);
			assert_string_equal(buf_c(&out), table[i].expected);
			buf_done(&out);
		}
}

static void peek_leaves_what_was_not_skipped(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100);
	struct stream *s = stream_new_memory(STR("abc\r\nrest"), 4, &out);
	struct str got;
	assert_int_equal(stream_peek(s, &got, NULL), 0);
	assert_true(str_eq(got, STR("abc\r")));
	stream_skip(s, 1);
	assert_int_equal(stream_pending(s), 3);
	assert_int_equal(stream_line(s, 10, &got, NULL), STREAM_LINE);
	assert_true(str_eq(got, STR("bc")));
	stream_put(s, STR("one "));
	stream_putf(s, "%s", "two");
	assert_int_equal(out.n, 0); /* gathered */
	assert_int_equal(stream_peek(s, &got, NULL), 0);
	stream_flush(s, NULL);
	assert_string_equal(buf_c(&out), "one two");
	stream_free(s);
	buf_done(&out);
}

static void a_deadline_ends_a_peer_that_trickles(void **state)
{
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct stream *s = stream_new_fd(pair[0]);
	stream_set_timeout(s, 1000);
	stream_set_deadline(s, clock_steady_ms() + 60);
	assert_int_equal(write(pair[1], "half a li", 9), 9);
	struct str line;
	struct err err;
	int64_t begin = clock_steady_ms();
	assert_int_equal(stream_line(s, 100, &line, &err), STREAM_END);
	assert_true(clock_steady_ms() - begin < 500);
	assert_int_equal(err.kind, ERR_TEMP);
	assert_non_null(strstr(err.log, "timed out"));
	assert_true(stream_dead(s));
	stream_free(s);
	close(pair[1]);
}

/* A byte every ten milliseconds, or as often one byte less to read: to every single wait that looks
 * like a peer at work. */
struct trickle {
	int fd;
	bool takes;
	bool over;
};

static void trickle(void *arg)
{
	struct trickle *t = arg;
	char byte = 'x';
	for (int i = 0; i < 300 && !t->over; i++) {
		fiber_sleep("for the next byte", 10);
		ssize_t n = t->takes ? recv(t->fd, &byte, 1, MSG_DONTWAIT)
							 : send(t->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break; /* shut */
	}
	close(t->fd);
	loop_stop();
}

struct late {
	void (*wait)(struct stream *s, struct err *err);
	struct stream *s;
	struct trickle *peer;
	int64_t took_ms;
	struct err err;
};

static void read_line(struct stream *s, struct err *err)
{
	struct str line;
	stream_set_line_timeout(s, 80);
	assert_int_equal(stream_line(s, 1000, &line, err), STREAM_END);
}

static void read_slow_content(struct stream *s, struct err *err)
{
	struct str some;
	stream_set_pace(s, 1000, 80);
	while (stream_peek(s, &some, err) == 0)
		stream_skip(s, some.n);
}

static void fill_its_buffer(struct stream *s, struct err *err)
{
	static char much[4 * 1024 * 1024];
	stream_set_timeout(s, 80);
	stream_put(s, str_make(much, sizeof much));
	assert_int_equal(stream_flush(s, err), -1);
}

static void be_late(void *arg)
{
	struct late *l = arg;
	int64_t begin = clock_steady_ms();
	l->wait(l->s, &l->err);
	l->took_ms = clock_steady_ms() - begin;
	assert_true(stream_timed_out(l->s));
	stream_free(l->s);
	l->peer->over = true;
}

static void who_trickles_is_shut_in_time(void **state)
{
	(void)state;
	static void (*const waits[])(struct stream *, struct err *) = {
		read_line, read_slow_content, fill_its_buffer};
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
		int pair[2];
		loop_init();
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		struct trickle peer = {.fd = pair[1], .takes = waits[i] == fill_its_buffer};
		struct late late = {.wait = waits[i], .s = stream_new_fd(pair[0]), .peer = &peer};
		fiber_start("peer", trickle, &peer);
		fiber_start("late", be_late, &late);
		loop_run();
		assert_true(late.took_ms >= 70 && late.took_ms < 1000);
		assert_non_null(strstr(late.err.log, "timed out"));
		loop_done();
	}
}

/* Fast enough, if only just: nobody who keeps the pace is shut. */
static void who_keeps_the_pace_goes_on(void **state)
{
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct stream *s = stream_new_fd(pair[0]);
	struct str some;
	stream_set_pace(s, 10, 200);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(write(pair[1], "0123456789", 10), 10);
		fiber_sleep("for the next bytes", 60);
		assert_int_equal(stream_peek(s, &some, NULL), 0);
		stream_skip(s, some.n);
	}
	stream_set_pace(s, 0, 0);
	fiber_sleep("beyond the pace", 250);
	assert_int_equal(write(pair[1], "x", 1), 1);
	assert_int_equal(stream_peek(s, &some, NULL), 0);
	stream_free(s);
	close(pair[1]);
}

enum { MUCH = 3 * 1024 * 1024 };
static int speed_pair[2];
static size_t received;

static void write_much(void *arg)
{
	(void)arg;
	struct stream *s = stream_new_fd(speed_pair[0]);
	char *text = mem_new(MUCH);
	memset(text, 'z', MUCH);
	stream_put(s, str_make(text, MUCH / 2));
	for (int i = 0; i < MUCH / 2; i += 1024)
		stream_put(s, str_make(text, 1024));
	assert_int_equal(stream_flush(s, NULL), 0);
	free(text);
	stream_close(s);
}

static void read_much(void *arg)
{
	(void)arg;
	struct stream *s = stream_new_fd(speed_pair[1]);
	struct str got;
	while (stream_peek(s, &got, NULL) == 0) {
		received += got.n;
		stream_skip(s, got.n);
		if (received % 7 == 0)
			fiber_sleep("to be slow", 1);
	}
	stream_free(s);
	loop_stop();
}

static void a_slow_reader_slows_the_writer(void **state)
{
	(void)state;
	loop_init();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, speed_pair), 0);
	fiber_start("writer", write_much, NULL);
	fiber_start("reader", read_much, NULL);
	loop_run();
	assert_int_equal(received, MUCH);
	loop_done();
}

static int talkers;

static void talker_done(void)
{
	if (--talkers == 0)
		loop_stop();
}

/* A client that goes on talking when we have ended must still be able to read why. */
static void say_goodbye(void *arg)
{
	struct stream *s = stream_new_fd(*(int *)arg);
	struct str line;
	assert_int_equal(stream_line(s, 100, &line, NULL), STREAM_LINE);
	stream_put(s, STR("421 enough\r\n"));
	stream_linger(s);
	stream_free(s);
	talker_done();
}

static void talk_on(void *arg)
{
	int fd = *(int *)arg;
	char got[100];
	for (int i = 0; i < 20; i++) {
		assert_int_equal(send(fd, "RSET\r\n", 6, MSG_NOSIGNAL), 6);
		fiber_sleep("a moment", 1);
	}
	assert_int_equal(recv(fd, got, sizeof got, 0), 12);
	close(fd); /* which ends the server's lingering */
	talker_done();
}

/* The two ends of a TCP connection. */
static int connected(int *ret_client)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof sa;
	int listening = socket(AF_INET, SOCK_STREAM, 0);
	*ret_client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listening, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(listening, 1), 0);
	getsockname(listening, (struct sockaddr *)&sa, &n);
	assert_int_equal(connect(*ret_client, (struct sockaddr *)&sa, n), 0);
	int server = accept(listening, NULL, NULL);
	close(listening);
	return server;
}

static void last_words_are_not_lost_to_a_reset(void **state)
{
	(void)state;
	int client, server = connected(&client);
	loop_init();
	talkers = 2;
	fiber_start("server", say_goodbye, &server);
	fiber_start("client", talk_on, &client);
	loop_run();
	loop_done();
}

/* The last words of a peer that sends and closes in one breath must not wait for a time-out. */
static void read_until_closed(void *arg)
{
	struct stream *s = stream_new_fd(*(int *)arg);
	struct str line;
	assert_int_equal(stream_line(s, 100, &line, NULL), STREAM_LINE);
	assert_int_equal(stream_line(s, 100, &line, NULL), STREAM_END);
	stream_free(s);
	loop_stop();
}

static void a_close_right_after_data_is_seen(void **state)
{
	(void)state;
	int pair[2];
	loop_init();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fiber_start("reader", read_until_closed, &pair[0]);
	assert_int_equal(write(pair[1], "QUIT\r\n", 6), 6);
	close(pair[1]);
	int64_t begin = clock_steady_ms();
	loop_run();
	assert_true(clock_steady_ms() - begin < 1000);
	loop_done();
}

/* A reset right behind data is told in the same event as the data, and never again. */
static void read_until_reset(void *arg)
{
	struct stream *s = stream_new_fd(*(int *)arg);
	struct str line;
	struct err err;
	stream_set_timeout(s, 20 * 1000);
	assert_int_equal(stream_line(s, 100, &line, &err), STREAM_END);
	assert_non_null(strstr(err.log, "reset"));
	stream_free(s);
	talker_done();
}

static void break_off(void *arg)
{
	int fd = *(int *)arg;
	fiber_sleep("until the reader waits", 20);
	assert_int_equal(send(fd, "half a li", 9, 0), 9);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
	close(fd);
	talker_done();
}

static void a_reset_right_after_data_is_seen(void **state)
{
	(void)state;
	int client, server = connected(&client);
	loop_init();
	talkers = 2;
	fiber_start("reader", read_until_reset, &server);
	fiber_start("peer", break_off, &client);
	int64_t begin = clock_steady_ms();
	loop_run();
	assert_true(clock_steady_ms() - begin < 10 * 1000);
	loop_done();
}

static void bodies_are_sealed(void **state)
{
	(void)state;
	struct err err;
	struct body body;
	struct body_writer *w = body_writer_new(NULL, NULL);
	char block[1000];
	memset(block, 'b', sizeof block);
	for (int i = 0; i < 200; i++)
		assert_int_equal(body_writer_add(w, str_make(block, sizeof block), &err), 0);
	assert_int_equal(body_writer_size(w), 200000);
	assert_int_equal(body_writer_finish(w, &body, &err), 0);
	assert_int_equal(body_check(body.fd, &err), 200000);
	assert_int_equal(pwrite(body.fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(body.fd, 0), -1);
	struct str mapped;
	assert_int_equal(body_map(body.fd, 100, &mapped, &err), -1); /* larger than allowed */
	assert_int_equal(body_map(body.fd, 200000, &mapped, &err), 0);
	assert_int_equal(mapped.p[199999], 'b');
	body_unmap(mapped);
	close(body.fd);
	int open_fd = memfd_create("open", MFD_ALLOW_SEALING);
	assert_int_equal(body_check(open_fd, &err), -1);
	close(open_fd);
}

struct sample {
	uint8_t a;
	uint64_t b;
	int64_t c;
	bool d;
	struct str e;
	uint32_t *list, n;
};

static void xfer_sample(struct xfer *x, struct sample *v)
{
	xfer_u8(x, &v->a);
	xfer_u64(x, &v->b);
	xfer_i64(x, &v->c);
	xfer_bool(x, &v->d);
	xfer_str(x, &v->e, 10);
	xfer_list(x, &v->list, &v->n, sizeof *v->list, 4);
	for (uint32_t i = 0; i < v->n; i++)
		xfer_u32(x, &v->list[i]);
}

static void xfer_reads_back_only_what_is_whole(void **state)
{
	(void)state;
	uint32_t list[] = {1, 2, 3};
	struct sample in = {200, UINT64_MAX, -5, true, STR("hello"), list, 3}, out;
	struct buf b;
	buf_init(&b, 1000);
	struct arena *arena = arena_new();
	struct xfer x = xfer_writer(&b);
	xfer_sample(&x, &in);
	assert_true(xfer_done(&x));
	x = xfer_reader(buf_str(&b), arena);
	xfer_sample(&x, &out);
	assert_true(xfer_done(&x));
	assert_true(out.b == UINT64_MAX && out.c == -5 && out.d && out.list[2] == 3);
	assert_true(str_eq(out.e, STR("hello")));
	for (size_t n = 0; n < b.n; n++) { /* cut anywhere */
		x = xfer_reader(str_take(buf_str(&b), n), arena);
		xfer_sample(&x, &out);
		assert_false(xfer_done(&x));
	}
	buf_add_char(&b, 'x'); /* one too many */
	x = xfer_reader(buf_str(&b), arena);
	xfer_sample(&x, &out);
	assert_false(xfer_done(&x));
	arena_free(arena);
	buf_done(&b);
	in.e = STR("longer than ten");
	buf_init(&b, 1000);
	x = xfer_writer(&b);
	xfer_sample(&x, &in);
	assert_false(xfer_done(&x));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_strict_however_they_come),
		cmocka_unit_test(peek_leaves_what_was_not_skipped),
		cmocka_unit_test(a_deadline_ends_a_peer_that_trickles),
		cmocka_unit_test(who_trickles_is_shut_in_time),
		cmocka_unit_test(who_keeps_the_pace_goes_on),
		cmocka_unit_test(a_slow_reader_slows_the_writer),
		cmocka_unit_test(last_words_are_not_lost_to_a_reset),
		cmocka_unit_test(a_close_right_after_data_is_seen),
		cmocka_unit_test(a_reset_right_after_data_is_seen),
		cmocka_unit_test(bodies_are_sealed),
		cmocka_unit_test(xfer_reads_back_only_what_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
