/* Tests of fibers and of the transport of questions: order, credits, descriptors, long bodies, the
 * end of a link at any moment, a hostile peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/ask.h"
#include "io/body.h"
#include "io/fiber.h"
#include "io/loop.h"

enum { KIND_ECHO = 1, KIND_FAIL, KIND_NEVER, KIND_SLOW };

static struct ask_link *asks, *answers;
static int goners, served, most_at_once, at_once;

static void handler(struct ask_question *q, void *arg)
{
	(void)arg;
	served++;
	if (++at_once > most_at_once)
		most_at_once = at_once;
	if (q->kind == KIND_SLOW)
		fiber_sleep("to be slow", 50);
	if (q->kind == KIND_NEVER)
		fiber_sleep("for ever", 300); /* longer than the link lives */
	if (q->kind == KIND_FAIL) {
		err_perm(&q->err, "not so", "because of %d", 7);
	} else {
		q->answer = q->body;
		q->answer_fd[0] = q->fd[0];
		q->fd[0] = -1;
	}
	at_once--;
}

static void gone(struct ask_link *l, void *arg)
{
	(void)l, (void)arg;
	goners++;
}

static int set_up(void **state)
{
	(void)state;
	loop_init();
	int pair[2];
	ask_pair(pair);
	asks = ask_link_new(pair[0], "answers", NULL, gone, NULL);
	answers = ask_link_new(pair[1], "asks", handler, gone, NULL);
	goners = served = most_at_once = at_once = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ask_link_free(asks);
	ask_link_free(answers);
	while (fiber_count() > 0) {
		struct timeval tv = {.tv_usec = 1000};
		event_base_loopexit(loop_base(), &tv);
		loop_run();
	}
	loop_done();
	return 0;
}

static int running;
static void (*test_body)(void);

static void run_one(void *arg)
{
	(void)arg;
	test_body();
	if (--running == 0)
		loop_stop();
}

/* Runs `body` in `n` fibers until all have returned. */
static void in_fibers(int n, void (*body)(void))
{
	test_body = body;
	running = n;
	for (int i = 0; i < n; i++)
		fiber_start("test", run_one, NULL);
	loop_run();
}

static void ask_echo(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	assert_int_equal(ask_call(asks, KIND_ECHO, STR("hello"), NULL, 1000, arena, &a, &err), 0);
	assert_true(str_eq(a.body, STR("hello")));
	assert_int_equal(a.fd[0], -1);
	arena_free(arena);
}

static void answers_come_back(void **state)
{
	(void)state;
	in_fibers(300, ask_echo);
	assert_int_equal(served, 300);
}

static void ask_fail(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	assert_int_equal(ask_call(asks, KIND_FAIL, STR(""), NULL, 1000, arena, &a, &err), -1);
	assert_int_equal(err.kind, ERR_PERM);
	assert_string_equal(err.peer, "not so");
	assert_string_equal(err.log, "because of 7");
	arena_free(arena);
}

static void errors_come_back_whole(void **state)
{
	(void)state;
	in_fibers(3, ask_fail);
}

static void ask_with_descriptor(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	int fd = body_from_str(STR("sealed"), "test", &err);
	assert_int_equal(
		ask_call(asks, KIND_ECHO, STR("x"), (int[]){fd, -1}, 1000, arena, &a, &err), 0);
	close(fd);
	struct str back;
	assert_int_equal(body_map(a.fd[0], 100, &back, &err), 0);
	assert_true(str_eq(back, STR("sealed")));
	body_unmap(back);
	close(a.fd[0]);
	arena_free(arena);
}

static void descriptors_travel(void **state)
{
	(void)state;
	in_fibers(20, ask_with_descriptor);
}

static void ask_long(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	size_t n = 3 * 1024 * 1024;
	char *text = mem_new(n);
	memset(text, 'y', n);
	int fd = body_from_str(STR("beside"), "test", &err);
	assert_int_equal(
		ask_call(asks, KIND_ECHO, str_make(text, n), (int[]){fd, -1}, 1000, arena, &a, &err), 0);
	assert_true(str_eq(a.body, str_make(text, n)));
	assert_true(a.fd[0] >= 0);
	close(a.fd[0]);
	close(fd);
	free(text);
	arena_free(arena);
}

static void long_bodies_travel_as_memory_files(void **state)
{
	(void)state;
	in_fibers(3, ask_long);
}

static void ask_slow(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	assert_int_equal(ask_call(asks, KIND_SLOW, STR("s"), NULL, 20000, arena, &a, &err), 0);
	arena_free(arena);
}

static void credits_bound_what_is_under_way(void **state)
{
	(void)state;
	in_fibers(ASK_CREDITS * 3, ask_slow);
	assert_int_equal(served, ASK_CREDITS * 3);
	assert_true(most_at_once <= ASK_CREDITS);
	assert_true(most_at_once > ASK_CREDITS / 2);
}

static void ask_never(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	assert_int_equal(ask_call(asks, KIND_NEVER, STR(""), NULL, 60000, arena, &a, &err), -1);
	assert_int_equal(err.kind, ERR_TEMP);
	arena_free(arena);
}

static void cut(void *arg)
{
	(void)arg;
	fiber_sleep("a little", 20);
	ask_link_free(answers);
	answers = NULL;
}

static void the_end_of_a_link_fails_what_is_open(void **state)
{
	(void)state;
	fiber_start("cut", cut, NULL);
	in_fibers(ASK_CREDITS + 50, ask_never); /* some of them wait for credit */
	assert_int_equal(goners, 1);            /* not for the link we freed ourselves */
	assert_false(ask_link_alive(asks));
	in_fibers(1, ask_never); /* a dead link answers at once */
}

static void ask_impatient(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	assert_int_equal(ask_call(asks, KIND_SLOW, STR(""), NULL, 1, arena, &a, &err), -1);
	assert_non_null(strstr(err.log, "did not answer"));
	fiber_sleep("for the late answer", 30); /* which must find nobody, and hurt nobody */
	assert_int_equal(ask_call(asks, KIND_ECHO, STR("again"), NULL, 1000, arena, &a, &err), 0);
	arena_free(arena);
}

static void late_answers_are_dropped(void **state)
{
	(void)state;
	in_fibers(5, ask_impatient);
}

static void tell_many(void)
{
	for (int i = 0; i < 100; i++)
		assert_int_equal(ask_tell(asks, KIND_ECHO, STR("told"), NULL), 0);
	while (served < 100)
		fiber_sleep("to be heard", 1);
}

static void told_things_arrive(void **state)
{
	(void)state;
	in_fibers(1, tell_many);
}

/* Outside a fiber the same call blocks; the peer is a process of its own. */
static void outside_a_fiber_it_blocks(void **state)
{
	(void)state;
	int pair[2];
	ask_pair(pair);
	pid_t pid = fork();
	if (pid == 0) {
		char packet[100];
		ssize_t n = recv(pair[1], packet, sizeof packet, 0);
		packet[6] |= 1;    /* the flag of an answer */
		poll(NULL, 0, 10); /* a moment */
		send(pair[1], packet, (size_t)n, 0);
		_exit(0);
	}
	close(pair[1]);
	struct ask_link *l = ask_link_new(pair[0], "child", NULL, NULL, NULL);
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	assert_int_equal(ask_call(l, KIND_ECHO, STR("hi"), NULL, 5000, arena, &a, &err), 0);
	assert_true(str_eq(a.body, STR("hi")));
	assert_int_equal(ask_call(l, KIND_ECHO, STR("hi"), NULL, 5000, arena, &a, &err), -1);
	assert_int_equal(err.kind, ERR_TEMP);
	arena_free(arena);
	ask_link_free(l);
}

static void send_raw(const char *bytes, size_t n)
{
	int pair[2];
	ask_pair(pair);
	struct ask_link *l = ask_link_new(pair[0], "stranger", handler, gone, NULL);
	send(pair[1], bytes, n, 0);
	goners = 0;
	for (int i = 0; i < 50 && goners == 0; i++)
		fiber_sleep("for the packet to be seen", 1);
	assert_int_equal(goners, 1);
	ask_link_free(l);
	close(pair[1]);
}

static void be_hostile(void)
{
	send_raw("abc", 3);                /* shorter than a header */
	send_raw("\x05\0\0\0\1\0\1\0", 8); /* an answer that was not asked */
	send_raw("\x05\0\0\0\1\0\4\0", 8); /* long, but no memory file came */
	char big[ASK_PACKET_MAX + 100] = {0};
	send_raw(big, sizeof big);
}

static void broken_packets_end_the_link(void **state)
{
	(void)state;
	in_fibers(1, be_hostile);
	assert_int_equal(served, 0);
}

/* ---- descriptors nobody asked for ---- */

static int open_descriptors(void)
{
	int n = 0;
	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* One packet of `n` bytes with `count` descriptors, all of them standard input. */
static void send_descriptors(int to, const char *bytes, size_t n, int count)
{
	enum { MOST = 64 };
	union {
		char room[CMSG_SPACE(MOST * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN((size_t)count * sizeof(int))};
	memset(CMSG_DATA(c), 0, (size_t)count * sizeof(int));
	assert_int_equal(sendmsg(to, &m, 0), n);
}

static void flood(void)
{
	static const char question[8] = {1, 0, 0, 0, KIND_ECHO, 0, 0, 0};
	for (int count = 3; count <= 64; count++) {
		int pair[2];
		ask_pair(pair);
		struct ask_link *l = ask_link_new(pair[0], "stranger", handler, gone, NULL);
		int before = open_descriptors();
		goners = 0;
		send_descriptors(pair[1], question, count % 2 ? sizeof question : 0, count);
		for (int i = 0; i < 50 && goners == 0; i++)
			fiber_sleep("for the packet to be seen", 1);
		assert_int_equal(goners, 1);
		assert_int_equal(open_descriptors(), before - 1);
		ask_link_free(l);
		close(pair[1]);
	}
}

static void too_many_descriptors_end_the_link_and_none_stays(void **state)
{
	(void)state;
	in_fibers(1, flood);
	assert_int_equal(served, 0);
}

/* ---- a process that has no descriptor left ---- */

static struct rlimit before_shortage;

/* From `lowest` on. */
static void no_descriptor_left(int lowest)
{
	getrlimit(RLIMIT_NOFILE, &before_shortage);
	struct rlimit none = before_shortage;
	none.rlim_cur = (rlim_t)lowest;
	setrlimit(RLIMIT_NOFILE, &none);
}

static void ask_without_room(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	int lowest = dup(0);
	close(lowest);
	no_descriptor_left(lowest);
	int status = ask_call(asks, KIND_ECHO, STR("x"), (int[]){0, -1}, 1000, arena, &a, &err);
	setrlimit(RLIMIT_NOFILE, &before_shortage);
	assert_int_equal(status, -1);
	assert_int_equal(err.kind, ERR_TEMP);
	arena_free(arena);
	ask_echo();
	ask_with_descriptor();
}

/* Here both ends are in one process, so it is the question that arrives without its descriptor. */
static void a_lost_descriptor_fails_one_question(void **state)
{
	(void)state;
	in_fibers(1, ask_without_room);
	assert_int_equal(goners, 0);
}

static void hand_out_standard_input(struct ask_question *q, void *arg)
{
	(void)arg;
	q->answer_fd[0] = fcntl(0, F_DUPFD_CLOEXEC, 0);
	if (q->kind == KIND_SLOW)
		no_descriptor_left(q->answer_fd[0]);
}

static void get_without_room(void)
{
	struct arena *arena = arena_new();
	struct ask_answer a;
	struct err err;
	assert_int_equal(ask_call(asks, KIND_SLOW, STR("x"), NULL, 1000, arena, &a, &err), -1);
	setrlimit(RLIMIT_NOFILE, &before_shortage);
	assert_int_equal(err.kind, ERR_TEMP);
	assert_int_equal(ask_call(asks, KIND_ECHO, STR("x"), NULL, 1000, arena, &a, &err), 0);
	assert_true(a.fd[0] >= 0);
	close(a.fd[0]);
	arena_free(arena);
}

static void an_answers_lost_descriptor_fails_that_question(void **state)
{
	(void)state;
	int pair[2];
	ask_link_free(asks);
	ask_link_free(answers);
	ask_pair(pair);
	asks = ask_link_new(pair[0], "answers", NULL, gone, NULL);
	answers = ask_link_new(pair[1], "asks", hand_out_standard_input, gone, NULL);
	in_fibers(1, get_without_room);
	assert_int_equal(goners, 0);
}

/* ---- a peer that asks and asks and never reads an answer ---- */

static void ask_and_never_read(void)
{
	enum { BODY = 16 * 1024, QUESTIONS = 8 * ASK_CREDITS };
	static char packet[8 + BODY] = {[4] = KIND_ECHO};
	int pair[2];
	ask_pair(pair);
	struct ask_link *l = ask_link_new(pair[0], "glutton", handler, gone, NULL);
	goners = 0;
	for (int i = 0; i < QUESTIONS && goners == 0; i++) {
		packet[0] = (char)i;
		if (send(pair[1], packet, sizeof packet, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
			errno == EAGAIN)
			i--;
		fiber_sleep("for the answer to pile up", 0);
	}
	assert_int_equal(goners, 1);
	assert_true(served < 2 * ASK_CREDITS);
	ask_link_free(l);
	close(pair[1]);
}

static void unread_answers_do_not_pile_up(void **state)
{
	(void)state;
	in_fibers(1, ask_and_never_read);
}

/* A long body that its sender could still change, or cut short under the reader's feet. */
static void send_unsealed(void)
{
	static const char question[8] = {1, 0, 0, 0, KIND_ECHO, 0, 4, 0};
	char name[] = "/tmp/ask_test.XXXXXX";
	int writable = mkstemp(name), readable = open(name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(write(writable, "long", 4), 4);
	unlink(name);
	int pair[2], standard_input = dup(0);
	ask_pair(pair);
	struct ask_link *l = ask_link_new(pair[0], "stranger", handler, gone, NULL);
	goners = 0;
	dup2(readable, 0);
	send_descriptors(pair[1], question, sizeof question, 1);
	dup2(standard_input, 0);
	for (int i = 0; i < 50 && goners == 0; i++)
		fiber_sleep("for the packet to be seen", 1);
	assert_int_equal(goners, 1);
	ask_link_free(l);
	close(pair[1]);
	close(standard_input);
	close(writable);
	close(readable);
}

static void long_bodies_are_sealed_or_refused(void **state)
{
	(void)state;
	in_fibers(1, send_unsealed);
	assert_int_equal(served, 0);
}

/* ---- fibers ---- */

static struct fiber *sleeper;
static char order[64];

static void sleep_long(void)
{
	sleeper = fiber_self();
	strcat(order, "a"); /* style: a test */
	assert_true(fiber_park("to be woken", 5000));
	strcat(order, "d"); /* style: a test */
}

static void wake_it(void *arg)
{
	(void)arg;
	strcat(order, "b"); /* style: a test */
	errno = 42;
	fiber_wake(sleeper);
	strcat(order, "c"); /* style: a test */
	assert_int_equal(errno, 42);
}

static void a_woken_fiber_runs_from_the_loop(void **state)
{
	(void)state;
	order[0] = 0;
	test_body = sleep_long;
	running = 1;
	fiber_start("sleeper", run_one, NULL);
	fiber_start("waker", wake_it, NULL);
	loop_run();
	assert_string_equal(order, "abcd");
	unsigned seen = 0;
	struct fiber_info info;
	for (struct fiber *f = NULL; (f = fiber_next(f, &info));)
		seen++;
	assert_int_equal(seen, fiber_count());
}

enum { DEEP = 300 * 1000 };

static void use_much_stack(void *arg)
{
	volatile char much[DEEP];
	much[0] = much[DEEP - 1] = 1;
	*(int *)arg = much[0] + much[DEEP - 1];
	assert_null(fiber_self());
}

static void call_deep(void)
{
	int result = 0;
	struct fiber *self = fiber_self();
	fiber_call_deep(use_much_stack, &result);
	assert_int_equal(result, 2);
	assert_ptr_equal(fiber_self(), self);
	fiber_sleep("a moment", 1);
}

static void deep_calls_run_on_the_loops_stack(void **state)
{
	(void)state;
	in_fibers(3, call_deep);
}

static struct fiber *ping, *pong;
static bool enough;

static void wake_pong(void *arg)
{
	(void)arg;
	for (ping = fiber_self(); !enough; fiber_park("for pong", 1000))
		if (pong)
			fiber_wake(pong);
}

static void wake_ping(void *arg)
{
	(void)arg;
	for (pong = fiber_self(); !enough; fiber_park("for ping", 1000))
		fiber_wake(ping);
}

static void look_at_the_clock(void)
{
	fiber_sleep("a moment", 20);
	enough = true;
	fiber_wake(ping);
	fiber_wake(pong);
	fiber_sleep("for their end", 20);
}

static void fibers_that_wake_each_other_starve_nobody(void **state)
{
	(void)state;
	fiber_start("ping", wake_pong, NULL);
	fiber_start("pong", wake_ping, NULL);
	in_fibers(1, look_at_the_clock);
	assert_true(fiber_count() <= 1); /* at most the one that looked */
}

static void time_out(void)
{
	assert_false(fiber_park("for nothing", 5));
}

static void a_park_ends_in_time(void **state)
{
	(void)state;
	in_fibers(100, time_out);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(answers_come_back),
		TEST(errors_come_back_whole),
		TEST(descriptors_travel),
		TEST(long_bodies_travel_as_memory_files),
		TEST(credits_bound_what_is_under_way),
		TEST(the_end_of_a_link_fails_what_is_open),
		TEST(late_answers_are_dropped),
		TEST(told_things_arrive),
		TEST(outside_a_fiber_it_blocks),
		TEST(broken_packets_end_the_link),
		TEST(too_many_descriptors_end_the_link_and_none_stays),
		TEST(a_lost_descriptor_fails_one_question),
		TEST(an_answers_lost_descriptor_fails_that_question),
		TEST(unread_answers_do_not_pile_up),
		TEST(long_bodies_are_sealed_or_refused),
		TEST(a_woken_fiber_runs_from_the_loop),
		TEST(a_park_ends_in_time),
		TEST(deep_calls_run_on_the_loops_stack),
		TEST(fibers_that_wake_each_other_starve_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
