/* ask_serve: the questions between the supervisor and its roles (kinds in questions.h). */
#ifndef ASK_ASK_SERVE_H
#define ASK_ASK_SERVE_H

#include "ask/ask_mail.h"
#include "io/sandbox.h"
#include "io/xfer.h"

/* ---- serve and roles */
struct ask_start {
	struct str role;  /* "edge", "store", … */
	struct str group; /* edge: "mx", "user", "control" */
	uint32_t number;  /* of the processes of a group, from 0 on */
	struct str home;  /* absolute path; only store gets it */
	uint32_t uid, gid;
	enum sandbox_mode walls;
	uint8_t log_level; /* enum log_level */
};
struct ask_start_answer {
	struct str missing; /* walls that this machine cannot give, as words */
};
struct ask_link_peer {
	struct str role;  /* who is at the far end */
	struct str group; /* of an edge: "mx", "user", "control" */
};
struct ask_file {
	struct str setting; /* that names it: "trust.store", "dns.trust_anchor" */
	struct str path;
	struct str error;   /* why it could not be read; then there is no descriptor */
	int64_t changed_ms; /* its modification time */
	bool trial;         /* only to be judged: what was read before stays in any case */
};
/* The answer to ASK_CONF. */
struct ask_conf_answer {
	struct str faults; /* what cannot be used although the settings are in force, a line each */
};
struct ask_listen {
	uint32_t number; /* for ASK_UNLISTEN */
	enum listener listener;
	struct str address; /* "127.0.0.1:25"; for the group control a path */
};
struct ask_unlisten {
	uint32_t number;
};
struct ask_snapshot {
	uint64_t revision;
	uint32_t role; /* enum conf_role */
};
struct ask_apply_answer {
	struct str report; /* one line a role: "mx 7", or "relay not running" */
};
struct ask_service {
	struct str op;    /* "list", "start", "stop" */
	struct str group; /* "mx", "user", "relay" */
};
struct ask_service_answer {
	struct str faults; /* "mx " and one of its faults (struct ask_conf_answer), a line each */
	struct str lines;  /* "mx running 4711 restarts=0 walls=landlock,seccomp\n" … */
};

void xfer_ask_start(struct xfer *x, void *v);          /* struct ask_start */
void xfer_ask_start_answer(struct xfer *x, void *v);   /* struct ask_start_answer */
void xfer_ask_link_peer(struct xfer *x, void *v);      /* struct ask_link_peer */
void xfer_ask_file(struct xfer *x, void *v);           /* struct ask_file */
void xfer_ask_conf_answer(struct xfer *x, void *v);    /* struct ask_conf_answer */
void xfer_ask_listen(struct xfer *x, void *v);         /* struct ask_listen */
void xfer_ask_unlisten(struct xfer *x, void *v);       /* struct ask_unlisten */
void xfer_ask_snapshot(struct xfer *x, void *v);       /* struct ask_snapshot */
void xfer_ask_apply_answer(struct xfer *x, void *v);   /* struct ask_apply_answer */
void xfer_ask_service(struct xfer *x, void *v);        /* struct ask_service */
void xfer_ask_service_answer(struct xfer *x, void *v); /* struct ask_service_answer */

#endif
