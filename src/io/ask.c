#include "io/ask.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/body.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "io/xfer.h"

enum {
	FLAG_ANSWER = 1,
	FLAG_FAILED = 2,
	FLAG_LONG = 4,
	HEADER = 8,
	TURN = 64,
	SOCKET_BUFFER = 1024 * 1024
};
/* The descriptors of a question and, last, its long body. The room for them in a control message is
 * rounded up, and the kernel fills it: a hostile peer may deliver more. */
enum {
	WIRE_FDS = ASK_FDS + 1,
	ROOM_FDS = (CMSG_SPACE(WIRE_FDS * sizeof(int)) - CMSG_LEN(0)) / sizeof(int)
};

/* An open question of ours, on the stack of ask_call(). */
struct open_question {
	struct fiber *fiber; /* NULL outside a fiber */
	struct arena *arena;
	struct ask_answer *ret;
	struct err *err;
	int status;
	bool done;
};

/* One credit. The id on the wire is the slot's number and its generation. */
struct slot {
	struct open_question *open; /* NULL: the answer, when it comes, is dropped */
	uint16_t generation;
	bool used;
};

struct packet {
	struct packet *next;
	bool answer;
	int fd[WIRE_FDS];
	size_t n;
	char bytes[];
};

/* A fiber that waits for a credit. */
struct credit_waiter {
	struct credit_waiter *next;
	struct fiber *fiber;
};

struct ask_link {
	int fd; /* -1: dead */
	char name[24];
	ask_handler *handler;
	void (*gone)(struct ask_link *, void *);
	void *arg;
	struct event *readable, *writable;
	struct slot slots[ASK_CREDITS];
	unsigned used, next_slot;
	struct credit_waiter *waiting, **waiting_end;
	unsigned answering; /* questions of the peer that are not answered yet */
	struct packet *unsent, **unsent_end;
	unsigned unsent_answers;
	unsigned holders; /* the owner, running handlers and waiting calls */
	bool freed;
};

int ask_pair(int ret[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret);
}

bool ask_link_alive(const struct ask_link *l)
{
	return l && l->fd >= 0;
}

const char *ask_link_name(const struct ask_link *l)
{
	return l->name;
}

static void drop(struct ask_link *l)
{
	if (--l->holders == 0)
		free(l);
}

static void close_fds(int *fd, int n)
{
	for (int i = 0; i < n; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
}

/* ---- the end of a link ---- */

static void resolve(struct open_question *open, int status)
{
	open->status = status;
	open->done = true;
	if (open->fiber)
		fiber_wake(open->fiber);
}

static void end_link(struct ask_link *l, const char *why)
{
	if (l->fd < 0)
		return;
	if (why)
		log_warn("ask.link-ended", "peer=%s why=\"%s\"", l->name, why);
	if (l->readable)
		event_free(l->readable);
	if (l->writable)
		event_free(l->writable);
	l->readable = l->writable = NULL;
	close(l->fd);
	l->fd = -1;
	while (l->unsent) {
		struct packet *p = l->unsent;
		l->unsent = p->next;
		close_fds(p->fd, WIRE_FDS);
		free(p);
	}
	for (unsigned i = 0; i < ASK_CREDITS; i++)
		if (l->slots[i].used && l->slots[i].open) {
			err_temp(l->slots[i].open->err, "temporary server trouble", "%s went away", l->name);
			resolve(l->slots[i].open, -1);
			l->slots[i].open = NULL;
		}
	for (struct credit_waiter *w = l->waiting; w; w = w->next)
		fiber_wake(w->fiber);
	if (l->gone && !l->freed)
		l->gone(l, l->arg);
}

/* ---- sending ---- */

/* 0, or -1 with errno. */
static int send_packet(int to, const char *bytes, size_t n, const int fd[WIRE_FDS])
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
	union {
		char room[CMSG_SPACE(WIRE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int count = 0, list[WIRE_FDS];
	for (int i = 0; i < WIRE_FDS; i++)
		if (fd[i] >= 0)
			list[count++] = fd[i];
	if (count) {
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		memcpy(CMSG_DATA(c), list, (size_t)count * sizeof(int));
	}
	ssize_t done;
	while ((done = sendmsg(to, &m, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && errno == EINTR)
		;
	return done < 0 ? -1 : 0;
}

static void send_unsent(struct ask_link *l)
{
	while (l->fd >= 0 && l->unsent) {
		struct packet *p = l->unsent;
		if (send_packet(l->fd, p->bytes, p->n, p->fd) != 0) {
			if (errno != EAGAIN)
				end_link(l, strerror(errno));
			return;
		}
		l->unsent = p->next;
		if (!l->unsent)
			l->unsent_end = &l->unsent;
		l->unsent_answers -= p->answer;
		close_fds(p->fd, WIRE_FDS);
		free(p);
	}
	if (l->fd >= 0 && l->writable)
		event_del(l->writable);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	send_unsent(arg);
}

/* The peer is slow: the packet waits in memory. Credits bound how many do, ours the questions and
 * his, which he has back only when he has read the answer, the answers. */
static void keep_for_later(
	struct ask_link *l, const char *bytes, size_t n, const int fd[WIRE_FDS], bool answer)
{
	struct packet *p = mem_new(sizeof *p + n);
	for (int i = 0; i < WIRE_FDS; i++)
		p->fd[i] = fd[i] >= 0 ? fcntl(fd[i], F_DUPFD_CLOEXEC, 0) : -1;
	p->answer = answer;
	l->unsent_answers += answer;
	p->n = n;
	memcpy(p->bytes, bytes, n);
	*l->unsent_end = p;
	l->unsent_end = &p->next;
	if (l->writable)
		event_add(l->writable, NULL);
}

static void send_or_keep(
	struct ask_link *l, const char *bytes, size_t n, const int fd[WIRE_FDS], bool answer)
{
	if (l->unsent)
		keep_for_later(l, bytes, n, fd, answer);
	else if (send_packet(l->fd, bytes, n, fd) == 0)
		return;
	else if (errno == EAGAIN)
		keep_for_later(l, bytes, n, fd, answer);
	else
		end_link(l, errno == EPIPE ? NULL : strerror(errno));
}

/* 0, or -1 with *err: no memory file could be had for a long body. */
static int post(struct ask_link *l, uint32_t id, uint16_t kind, uint16_t flags, struct str body,
	const int *fds, struct err *err)
{
	static _Thread_local char packet[HEADER + ASK_PACKET_MAX];
	struct buf out = {.p = packet, .cap = sizeof packet, .max = sizeof packet - 1};
	struct xfer x = xfer_writer(&out);
	int fd[WIRE_FDS] = {-1, -1, -1};
	if (l->fd < 0)
		return 0;
	for (int i = 0; fds && i < ASK_FDS && fds[i] >= 0; i++)
		fd[i] = fds[i];
	if (body.n >= ASK_PACKET_MAX) {
		fd[ASK_FDS] = body_from_str(body, "question", err);
		if (fd[ASK_FDS] < 0)
			return -1;
		flags |= FLAG_LONG;
		body = STR("");
	}
	xfer_u32(&x, &id);
	xfer_u16(&x, &kind);
	xfer_u16(&x, &flags);
	buf_add(&out, body);
	send_or_keep(l, packet, out.n, fd, flags & FLAG_ANSWER);
	if (fd[ASK_FDS] >= 0)
		close(fd[ASK_FDS]);
	return 0;
}

/* ---- answering ---- */

static void pack_err(struct xfer *x, struct err *e)
{
	struct str peer = str_from_c(e->peer), log = str_from_c(e->log);
	xfer_enum(x, &e->kind, ERR_PERM);
	xfer_str(x, &peer, sizeof e->peer - 1);
	xfer_str(x, &log, sizeof e->log - 1);
	if (x->reading) {
		str_to_c(peer, e->peer, sizeof e->peer);
		str_to_c(log, e->log, sizeof e->log);
		if (e->kind == ERR_NONE || x->bad)
			err_temp(e, "temporary server trouble", "an error that cannot be read");
	}
}

struct running {
	struct ask_question q;
	struct ask_link *link;
	uint32_t id;
};

static void send_failure(struct ask_link *l, uint32_t id, uint16_t kind, struct err *err)
{
	struct buf text;
	buf_init(&text, 1024);
	struct xfer x = xfer_writer(&text);
	pack_err(&x, err);
	post(l, id, kind, FLAG_ANSWER | FLAG_FAILED, buf_str(&text), NULL, NULL);
	buf_done(&text);
}

static void send_answer(struct running *r)
{
	struct ask_question *q = &r->q;
	if (q->err.kind == ERR_NONE && q->answer.n > ASK_LONG_MAX)
		err_temp(&q->err, "temporary server trouble", "answer of %zu bytes to question %u",
			q->answer.n, q->kind);
	if (q->err.kind == ERR_NONE &&
		post(r->link, r->id, q->kind, FLAG_ANSWER, q->answer, q->answer_fd, &q->err) == 0)
		return;
	send_failure(r->link, r->id, q->kind, &q->err);
}

static void answer_question(void *arg)
{
	struct running *r = arg;
	struct ask_link *l = r->link;
	l->handler(&r->q, l->arg);
	send_answer(r);
	l->answering--;
	close_fds(r->q.fd, ASK_FDS);
	close_fds(r->q.answer_fd, ASK_FDS);
	arena_free(r->q.arena);
	drop(l);
}

/* False, and the link is no more, if the peer has no right to this question. */
static bool may_ask(struct ask_link *l)
{
	if (l->handler && l->answering + l->unsent_answers < ASK_CREDITS)
		return true;
	end_link(l, l->handler ? "asks beyond its credits" : "asks, but may not");
	return false;
}

static void question_came(struct ask_link *l, uint32_t id, uint16_t kind, struct str body, int *fd)
{
	if (!may_ask(l)) {
		close_fds(fd, ASK_FDS);
		return;
	}
	struct arena *arena = arena_new();
	struct running *r = arena_alloc(arena, sizeof *r);
	*r = (struct running){
		.q = {.link = l, .arena = arena, .kind = kind, .body = arena_dup(arena, body)},
		.link = l,
		.id = id,
	};
	for (int i = 0; i < ASK_FDS; i++) {
		r->q.fd[i] = fd[i];
		r->q.answer_fd[i] = -1;
	}
	l->answering++;
	l->holders++;
	if (loop_base())
		fiber_start(l->name, answer_question, r);
	else
		answer_question(r);
}

/* ---- receiving ---- */

static void give_credit(struct ask_link *l)
{
	struct credit_waiter *w = l->waiting;
	if (!w)
		return;
	l->waiting = w->next;
	if (!l->waiting)
		l->waiting_end = &l->waiting;
	fiber_wake(w->fiber);
}

static void free_slot(struct ask_link *l, struct slot *s)
{
	s->used = false;
	s->open = NULL;
	s->generation++;
	l->used--;
	give_credit(l);
}

/* The question that is answered by `id`; NULL if nobody waits for it (any more). */
static struct open_question *take_open(struct ask_link *l, uint32_t id)
{
	struct slot *s = &l->slots[id % ASK_CREDITS];
	if (!s->used || s->generation != id / ASK_CREDITS) {
		end_link(l, "answers what was not asked");
		return NULL;
	}
	struct open_question *open = s->open;
	free_slot(l, s);
	return open;
}

static void answer_came(struct ask_link *l, uint32_t id, uint16_t flags, struct str body, int *fd)
{
	struct open_question *open = take_open(l, id);
	if (!open) {
		close_fds(fd, ASK_FDS);
		return;
	}
	if (flags & FLAG_FAILED) {
		struct xfer x = xfer_reader(body, NULL);
		struct err err;
		pack_err(&x, &err);
		if (open->err)
			*open->err = err;
		close_fds(fd, ASK_FDS);
		resolve(open, -1);
		return;
	}
	open->ret->body = arena_dup(open->arena, body);
	for (int i = 0; i < ASK_FDS; i++)
		open->ret->fd[i] = fd[i];
	resolve(open, 0);
}

/* All descriptors that came along; returns how many. */
static int descriptors_of(struct msghdr *m, int ret[ROOM_FDS])
{
	int count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		int n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || n > ROOM_FDS - count)
			continue;
		memcpy(ret + count, CMSG_DATA(c), (size_t)n * sizeof(int));
		count += n;
	}
	return count;
}

/* This process had no descriptor left to take what came along: one question fails, not the link, or
 * a crowd of clients would part roles for good. */
static void descriptors_lost(struct ask_link *l, uint32_t id, uint16_t kind, uint16_t flags)
{
	struct err err;
	err_temp(&err, "temporary server trouble",
		"a descriptor from %s with question %u was lost: there is none left in this process",
		l->name, kind);
	log_error("ask.descriptors", "err=\"%s\"", err.log);
	if (!(flags & FLAG_ANSWER)) {
		if (may_ask(l))
			send_failure(l, id, kind, &err);
		return;
	}
	struct open_question *open = take_open(l, id);
	if (!open)
		return;
	if (open->err)
		*open->err = err;
	resolve(open, -1);
}

static void dispatch(struct ask_link *l, uint32_t id, uint16_t kind, uint16_t flags,
	struct str body, int fd[ASK_FDS], int long_fd)
{
	struct str mapped = STR("");
	if (flags & FLAG_LONG) {
		/* Sealed: what is being read shall not shrink. */
		bool good = body_is_sealed(long_fd) && body_map(long_fd, ASK_LONG_MAX, &mapped, NULL) == 0;
		if (long_fd >= 0)
			close(long_fd);
		if (!good) {
			close_fds(fd, ASK_FDS);
			end_link(l, "long packet without its body");
			return;
		}
		body = mapped;
	}
	if (flags & FLAG_ANSWER)
		answer_came(l, id, flags, body, fd);
	else
		question_came(l, id, kind, body, fd);
	body_unmap(mapped);
}

/* A packet with its descriptors, of which the last one is the body if it is long. Returns false if
 * that was enough for this turn: long ones shall not pile up before their handlers have run. */
static bool packet_came(struct ask_link *l, struct str packet, int *list, int count, int msg_flags)
{
	struct xfer x = xfer_reader(packet, NULL);
	uint32_t id;
	uint16_t kind, flags;
	xfer_u32(&x, &id);
	xfer_u16(&x, &kind);
	xfer_u16(&x, &flags);
	int keep = count - ((flags & FLAG_LONG) && count > 0);
	if (x.bad || keep > ASK_FDS || (msg_flags & MSG_TRUNC)) {
		close_fds(list, count);
		end_link(l, "broken packet");
	} else if (msg_flags & MSG_CTRUNC) {
		close_fds(list, count);
		descriptors_lost(l, id, kind, flags);
	} else {
		int fd[ASK_FDS] = {-1, -1};
		for (int i = 0; i < keep; i++)
			fd[i] = list[i];
		dispatch(l, id, kind, flags, x.in, fd, keep < count ? list[keep] : -1);
	}
	return l->fd >= 0 && !(flags & FLAG_LONG);
}

/* Takes one packet. Returns false when the turn is over: no more packets, or no link. */
static bool receive(struct ask_link *l)
{
	static _Thread_local char packet[HEADER + ASK_PACKET_MAX];
	union {
		char room[CMSG_SPACE(WIRE_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = packet, .iov_len = sizeof packet};
	struct msghdr m = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof control.room};
	ssize_t n = recvmsg(l->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	int list[ROOM_FDS], count = n < 0 ? 0 : descriptors_of(&m, list);
	if (n > 0 || count > 0)
		return packet_came(l, str_make(packet, (size_t)n), list, count, m.msg_flags);
	end_link(l, n == 0 || errno == ECONNRESET ? NULL : strerror(errno));
	return false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ask_link *l = arg;
	(void)fd, (void)what;
	l->holders++;
	for (int i = 0; i < TURN && receive(l); i++)
		;
	drop(l);
}

/* ---- making and freeing ---- */

struct ask_link *ask_link_new(int fd, const char *name, ask_handler *handler,
	void (*gone)(struct ask_link *, void *), void *arg)
{
	struct ask_link *l = mem_new(sizeof *l);
	l->fd = fd;
	l->handler = handler;
	l->gone = gone;
	l->arg = arg;
	l->holders = 1;
	l->unsent_end = &l->unsent;
	l->waiting_end = &l->waiting;
	str_to_c(str_from_c(name), l->name, sizeof l->name);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SOCKET_BUFFER}, sizeof(int));
	if (loop_base()) {
		l->readable = event_new(loop_base(), fd, EV_READ | EV_PERSIST, on_readable, l);
		l->writable = event_new(loop_base(), fd, EV_WRITE | EV_PERSIST, on_writable, l);
		if (!l->readable || !l->writable || event_add(l->readable, NULL) != 0)
			mem_exhausted(sizeof *l);
	}
	return l;
}

void ask_link_free(struct ask_link *l)
{
	if (!l)
		return;
	l->freed = true;
	end_link(l, NULL);
	drop(l);
}

/* ---- asking ---- */

static struct slot *take_slot(struct ask_link *l, struct open_question *open, uint32_t *ret_id)
{
	while (l->slots[l->next_slot].used)
		l->next_slot = (l->next_slot + 1) % ASK_CREDITS;
	struct slot *s = &l->slots[l->next_slot];
	s->used = true;
	s->open = open;
	l->used++;
	*ret_id = (uint32_t)s->generation * ASK_CREDITS + l->next_slot;
	l->next_slot = (l->next_slot + 1) % ASK_CREDITS;
	return s;
}

static int64_t left_of(int64_t until)
{
	if (until < 0)
		return FIBER_NEVER;
	int64_t left = until - clock_steady_ms();
	return left > 0 ? left : 0;
}

static void leave_credit_queue(struct ask_link *l, struct credit_waiter *me)
{
	for (struct credit_waiter **at = &l->waiting; *at; at = &(*at)->next)
		if (*at == me) {
			*at = me->next;
			if (l->waiting_end == &me->next)
				l->waiting_end = at;
			return;
		}
}

/* True with a credit to use; false if the link died or time is over. */
static bool wait_for_credit(struct ask_link *l, int64_t until)
{
	while (l->fd >= 0 && l->used == ASK_CREDITS) {
		if (!fiber_self()) {
			struct pollfd p = {.fd = l->fd, .events = POLLIN};
			if (poll(&p, 1, (int)left_of(until)) <= 0)
				return false;
			receive(l);
			continue;
		}
		struct credit_waiter me = {.fiber = fiber_self()};
		*l->waiting_end = &me;
		l->waiting_end = &me.next;
		bool in_time = fiber_park("for credit", left_of(until));
		leave_credit_queue(l, &me);
		if (!in_time) {
			if (l->used < ASK_CREDITS)
				give_credit(l); /* it may have come too late for us */
			return false;
		}
	}
	return l->fd >= 0;
}

/* False when time is over. */
static bool wait_for_answer(struct ask_link *l, struct open_question *open, int64_t until)
{
	while (!open->done) {
		if (open->fiber) {
			if (!fiber_park("for an answer", left_of(until)) && !open->done)
				return false;
			continue;
		}
		struct pollfd p = {.fd = l->fd, .events = POLLIN | (l->unsent ? POLLOUT : 0)};
		int n = poll(&p, 1, (int)left_of(until));
		if (n == 0)
			return false;
		if (p.revents & POLLOUT)
			send_unsent(l);
		if (l->fd >= 0)
			receive(l);
	}
	return true;
}

int ask_call(struct ask_link *l, uint16_t kind, struct str body, const int *fds, int64_t timeout_ms,
	struct arena *arena, struct ask_answer *ret, struct err *err)
{
	int64_t until = timeout_ms < 0 ? -1 : clock_steady_ms() + timeout_ms;
	if (body.n > ASK_LONG_MAX)
		return err_perm(err, NULL, "a question of %zu bytes", body.n);
	if (!ask_link_alive(l))
		return err_temp(
			err, "temporary server trouble", "nobody there to answer question %u", kind);
	l->holders++;
	int status = -1;
	struct open_question open = {.fiber = fiber_self(), .arena = arena, .ret = ret, .err = err};
	*ret = (struct ask_answer){.fd = {-1, -1}};
	if (!wait_for_credit(l, until)) {
		err_temp(err, "temporary server trouble", "%s takes no more questions", l->name);
	} else {
		uint32_t id;
		struct slot *s = take_slot(l, &open, &id);
		if (post(l, id, kind, 0, body, fds, err) != 0) {
			free_slot(l, s);
		} else if (wait_for_answer(l, &open, until)) {
			status = open.status;
		} else {
			s->open = NULL;
			err_temp(err, "temporary server trouble", "%s did not answer question %u in %lld ms",
				l->name, kind, (long long)timeout_ms);
		}
	}
	drop(l);
	return status;
}

int ask_tell(struct ask_link *l, uint16_t kind, struct str body, const int *fds)
{
	if (!ask_link_alive(l) || l->used == ASK_CREDITS || body.n > ASK_LONG_MAX)
		return -1;
	uint32_t id;
	l->holders++;
	struct slot *s = take_slot(l, NULL, &id);
	if (post(l, id, kind, 0, body, fds, NULL) != 0)
		free_slot(l, s);
	int status = l->fd >= 0 ? 0 : -1;
	drop(l);
	return status;
}
