/* writer: the one thread that changes node.db. Jobs that wait are done together: their files are
 * synced, then their directories, then one transaction with one sync. Its invariants stand numbered
 * at the top of writer.c.
 *
 * A job is embedded in the struct of whoever posts it and stays untouched by him until it is done. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include "store/db.h"
#include "store/spool.h"

struct writer;
struct fiber;

enum write_kind {
	WRITE_ADMITS,   /* brings mail in: refused where it finds no room (space.h) */
	WRITE_FINISHES, /* moves mail on or out: may use all there is, and the reserve */
	WRITE_LAZY,     /* nobody waits: goes with the next batch, at the latest after WRITER_LAZY_MS;
					 * dropped while there is little room */
};
enum { WRITER_LAZY_MS = 500 };

struct write_job {
	/* Runs on the writer's thread inside a transaction; once more, alone, if the batch it was in
	 * was refused. 0, or -1 with *err: then nothing of the job happens. */
	int (*apply)(struct write_job *job, struct writer *w, struct db *db, struct err *err);
	/* Runs on the loop's thread afterwards and must not wait; may free the job. NULL: nothing. */
	void (*done)(struct write_job *job);
	enum write_kind kind;
	uint64_t need; /* bytes that it takes of the disk (space.h); unused if it finishes */
	/* A body that becomes the file of `body_id`, made durable before the transaction; -1: none.
	 * One in memory is copied (body_fd is then another one afterwards), an unnamed spool file gets
	 * its name. The caller closes it. */
	int body_fd;
	bool body_in_memory;
	uint64_t body_id;
	/* The result: ERR_NONE means on disk, synced. */
	struct err err;

	/* The writer's. */
	struct write_job *next;
	struct fiber *waiter;
	bool finished, file_there;
};

/* Opens HOME/node.db and starts the thread. `failed` is called once on the loop's thread after an
 * I/O error or failed sync, when all waiters have been answered: the process must end. NULL with
 * *err. */
struct writer *writer_new(const char *home, struct spool *spool,
	void (*failed)(const char *why, void *arg), void *arg, struct err *err);
/* Does all that waits, checkpoints, ends the thread. */
void writer_free(struct writer *w);
/* Never waits. */
void writer_post(struct writer *w, struct write_job *job);
/* Posts and waits: parks the fiber, or blocks outside one. 0, or -1 with *err. */
int writer_do(struct writer *w, struct write_job *job, struct err *err);
/* Waits until all that was posted so far is durable. */
int writer_flush(struct writer *w, struct err *err);
/* From apply only: the body file of `id` is unlinked after the commit. */
void writer_unlink_later(struct writer *w, uint64_t id);

/* A write found no space, and since then there was none for the reserve. */
bool writer_disk_full(struct writer *w);

struct writer_room {
	uint64_t available, floor; /* bytes of the file system; the floor is not for new mail */
	uint64_t for_mail;         /* bytes that mail may take now */
	uint64_t to_promise;       /* bytes of it that may be promised to mail still to come */
	bool low, full;            /* nothing is promised any more; a write found no space */
};
/* Looks at the disk now. Any thread. */
void writer_room(struct writer *w, struct writer_room *ret);
/* queue.min_free */
void writer_set_min_free(struct writer *w, uint64_t bytes);

#endif
