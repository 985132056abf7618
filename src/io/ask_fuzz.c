/* A link whose far end is hostile: packets of any form, with any descriptors, in any order, and then
 * silence or the end. Whatever comes, our own questions end, each good question of the peer is answered
 * once, in order and with its own body, until the link ends, and no descriptor is left over.
 *
 *   input  = *packet
 *   packet = u8 what (1 answer, 2 failed, 4 long, 8 id of a question of ours, 16 cut short; the rest:
 *            how many descriptors), u8 id, u8 kind, slice body */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fuzz.h"
#include "base/log.h"
#include "io/ask.h"
#include "io/body.h"
#include "io/xfer.h"

enum { ANSWER = 1, FAILED = 2, LONG = 4, OURS = 8, SHORT = 16, KIND_FAILS = 7 };
enum { HEADER_BYTES = 8, QUESTIONS = 4, PACKETS = 24 };

struct expected {
	uint32_t id;
	uint16_t kind;
	struct str body;
};

struct scene {
	struct expected expected[PACKETS];
	unsigned expected_count;
	bool broken; /* a packet may have ended the link: what came behind it is perhaps not answered */
	unsigned answered;
};

/* Echoes the body, and the first descriptor with it. */
static void answer(struct ask_question *q, void *arg)
{
	struct scene *scene = arg;
	scene->answered++;
	if (q->kind == KIND_FAILS) {
		err_temp(&q->err, "not now", "as the script says");
		return;
	}
	q->answer = q->body;
	q->answer_fd[0] = q->fd[0];
	q->fd[0] = -1;
}

/* Sealed only if the packet is long and well made. */
static int body_file(struct str body, bool sealed)
{
	if (sealed)
		return body_from_str(body, "fuzz", NULL);
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void send_with(int to, struct str bytes, const int *fds, size_t n)
{
	struct iovec iov = {.iov_base = (char *)(uintptr_t)bytes.p, .iov_len = bytes.n};
	union {
		char room[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (n > 0) {
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(n * sizeof *fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof *fds);
		memcpy(CMSG_DATA(c), fds, n * sizeof *fds);
	}
	sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Notes what the link has to do with the packet, by the words of ask.h, if it still stands. Whether an
 * answer that the script invents fits a question of ours is not foreseen: then it may stand or not. */
static void expect(
	struct scene *scene, uint8_t what, uint32_t id, uint16_t kind, struct str body, size_t fds)
{
	bool bad =
		(what & SHORT) || fds > ASK_FDS + ((what & LONG) != 0) || ((what & LONG) && fds == 0);
	if (bad || (what & ANSWER))
		scene->broken = true;
	else
		scene->expected[scene->expected_count++] = (struct expected){id, kind, body};
}

static void send_packet(struct scene *scene, int to, struct str *script)
{
	char bytes[HEADER_BYTES + 2048];
	struct buf out = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes - 1};
	struct xfer x = xfer_writer(&out);
	uint8_t what = fuzz_byte(script);
	uint32_t id = fuzz_byte(script);
	uint16_t kind = fuzz_byte(script) % 16, flags = what & (ANSWER | FAILED | LONG);
	struct str body = fuzz_slice(script);
	size_t count = what / 32 % 6;
	int fds[8];
	if (what & OURS)
		id %= QUESTIONS;
	for (size_t i = 0; i < count; i++)
		fds[i] = body_file(body, (what & LONG) && i + 1 == count && kind != 15);
	xfer_u32(&x, &id);
	xfer_u16(&x, &kind);
	xfer_u16(&x, &flags);
	if (!(what & LONG))
		buf_add(&out, body);
	expect(scene, what | (kind == 15 && (what & LONG) ? SHORT : 0), id, kind, body, count);
	send_with(
		to, str_take(buf_str(&out), what & SHORT ? body.n % HEADER_BYTES : out.n), fds, count);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

/* Our questions read what is there; when they get nothing any more, all was read. */
static void ask_and_wait(struct ask_link *l)
{
	for (int i = 0; i < QUESTIONS; i++) {
		struct arena *arena = arena_new();
		struct ask_answer got;
		struct err err;
		err_clear(&err);
		if (ask_call(l, 3, STR("what we ask"), NULL, 0, arena, &got, &err) != 0)
			assert(err.kind != ERR_NONE);
		else
			for (int k = 0; k < ASK_FDS; k++)
				if (got.fd[k] >= 0)
					close(got.fd[k]);
		arena_free(arena);
	}
}

/* What came back for the peer's questions, one after the other. */
static void check_answers(const struct scene *scene, int from)
{
	char bytes[HEADER_BYTES + ASK_PACKET_MAX];
	unsigned seen = 0;
	ssize_t n;
	while ((n = recv(from, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
		struct xfer x = xfer_reader(str_make(bytes, (size_t)n), NULL);
		uint32_t id;
		uint16_t kind, flags;
		xfer_u32(&x, &id);
		xfer_u16(&x, &kind);
		xfer_u16(&x, &flags);
		assert(!x.bad);
		if (!(flags & ANSWER))
			continue;
		const struct expected *e = &scene->expected[seen++];
		assert(seen <= scene->expected_count && e->id == id && e->kind == kind);
		assert(((flags & FAILED) != 0) == (kind == KIND_FAILS));
		assert((flags & FAILED) || str_eq(x.in, e->body));
	}
	assert(seen == scene->answered || scene->broken);
	assert(seen == scene->expected_count || scene->broken);
}

static int lowest_descriptor(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str script = str_make((const char *)data, size);
	struct scene scene = {0};
	int pair[2];
	log_open(-1, LOG_ERROR);
	int before = lowest_descriptor();
	ask_pair(pair);
	struct ask_link *l = ask_link_new(pair[0], "hostile", answer, NULL, &scene);
	for (int i = 0; script.n > 0 && i < PACKETS; i++)
		send_packet(&scene, pair[1], &script);
	if (size & 1)
		shutdown(pair[1], SHUT_WR);
	ask_and_wait(l);
	check_answers(&scene, pair[1]);
	ask_link_free(l);
	close(pair[1]);
	assert(lowest_descriptor() == before);
	return 0;
}
