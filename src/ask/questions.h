/* questions: everything one role may ask another. Structs and transfer functions stand in
 * ask_mail.h, ask_keys.h, ask_serve.h and ask_look.h, one struct for the question, one for the answer.
 * Who asks whom stands beside each kind; nothing else is answered.
 * Descriptors that travel along are named in the comment. */
#ifndef ASK_QUESTIONS_H
#define ASK_QUESTIONS_H

#include "io/ask.h"
#include "io/xfer.h"

enum ask_kind {
	/* edge -> store */
	ASK_RCPT = 1, /* may this recipient be accepted here? */
	ASK_ACCEPT, /* take this message: answered only when it is durable. fd 0: body memfd, if it is not small */
	ASK_SPOOL,  /* a file for a large body. Answer fd 0: writable, unnamed */
	ASK_RECORD, /* told: a packed struct record */
	ASK_ADMIN,  /* control only. fd 0: the caller's connection (credentials), fd 1: raw body */
	/* store -> edge, but not control */
	ASK_ROOM = 10, /* told: how much mail the disk has room for, now and whenever it changes */
	/* store -> relay */
	ASK_DELIVER = 20, /* one attempt at one destination. fd 0: body, if it is not small */
	/* edge -> keys */
	ASK_SIGN = 40,
	/* store -> keys */
	ASK_KEY_MAKE,  /* a new key pair */
	ASK_KEY_PUT,   /* keep this private key. fd 0: sealed memfd, PEM or DER */
	ASK_SELF_SIGN, /* a self-signed certificate for one of its keys */
	/* store -> import */
	ASK_PILE = 60, /* fd 0: PEM files. Answer fd 0: chain PEM, fd 1: key (sealed memfds) */
	/* serve -> every role */
	ASK_START = 80, /* first packet. fd 0: log file, fd 1: edge: its group's table of clients.
					   Answered when the walls stand */
	ASK_LINK,       /* fd 0: the far end of a pair to the role named */
	ASK_FILE,       /* fd 0: sealed contents of a file from outside the home, before ASK_CONF */
	ASK_CONF,       /* fd 0: packed struct conf. Answered when it is taken */
	ASK_LISTEN,     /* edge. fd 0: listening socket */
	ASK_UNLISTEN,   /* edge */
	ASK_STOP,       /* finish what runs, then exit 0. Answered at once */
	ASK_LOG,        /* fd 0: a new log file */
	ASK_TRY,        /* edge. fd 0: packed struct conf: could it be taken? Nothing changes */
	ASK_LOOK,       /* how it is: numbers, fibers (ask_look.h) */
	ASK_LEAVING,    /* store. The neighbour named is being stopped on purpose */
	ASK_RETIRE,     /* told, edge: after ASK_UNLISTEN of all: end with the last session */
	ASK_ALIVE,      /* answered at once by whoever is not stuck */
	/* store -> serve */
	ASK_SNAPSHOT = 100, /* keep this for one role until ASK_APPLY. fd 0: packed struct conf */
	ASK_PREPARE,        /* bind what the new snapshot for serve says; error: nothing changed */
	ASK_APPLY,          /* hand the snapshots out; answered when the roles took them */
	ASK_WORKER,         /* start an import role. Answer fd 0: link to it */
	ASK_SERVICE,        /* start, stop or list mx, user, relay */
	ASK_GATHER,         /* asks all roles ASK_LOOK */
};

/* The client call: packs, asks, unpacks into *answer (slices in `arena`). `xfer_q` and `xfer_a` are
 * the transfer functions above, `fds`/`ret_fds` may be NULL (then none are sent / those that come
 * are closed). 0, or -1 with *err; an answer that does not parse is a temporary error. */
typedef void xfer_fn(struct xfer *x, void *v);
int ask_put(struct ask_link *l, enum ask_kind kind, xfer_fn *xfer_q, void *question, const int *fds,
	xfer_fn *xfer_a, void *ret_answer, int *ret_fds, int64_t timeout_ms, struct arena *arena,
	struct err *err);
/* The answering side: unpacks q->body into *question; on failure fills q->err and returns -1. */
int ask_take(struct ask_question *q, xfer_fn *xfer_q, void *question);
/* Packs the answer into q->answer. */
void ask_answer(struct ask_question *q, xfer_fn *xfer_a, void *answer);

#endif
