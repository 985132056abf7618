/* edge: the role that faces the net. The groups `mx` and `user` serve SMTP, `control` the local admin
 * socket (control.h). It opens no file, dials nowhere, holds no key and no database: what a session
 * needs to know is asked.
 *
 *   edge.c          main: what serve hands over
 *   edge_listen.c   accepting, limits, a fiber per session
 *   edge_clients.c  who is connected, counted across the processes of the group
 *   edge_ask.c      the session's questions, put to store */
#ifndef ROLE_EDGE_H
#define ROLE_EDGE_H

#include "base/vec.h"
#include "role/edge_clients.h"
#include "role/start.h"
#include "smtp/smtp_server.h"

struct control;

struct edge {
	struct role *role;
	struct control *control;       /* the group control; else NULL */
	struct ask_link *store, *keys; /* NULL until serve gives them; replaced when they restart */
	unsigned stores;               /* links to store so far */
	struct ask_room room;          /* as store told it last … */
	bool room_told;                /* … if it did */
	uint64_t room_taken;           /* by messages in hand */
	struct conf *conf;             /* for new sessions; NULL: none yet, nothing is accepted */
	struct ssl_ctx_st *tls;        /* for new sessions; NULL: no certificate */
	struct vec listeners;          /* struct edge_listener * */
	struct edge_session *sessions; /* all alive */
	uint64_t session_count;
	struct clients *clients; /* how many of the group, by client; NULL: the group control */
	struct meter refused;    /* connections, and replies 4yz and 5yz in sessions */
	bool stopping;
	bool retiring;         /* ends with the last session */
	struct fiber *stopper; /* waits for the last session */
};

/* ---- edge_listen.c */
/* Accepts on the listening socket `fd`, which is taken over. */
void edge_listen(struct edge *e, const struct ask_listen *listen, int fd);
void edge_unlisten(struct edge *e, uint32_t number);
/* Ends the process when no session runs any more, unless it is told to listen again before. */
void edge_retire(struct edge *e);
/* Accepts nothing more, ends idle sessions with 421, waits for the others, though not for ever. */
void edge_finish(struct edge *e);

/* Sessions by listener and what they do, refusals; `arg` is the struct edge. */
void edge_look(struct look_numbers *l, void *arg);

/* ---- edge_ask.c */
/* `arg` of each is the struct edge. */
extern const struct smtp_questions edge_questions;
/* What store tells by itself: ASK_ROOM. `arg` is the struct edge. */
void edge_answer_store(struct ask_question *q, void *arg);

#endif
