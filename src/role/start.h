/* start: how every role begins and what serve tells it later. A role's main reads:
 *
 *	struct role r = {.name = "relay", .calls = &calls};
 *	role_hello(&r);        forget what is not meant for it; wait for ASK_START
 *	…                      let libraries read their own files
 *	role_walls(&r);        view, uid, Landlock, seccomp (walls.c); serve is told what is missing
 *	role_loop(&r);         answer until ASK_STOP
 *
 * When the link to serve ends, so does the process. */
#ifndef ROLE_START_H
#define ROLE_START_H

#include "ask/ask_serve.h"
#include "conf/conf.h"
#include "io/ask.h"
#include "role/look.h"

/* What it is started with, beside standard input and output. */
enum {
	ROLE_LINK_FD = 3, /* to serve */
	ROLE_VIEW_FD = 4, /* the folder it shall see of the file system; none for some (role/walls.c) */
};

struct role;

/* What serve tells a role; those it never gets are NULL. All run in fibers. Descriptors are the
 * callee's from then on. */
struct role_calls {
	/* A new pair to a neighbour, also when that was started again: the link before is dead. */
	void (*link)(struct role *r, const struct ask_link_peer *peer, int fd);
	/* The neighbour is being stopped on purpose; its link ends soon. */
	void (*leaving)(struct role *r, const struct ask_link_peer *peer);
	/* Contents of a file from outside the home; fd -1: it could not be read (file->error). -1 with
	 * *err: it cannot be used, and what was read before stays. */
	int (*file)(struct role *r, const struct ask_file *file, int fd, struct err *err);
	/* A new revision, or the same again when a neighbour that it is tried with was started anew; the
	 * caller drops its own hold. What in it cannot be used is told by role_fault(). -1 with *err: the
	 * role keeps the old one. */
	int (*conf)(struct role *r, struct conf *c, struct err *err);
	/* A revision that may come: -1 with *err if this role could not use it all. */
	int (*try_conf)(struct role *r, const struct conf *c, struct err *err);
	void (*listen)(struct role *r, const struct ask_listen *listen, int fd);
	void (*unlisten)(struct role *r, uint32_t number);
	/* Nothing more will come: role_exit() as soon as nothing runs, unless `listen` comes before. */
	void (*retire)(struct role *r);
	/* Numbers and rates that only this role has. */
	look_fn *look;
	/* Finish what runs, then role_exit(). NULL: exit at once. */
	void (*stop)(struct role *r);
};

struct role {
	const char *name;
	const struct role_calls *calls;
	const char *missing; /* what it cannot guard besides, a word as in sandbox.h; or NULL */
	void *arg;           /* the role's own */

	/* Set by role_hello(). */
	char group[32];
	unsigned number; /* of the processes of its group */
	int clients_fd;  /* edge: its group's table of clients, the callee's; -1: none */
	char home[4096]; /* of store; empty for the others */
	struct ask_link *serve;
	struct buf faults;          /* of the settings in force */
	struct ask_question *start; /* not answered before role_walls() */
	uint32_t uid, gid;
	enum sandbox_mode walls;
};

void role_hello(struct role *r);
void role_walls(struct role *r);
/* In `conf` of struct role_calls: a line for status and for whoever changed the settings. */
void role_fault(struct role *r, struct str line);
/* Between role_hello() and role_loop(): the role cannot work. serve is told why and tells the
 * administrator; the process ends. */
_Noreturn void role_fail(struct role *r, const struct err *err);
/* Never returns. */
_Noreturn void role_loop(struct role *r);
/* Ends the process in good order. */
_Noreturn void role_exit(struct role *r, int status);

#endif
