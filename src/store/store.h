/* store: the durable heart as its role and the admin verbs see it: mail comes in (store_accept),
 * waits in the queue, goes to relay, and leaves records behind. Reads run on the caller's thread;
 * each change is a job of the writer, for which a fiber waits (outside a fiber the call blocks). */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "ask/ask_mail.h"
#include "ask/record.h"
#include "io/ask.h"
#include "store/node_db.h"
#include "store/site.h"

struct store;

/* Opens HOME's node.db and spool, drops what a crash left behind, loads the queue and starts the
 * writer. Nothing is delivered before store_set_relay(). Whoever calls holds the home's lock: the
 * role, or the command line while the daemon is down. NULL with *err. */
struct store *store_open(const char *home, struct site *site, struct err *err);
/* Waits for the writer; deliveries under way are forgotten (they will be made again). */
void store_close(struct store *s);
/* Called once when nothing can be written any more (W5); every open question has its answer by then
 * or gets it with the next turn of the loop. The process must end: start-up reads what is really on
 * disk. */
void store_on_failure(struct store *s, void (*fn)(const char *why, void *arg), void *arg);
/* Nothing new goes to relay from now on, and its end means nothing any more. */
void store_stop(struct store *s);
/* Attempts are under way. */
bool store_busy(const struct store *s);
/* A new revision is in force: routes, retry times, limits. Nothing in the queue is lost. */
void store_set_site(struct store *s, struct site *site);
/* Where due mail goes; NULL: nowhere for now. The link before must be dead or NULL. */
void store_set_relay(struct store *s, struct ask_link *relay);
/* An edge that takes mail: from now on it is told how much the disk has room for (ASK_ROOM), until
 * store_link_gone(). */
void store_add_edge(struct store *s, struct ask_link *edge);
/* Relay is being stopped on purpose: it gets nothing more, and what it still holds when its link ends
 * waits for the next relay as if nothing had happened. */
void store_relay_leaves(struct store *s);
/* An edge link has ended: the spool files lent to it are dropped. */
void store_link_gone(struct store *s, const struct ask_link *link);

/* ---- the questions of edge; each fills q->answer or q->err (accept.c, recorder.c) */
void store_answer_rcpt(struct store *s, struct ask_question *q);
void store_answer_accept(struct store *s, struct ask_question *q);
void store_answer_spool(struct store *s, struct ask_question *q);
void store_answer_record(struct store *s, struct ask_question *q);

/* ---- reading, for admin (read.c). Rows live in the arena. */
struct recipient_row {
	uint64_t message;
	uint32_t n; /* from 0 in the order of RCPT */
	struct str address, domain, orcpt;
	uint8_t notify;
	enum recipient_state state;
	bool active;     /* in the hands of relay now */
	int64_t next_ms; /* READY, DEFERRED: not before */
	uint32_t attempts;
	int64_t last_ms;        /* last attempt, 0: none */
	struct str destination; /* route_key(): "connector NAME", "host HOST:PORT", "mx DOMAIN" */
	/* What was said last; texts as in recipient_result. */
	uint16_t code;
	struct str enhanced, text, command, cause, remote_host, remote_address, tls;
};
struct message_row {
	uint64_t id, session, parent;     /* parent: a bounce speaks of this message; else 0 */
	int64_t received_ms, finished_ms; /* finished: the last recipient became final; 0: not yet */
	struct str sender, envid, prefix, message_id, client, helo, tls;
	enum listener listener;
	enum body_kind body_kind;
	uint64_t size; /* of the body, without prefix */
	uint32_t recipient_count, deaths;
	bool has_8bit;
};
struct recipient_filter {
	uint64_t message; /* 0: any */
	unsigned states;  /* 1 << enum recipient_state, or-ed; 0: all that are not final */
	bool active;      /* only those in the hands of relay */
	/* Empty: any. */
	struct str domain;      /* of the recipient, lower case */
	struct str destination; /* as in recipient_row */
	struct str cause;       /* what it waits for */
	bool by_sender;
	struct str sender_domain;   /* lower case; empty: the null sender */
	struct str sender;          /* an address, ASCII case ignored; empty: all of the domain */
	int64_t from_ms, before_ms; /* when the message was received; before 0: any */
};
struct recipient_place { /* where a page ended */
	uint64_t message;
	uint32_t n;
};
/* The next `limit` recipients after *at (zeroed: from the oldest), which is moved on. *ret_n is less
 * than `limit` only at the end. 0, or -1 with *err. */
int store_list(struct store *s, const struct recipient_filter *f, struct recipient_place *at,
	uint32_t limit, struct arena *arena, struct recipient_row **ret, uint32_t *ret_n,
	struct err *err);
/* 1: found, 0: there is none, -1 with *err. */
int store_message(
	struct store *s, uint64_t id, struct arena *arena, struct message_row *ret, struct err *err);
/* Messages that `what` names: a queue id, a Message-ID (with or without <>), an address, or a domain
 * (of sender or recipient); newest first, at most `limit`. 0, or -1 with *err. */
int store_find(struct store *s, struct str what, uint32_t limit, struct arena *arena,
	uint64_t **ret_ids, uint32_t *ret_n, struct err *err);
/* The records of a message (session and attempts) by time, at most `limit`; or, for message 0, those
 * of sessions without mail whose peer begins with `peer`, newest first. 0, or -1 with *err. */
int store_records(struct store *s, uint64_t message, struct str peer, uint32_t limit,
	struct arena *arena, struct record ***ret, uint32_t *ret_n, struct err *err);

/* ---- counting */
struct store_destination {
	struct str name; /* as recipient_row.destination */
	uint64_t ready, deferred, held, active;
	int64_t waits_until_ms;           /* it was not reached and backs off (K3); 0: it does not */
	struct str trouble, trouble_text; /* the cause of its last failure; empty: it did not fail */
	struct str cause; /* the one most of its recipients have met, and how many; empty: none */
	uint64_t of_cause;
};
struct store_summary {
	struct store_destination *destinations; /* with most recipients first */
	size_t destination_count;               /* in the list; how many there are: store_count() */
	uint64_t *causes;                       /* recipients, for each of causes[] */
};
/* How much waits for what, of up to `limit` destinations; in the arena. Once the queue is read. */
void store_summarize(
	struct store *s, uint32_t limit, struct arena *arena, struct store_summary *ret);

struct store_counters { /* recipients, except where another thing is named */
	uint64_t ready, active, deferred, held;
	uint64_t messages; /* not finished */
	uint64_t destinations;
	bool loading; /* the queue is still being read after the start: there are more */
	uint64_t accepted, delivered, bounced, expired, attempts; /* since the process began */
	uint64_t records_thinned;
	bool disk_full, disk_low;
	uint64_t disk_available, disk_floor; /* bytes of the home's file system; the floor in force */
};
void store_count(struct store *s, struct store_counters *ret);

/* ---- changing, for admin (change.c). In few transactions, however many there are. A recipient in
 * the hands of relay is counted too: its change comes when the attempt has ended, unless that
 * delivered it. `who` stands in the log. 0 with *ret_count of recipients, or -1 with *err. */
enum store_change {
	CHANGE_RETRY,   /* READY, DEFERRED: due now; the destination forgets its failures */
	CHANGE_HOLD,    /* READY, DEFERRED: wait for release */
	CHANGE_RELEASE, /* HELD: due now */
	CHANGE_REMOVE,  /* all that are not final: dropped without a bounce */
};
int store_change(struct store *s, enum store_change change, const struct recipient_filter *f,
	struct str who, uint64_t *ret_count, struct err *err);

#endif
