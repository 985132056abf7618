/* store_parts: what struct store is made of, for the files of store/ that work on it. */
#ifndef STORE_STORE_PARTS_H
#define STORE_STORE_PARTS_H

#include "base/vec.h"
#include "io/loop.h"
#include "store/jumps.h"
#include "store/queue_look.h"
#include "store/store.h"
#include "store/suspect.h"
#include "store/writer.h"

struct recorder;
struct watch;

enum {
	TICK_MS = 5 * 1000,                 /* housekeeping */
	DELIVERIES_MAX = QUEUE_RUNNING_MAX, /* attempts under way; below the credits of the link */
};

struct store {
	struct db *reader; /* the loop's thread */
	struct spool *spool;
	struct writer *writer;
	struct queue *queue;
	struct recorder *recorder;
	struct watch *watch;
	struct site *site;
	struct suspect suspect;
	struct jumps jumps;
	struct ask_link *relay;
	unsigned deliveries; /* fibers of deliver.c */
	unsigned giving_up;  /* of them those that give a message up without asking relay */
	unsigned unwritten;  /* of them, that could not write their result and will try again */
	struct queue_place give_up_at;
	bool loading;     /* the queue is still being read … */
	uint64_t loaded;  /* … and these messages are there */
	bool changing;    /* a change of an administrator is under way (change.c) */
	bool purging;     /* a step of purge.c is under way */
	int64_t purge_ms; /* steady clock: the next one */
	uint64_t purged_messages, purged_records; /* so far its walks came; 0: they begin */
	bool stopping, closing;
	bool relay_leaves;       /* on purpose: its end is nobody's death */
	bool failed;             /* the writer is dead: nothing is accepted or delivered */
	struct loop_timer *pump; /* NULL without a loop */
	struct loop_timer *tick;
	struct loop_timer *room_timer;
	bool room_soon;   /* it runs */
	bool room_scarce; /* looked at after each message */
	struct vec edges; /* struct edge_room (room.c) */
	void (*on_failure)(const char *why, void *arg);
	void *on_failure_arg;
	uint64_t attempts; /* since the process began */
};

/* ---- store.c */
/* Waits until the whole queue has been read, for what needs to see all of it. */
void store_wait_loaded(struct store *s);

/* ---- letter.c: one message as it goes into the database */
struct letter {
	uint64_t id, session, parent;
	int64_t received_ms, queued_ms; /* wall clock, queue time */
	const struct envelope *envelope;
	struct str *domains; /* of the recipients, lower case */
	struct str sender_domain;
	struct str prefix, message_id, client, helo, tls;
	struct str body; /* its row; unused if in_file */
	bool in_file;
	uint64_t size;
	enum listener listener;
	bool has_8bit;
	uint32_t longest_line;
};
/* Finds the domains, checks every address: 0, or -1 with *err (ERR_PERM). The slices it makes live
 * in `arena`. */
int letter_check(struct letter *l, struct arena *arena, struct err *err);
/* Inside a transaction. A second one with this id is refused. */
int letter_insert(const struct letter *l, struct db *db, struct err *err);
/* Puts it into the queue, due now. After the commit. */
void letter_queue(struct store *s, const struct letter *l);

/* ---- outcome.c: what becomes of recipients */
struct outcome {
	uint32_t n;
	enum recipient_state state;
	int64_t next_ms;
	bool attempted;                      /* counts as an attempt; else `said` may still be set */
	const struct recipient_result *said; /* NULL: what was said last stays */
};
/* Inside a transaction. Recipients that are final already are an error. When the last one of the
 * message becomes final its body goes. `deaths` < 0: as it was. */
int outcome_write(struct writer *w, struct db *db, uint64_t message, const struct outcome *o,
	uint32_t count, int64_t deaths, int64_t now_ms, struct err *err);

/* ---- room.c: what edges know of the disk */
void room_open(struct store *s);
void room_close(struct store *s);
void room_forget(struct store *s, const struct ask_link *edge);
/* Mail came in, or is coming: looks soon, where room is scarce at once. */
void room_kick(struct store *s);
/* Looks now, and tells those for whom it changed much. */
void room_look(void *store);

/* ---- deliver.c */
/* Something may be due: looks soon. */
void deliver_kick(struct store *s);
void deliver_pump(void *store);
/* Ends some of what is past queue.give_up and cannot be tried. Call now and then. */
void deliver_give_up(struct store *s);

/* ---- change.c */
/* After the recipient's row was written by an attempt: the queue follows, and what an administrator
 * wished meanwhile is done now. */
void change_settle(struct store *s, uint64_t message, const struct outcome *o);

/* ---- recorder.c */
struct recorder *recorder_new(void);
void recorder_free(struct recorder *r);
/* Inside a transaction: one record, with the messages it speaks of. */
int record_insert(struct db *db, const struct record *r, struct str packed, struct err *err);
/* Its times are true: purge_step() relies on records lying in the order of their ids. */
bool record_is_recent(const struct record *r);
uint64_t recorder_thinned(const struct recorder *r);

/* ---- purge.c */
/* Posts one small step of forgetting what is older than record.keep, if none is under way. */
void purge_step(struct store *s);

#endif
