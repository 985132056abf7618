/* serve: the supervisor. It binds, starts and restarts, opens files from outside the home and hands
 * all of it out; it reads no byte from a client and parses nothing but its own settings.
 *
 *   serve.c         main, start and stop in order, what store asks of it
 *   serve_child.c   one process: start, links to its neighbours, restart with back-off, stop
 *   serve_group.c   how many processes of an edge share the listening sockets
 *   serve_listen.c  listening sockets
 *   serve_log.c     log files
 *   serve_look.c    how all roles are, for whoever watches */
#ifndef ROLE_SERVE_H
#define ROLE_SERVE_H

#include <sys/types.h>

#include "ask/ask_serve.h"
#include "conf/conf.h"
#include "io/ask.h"

enum child_state {
	CHILD_OFF,      /* not wanted */
	CHILD_STARTING, /* from fork to the last thing handed over */
	CHILD_RUNNING,
	CHILD_WAITING, /* died; comes back when its back-off is over */
	CHILD_STOPPING,
};

enum { GROUPS = 2, WALLS_TEXT = 128 };

struct serve;

struct child {
	const char *name; /* as people name it: "relay", "mx", "mx-2" */
	const char *role; /* the program */
	const char *group;
	unsigned number; /* of the processes of its group, from 0 on */
	enum conf_role conf_role;
	bool gets_home;
	ask_handler *asks; /* answers what it asks serve; NULL: it may not ask */

	struct serve *serve;
	enum child_state state;
	bool wanted;   /* nobody stopped it on purpose */
	bool greeted;  /* its walls stand, it takes what is handed to it */
	bool retiring; /* runs, accepts nothing more, and ends with its last session */
	unsigned life; /* differs for each process: who waited looks whether it is still the same */
	pid_t pid;
	struct ask_link *link;
	int64_t started_ms, started_steady_ms; /* by the wall clock; by the steady one */
	unsigned restarts;
	int64_t back_off_ms;
	uint32_t uid, gid;
	char missing[WALLS_TEXT];
	unsigned forbidden; /* times its walls ended it (wall clock of the last: forbidden_ms) */
	int64_t forbidden_ms;
	char *faults;      /* what it cannot use of the settings in force, a line each; heap or NULL */
	int conf_fd;       /* the snapshot in force for it, -1: none yet */
	uint64_t revision; /* of conf_fd */
	uint64_t acknowledged; /* by the child */
	int next_conf_fd;      /* came with ASK_SNAPSHOT, waits for ASK_APPLY */
	uint64_t next_revision;
	unsigned log_number, log_life; /* the log file it has said to write to, in which life */
};

/* store, keys, relay, control, and the processes that groups may have */
enum { CHILDREN = 4 + GROUPS * CONF_PROCESSES_MAX };

struct socket_bound {
	uint32_t number;
	enum listener listener;
	struct str address; /* heap */
	int fd;
	bool fresh;       /* bound for settings that are being prepared, not in force yet */
	uint64_t holders; /* the children that have it, a bit each */
};

struct serve {
	const char *home;
	char libexec[4096];
	enum sandbox_mode walls;
	struct child children[CHILDREN];
	struct vec *sockets;           /* struct socket_bound */
	int control_fd, log_fd;        /* log_fd: the number stays, the file behind it changes */
	char log_fault[320];           /* why no new log file can be begun; empty: nothing is wrong */
	int clients_fd[GROUPS];        /* the tables of clients that the processes of a group share */
	struct conf *conf, *next_conf; /* in force; prepared */
	int64_t started_ms;            /* wall clock */
	char missing[WALLS_TEXT];      /* of our own walls */
	bool linking;                  /* a role is being linked to its neighbours */
	bool up, stopping;             /* everything was started once; is being stopped */
};

/* ---- serve.c */
/* It cannot serve: says so on standard error and in the log, stops, exits with 1. For the time
 * before it was up; later, what fails is tried again. */
void serve_fail(struct serve *s, const struct err *err);

/* ---- serve_child.c */
struct child *child_find(struct serve *s, struct str name);
/* Starts the role and hands it all it needs; runs in a fiber of its own. */
void child_start(struct child *c);
/* Asks it to finish; it is not started again. */
void child_stop(struct child *c);
/* Has a process of a group end with its last session. */
void child_retire(struct child *c);
/* Asks a role that runs whether it could take the prepared settings. -1 with *err: it could not. */
int child_try(struct child *c, const struct conf *now, const struct conf *next, struct err *err);
/* Puts its newest snapshot before it. -1 with *err: it keeps the old one. */
int child_apply(struct child *c, struct err *err);
/* Call on SIGCHLD. */
void children_reap(struct serve *s);
/* An import worker: returns our end of the link to it, or -1 with *err. */
int child_worker(struct serve *s, struct err *err);

/* ---- serve_group.c */
/* Fills s->children. */
void groups_make(struct serve *s, ask_handler *answer_store);
/* Starts and retires processes until each group that nobody stopped has as many as the settings in
 * force say. Sessions that run stay with their process. */
void groups_fit(struct serve *s);
/* A process that the settings in force have no use for, and that is not there. */
bool group_spare(const struct child *c);
/* The table of clients (edge_clients.h) of its group, for a process that starts; -1: it has none, or
 * with *err. */
int group_clients(const struct child *c, struct err *err);
/* What an edge that died had counted in there counts no more. */
void group_forget(const struct child *c);

/* ---- serve_listen.c */
/* Binds what `next` says and is not bound yet. -1 with *err: nothing changed. */
int sockets_prepare(struct serve *s, const struct conf *next, struct err *err);
/* Puts the sockets of the settings in force before their edges and takes the others from them. Those
 * of an edge that was stopped on purpose are closed: a peer shall be refused, not wait. */
void sockets_apply(struct serve *s);
/* Binds what the settings in force say; before a stopped edge is started again. */
int sockets_bind(struct serve *s, const struct child *edge, struct err *err);
/* Hands all of its sockets to an edge that runs and has none. */
void sockets_give(struct serve *s, struct child *edge);
/* Takes all of its sockets from an edge that shall accept nothing more. */
void sockets_take(struct serve *s, struct child *edge);
/* Its process is gone: nobody holds them but us. */
void sockets_lost(struct serve *s, struct child *edge);
/* HOME/control.sock, mode 0600. -1 with *err. */
int sockets_open_control(struct serve *s, struct err *err);
void sockets_close_control(struct serve *s);

#endif
