/* The control socket: any bytes as HTTP, and a store that answers at once. However they are cut, store
 * is asked the same; a verb is a verb; a request whose length two readers could see differently is
 * never asked; and nothing waits for ever once the client has gone.
 *
 *   input = u8 how it is cut, what the client says */
#include <event2/event.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ask/ask_mail.h"
#include "ask/questions.h"
#include "base/fuzz.h"
#include "base/log.h"
#include "io/body.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "role/control.h"

enum { ASKED_MAX = 1 << 20, QUIET = 4, PIECES = 16 };

static struct {
	struct sockaddr_un address;
	struct control *control;
	struct ask_link *store, *far_store;
	struct buf *asked; /* verb, arguments and body of each question */
	unsigned questions;
} world;

static void answer(struct ask_question *q, void *arg)
{
	struct ask_admin ask = {0};
	struct ask_admin_answer answer = {.status = 200, .json = STR("{\"done\":true}")};
	struct str raw = STR("");
	(void)arg;
	assert(q->kind == ASK_ADMIN && ask_take(q, xfer_ask_admin, &ask) == 0);
	assert(ask.verb.n > 0 && q->fd[0] >= 0);
	for (size_t i = 0; i < ask.verb.n; i++)
		assert(ask.verb.p[i] == '.' || (ask.verb.p[i] >= 'a' && ask.verb.p[i] <= 'z'));
	if (q->fd[1] >= 0)
		assert(body_map(q->fd[1], 1 << 20, &raw, NULL) == 0);
	buf_addf(world.asked, "%.*s %zu ", STR_ARG(ask.verb), ask.args.n);
	buf_add(world.asked, ask.args);
	buf_addf(world.asked, " %d %zu ", q->fd[1] >= 0, raw.n);
	buf_add(world.asked, raw);
	body_unmap(raw);
	world.questions++;
	ask_answer(q, xfer_ask_admin_answer, &answer);
}

static void make_world(void)
{
	int pair[2], fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct err err;
	log_open(-1, LOG_ERROR);
	loop_init();
	/* A name of its own that is no file. */
	world.address.sun_family = AF_UNIX;
	snprintf(world.address.sun_path + 1, sizeof world.address.sun_path - 1, "letterlock-fuzz-%d",
		(int)getpid());
	assert(bind(fd, (struct sockaddr *)&world.address, sizeof world.address) == 0);
	assert(listen(fd, 8) == 0);
	world.control = control_new();
	assert(control_listen(world.control, fd, &err) == 0);
	ask_pair(pair);
	world.far_store = ask_link_new(pair[0], "control", answer, NULL, NULL);
	world.store = ask_link_new(pair[1], "store", NULL, NULL, NULL);
	control_set_store(world.control, world.store);
}

/* Until nothing happens any more: all we wait for is on this machine and ready at once. */
static void let_run(void)
{
	for (unsigned quiet = 0, before = world.questions; quiet < QUIET;) {
		event_base_loop(loop_base(), EVLOOP_NONBLOCK);
		quiet = control_busy(world.control) || world.questions != before ? 0 : quiet + 1;
		before = world.questions;
	}
}

/* Every answer is one of ours or of evhttp. */
static void check_reply(int fd)
{
	char reply[16 * 1024];
	ssize_t n = recv(fd, reply, sizeof reply, MSG_DONTWAIT);
	if (n <= 0)
		return;
	struct str text = str_make(reply, (size_t)n);
	uint64_t status;
	assert(str_starts(text, STR("HTTP/")) && str_find(text, ' ') > 0); /* the client's version */
	assert(str_to_u64(str_take(str_skip(text, (size_t)str_find(text, ' ') + 1), 3), 599, &status));
	assert(status == 200 || status == 100 || (status >= 400 && status <= 417) || status == 501 ||
		status == 503);
}

static void say(struct str input, size_t piece, struct buf *asked)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(connect(fd, (struct sockaddr *)&world.address, sizeof world.address) == 0);
	buf_init(asked, ASKED_MAX);
	world.asked = asked;
	for (unsigned pieces = 1; input.n > 0; pieces++) {
		struct str now = str_take(input, piece && pieces < PIECES ? piece : input.n);
		if (send(fd, now.p, now.n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)now.n)
			break; /* it was refused and closed */
		input = str_skip(input, now.n);
		let_run();
	}
	check_reply(fd);
	close(fd);
	let_run();
}

/* One header section that names both lengths, or one of them twice: never asked (RFC 9112 6.3). */
static bool has_two_lengths(struct str input)
{
	struct str line;
	unsigned lengths = 0;
	while (str_split(&input, '\n', &line) && input.p) {
		/* evhttp takes a bare LF, and NUL for the end of a line. */
		if (line.n == 0 || line.p[0] == 0 || str_eq(line, STR("\r")))
			return lengths > 1;
		lengths += str_starts_nocase(line, STR("Content-Length:")) ||
			str_starts_nocase(line, STR("Transfer-Encoding:"));
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_make((const char *)data, size);
	struct buf whole, cut;
	if (!world.control)
		make_world();
	size_t piece = 1 + fuzz_byte(&input);
	say(input, 0, &whole);
	say(input, piece, &cut);
	assert(str_eq(buf_str(&whole), buf_str(&cut)));
	if (str_starts(input, STR("POST ")) && has_two_lengths(input))
		assert(whole.n == 0);
	assert(fiber_count() == 0);
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
