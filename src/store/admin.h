/* admin: everything an administrator can ask, one table of verbs. Arguments and answers are JSON.
 * The same functions serve the control socket (ASK_ADMIN, from role/store.c) and, while the daemon
 * is down, the command line, which holds the home's lock.
 *
 * A change goes in two phases: the candidate is built inside a transaction of site.db, packed for
 * each role (ASK_SNAPSHOT), tried (ASK_PREPARE: serve binds new listeners), and only then committed
 * and handed out (ASK_APPLY). Whatever fails before the commit leaves everything as it was (P2). */
#ifndef STORE_ADMIN_H
#define STORE_ADMIN_H

#include <jansson.h>

#include "io/ask.h"
#include "store/site.h"

struct store; /* store.h: queue and recorder */

/* What the verbs work on; one a process. Zeroed, then filled by its owner; links may change. */
struct admin {
	const char *home;
	uint32_t owner; /* uid of the home's owner: may do everything, like root */
	struct site_db *db;
	struct site *site;       /* in force; replaced at each change */
	struct store *store;     /* NULL: verbs on queue and trace answer 503 */
	struct ask_link *serve;  /* NULL: the daemon is down, changes are only written */
	struct ask_link *keys;   /* as above */
	int64_t started_ms;      /* wall clock */
	bool changing;           /* a change is under way */
	struct str apply_report; /* what the roles said to the last ASK_APPLY; in the site's arena */
	/* Called after admin->site was replaced, before the roles are told. May be NULL. */
	void (*site_changed)(void *arg);
	void *arg;
};

/* Opens site.db and loads it. Then, with serve and keys linked: admin_publish(). -1 with *err. */
int admin_open(struct admin *a, const char *home, struct err *err);
void admin_close(struct admin *a);
/* First start makes a key and a self-signed certificate for server.hostname if there is none, then
 * hands the snapshots of the revision in force to serve. Needs both links. -1 with *err. */
int admin_publish(struct admin *a, struct err *err);

/* Who changes something, as rows and logs name him: there are no user names behind the walls. */
struct str admin_who(uint32_t uid, struct arena *arena);
/* The handler's part for ASK_ADMIN: takes the question, reads the caller's credentials from fd 0,
 * runs the verb, packs the answer. */
void admin_answer(struct ask_question *q, struct admin *a);

/* Runs one verb. `raw` is a descriptor with a raw body, or -1. `who` is written into rows that
 * change. Returns an HTTP status; *ret_json (in `arena`) is always set:
 *   {"error": {"code": …, "message": …, "field": …}} for every status but 200. */
unsigned admin_run(struct admin *a, struct str verb, struct str args, int raw, struct str who,
	struct arena *arena, struct str *ret_json);

/* ---- the table */
enum admin_flags {
	ADMIN_DAEMON = 1, /* makes sense only while the daemon runs */
	ADMIN_CHANGES = 2,
	ADMIN_RAW = 4, /* takes a raw body */
};
enum admin_type { ADMIN_TEXT, ADMIN_NUMBER, ADMIN_TRUTH, ADMIN_TEXTS, ADMIN_NUMBERS };
struct admin_argument {
	const char *name; /* NULL ends the list */
	enum admin_type type;
	bool required;
	const char *text;
};
struct admin_call; /* admin_verbs.h */
typedef json_t *admin_fn(struct admin_call *c);
struct admin_verb {
	const char *name; /* "queue.list" */
	admin_fn *run;
	unsigned flags;
	const char *text;   /* one sentence */
	const char *answer; /* what comes back, one sentence */
	const struct admin_argument *arguments;
};
extern const struct admin_verb admin_verbs[];
extern const size_t admin_verb_count;
/* NULL if there is none. */
const struct admin_verb *admin_verb_find(struct str name);

#endif
