/* ask: questions between roles, one packet each on a SOCK_SEQPACKET pair (the transport; the
 * questions themselves stand in src/ask/).
 *
 *   packet = u32 id, u16 kind, u16 flags (1: an answer, 2: it failed, 4: long), then the body
 *
 * A packet has at most ASK_FDS descriptors. A body above ASK_PACKET_MAX bytes (an envelope of 1,000
 * recipients, a list) travels by itself as a sealed memfd, up to ASK_LONG_MAX. A truncated packet, or
 * one with more descriptors, ends the link; if this process has none left to take a descriptor, that
 * one question fails with a temporary error. The asking side has credits: with all of them out,
 * ask_call() waits, so a slow role slows those who feed it and nothing grows. The answering side
 * treats every packet as hostile and ends a link that asks beyond its credits; a credit is free again
 * when the answer was read. If the peer is gone, every open question fails with a temporary error at
 * once. */
#ifndef IO_ASK_H
#define IO_ASK_H

#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
	ASK_PACKET_MAX = 60 * 1024,
	ASK_LONG_MAX = 64 * 1024 * 1024,
	ASK_FDS = 2,
	ASK_CREDITS = 512,
};

struct ask_link;

/* One question as the answering side sees it. It lives until the handler returns. The handler runs
 * in a fiber of its own and sets `answer` (allocated in `arena`) and answer_fd, or fills *err.
 * Descriptors in fd[] are -1 if there are none; the handler takes one over by setting it to -1, the
 * others are closed. answer_fd[] are closed after sending. */
struct ask_question {
	struct ask_link *link;
	struct arena *arena;
	uint16_t kind;
	struct str body;
	int fd[ASK_FDS];
	struct str answer;
	int answer_fd[ASK_FDS];
	struct err err; /* kind != ERR_NONE: the answer is this error */
};

typedef void ask_handler(struct ask_question *q, void *arg);

/* Takes one end of a SOCK_SEQPACKET pair over. `name` says who is at the other end (log). `handler`
 * may be NULL if the peer may not ask. `gone` (may be NULL) is called once when the link ends. */
struct ask_link *ask_link_new(int fd, const char *name, ask_handler *handler,
	void (*gone)(struct ask_link *, void *), void *arg);
/* Waits inside a running handler are safe: the link's memory goes when the last one is done. */
void ask_link_free(struct ask_link *l);
bool ask_link_alive(const struct ask_link *l);
const char *ask_link_name(const struct ask_link *l);

struct ask_answer {
	struct str body; /* in the arena that was given */
	int fd[ASK_FDS]; /* -1: none; the caller closes them */
};
/* Asks and waits for the answer (blocks outside a fiber). `fds` are duplicated by the kernel, the
 * caller still closes its own; ends with -1, may be NULL. Returns 0, or -1 with *err: what the peer
 * answered, or ERR_TEMP when the link is NULL, dead, or dies meanwhile, or `timeout_ms` is over. */
int ask_call(struct ask_link *l, uint16_t kind, struct str body, const int *fds, int64_t timeout_ms,
	struct arena *arena, struct ask_answer *ret, struct err *err);
/* As ask_call(), but waits for nothing: the answer is dropped. Without credit it is dropped too and
 * -1 comes back: for records, which may be thinned. */
int ask_tell(struct ask_link *l, uint16_t kind, struct str body, const int *fds);

/* A pair of descriptors for a link, both close-on-exec. 0, or -1 with errno. */
int ask_pair(int ret[2]);

#endif
