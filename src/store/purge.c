/* Forgetting: messages that ended, and records, older than record.keep; and giving back to the file
 * system what node.db no longer needs. In small steps, so that nobody waits long behind one. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store_parts.h"

enum {
	STEP = 200,             /* rows that go in one step */
	LOOK = 1000,            /* rows that are looked at */
	SHRINK_STEP = 500,      /* pages of 4 KB */
	SHRINK_KEEP = 4 * 1024, /* free ones that stay: the next mail takes them */
};

struct purge_job {
	struct write_job job;
	struct store *store;
	int64_t before_ms;
	uint64_t messages_at, records_at; /* where the walks are; 0: at their end, or beginning */
	int64_t freed;                    /* pages of this step */
};

/* Ids sort by time, so what is old lies together. What must stay, such as mail that still waits, is
 * passed over once in a walk, however much of it there is. */
struct walk {
	const char *select; /* id, and whether it may go: behind $1, below $2, old at $3; at most $4 */
	const char *const *steps; /* what is done with each id that goes */
};

/* The next part of a walk behind *at. */
static int purge(
	struct purge_job *p, struct db *db, const struct walk *walk, uint64_t *at, struct err *err)
{
	int64_t ids[STEP];
	int n = 0, seen = 0, step = 0;
	struct db_query *q = db_query(db, walk->select);
	db_bind_int(q, 1, (int64_t)*at);
	db_bind_int(q, 2, (int64_t)id_first(p->before_ms));
	db_bind_int(q, 3, p->before_ms);
	db_bind_int(q, 4, LOOK);
	while (n < STEP && (step = db_step(q, err)) > 0) {
		*at = (uint64_t)db_int(q, 0);
		if (db_int(q, 1))
			ids[n++] = db_int(q, 0);
		seen++;
	}
	if (step < 0)
		return -1;
	db_end(q);
	if (n < STEP && seen < LOOK)
		*at = 0;
	for (int i = 0; i < n; i++)
		for (const char *const *sql = walk->steps; *sql; sql++) {
			struct db_query *d = db_query(db, *sql);
			db_bind_int(d, 1, ids[i]);
			if (db_run(d, err))
				return -1;
		}
	return 0;
}

static int purge_messages(struct purge_job *p, struct db *db, struct err *err)
{
	static const char *const steps[] = {
		"DELETE FROM recipient WHERE message = $1",
		"DELETE FROM record_message WHERE message = $1",
		"DELETE FROM message WHERE id = $1",
		NULL,
	};
	static const struct walk walk = {
		"SELECT id, finished_ms < $3 FROM message WHERE id > $1 AND id < $2 ORDER BY id LIMIT $4",
		steps};
	return purge(p, db, &walk, &p->messages_at, err);
}

/* A record stays as long as a message it speaks of. */
static int purge_records(struct purge_job *p, struct db *db, struct err *err)
{
	static const char *const steps[] = {
		"DELETE FROM record_message WHERE record = $1",
		"DELETE FROM record WHERE id = $1",
		NULL,
	};
	static const struct walk walk = {
		"SELECT id, NOT EXISTS (SELECT 1 FROM record_message AS r JOIN message ON"
		" message.id = r.message WHERE r.record = record.id) FROM record"
		" WHERE id > $1 AND id < $2 AND at_ms < $3 ORDER BY id LIMIT $4",
		steps};
	return purge(p, db, &walk, &p->records_at, err);
}

static int apply_purge(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct purge_job *p = (struct purge_job *)job; /* its first member */
	(void)w;
	/* The loop's thread leaves them alone until this job is done. */
	p->messages_at = p->store->purged_messages;
	p->records_at = p->store->purged_records;
	if (purge_messages(p, db, err) || purge_records(p, db, err))
		return -1;
	return db_shrink(db, SHRINK_KEEP, SHRINK_STEP, &p->freed, err);
}

static void purge_done(struct write_job *job)
{
	struct purge_job *p = (struct purge_job *)job; /* its first member */
	struct store *s = p->store;
	s->purging = false;
	if (job->err.kind != ERR_NONE) {
		log_warn("store.purge", "%s", job->err.log);
	} else {
		s->purged_messages = p->messages_at;
		s->purged_records = p->records_at;
		if (p->messages_at || p->records_at || p->freed >= SHRINK_STEP)
			purge_step(s); /* there is more */
	}
	free(p);
}

void purge_step(struct store *s)
{
	if (s->purging || s->closing || !store_trusts_clock(s))
		return;
	struct purge_job *p = mem_new(sizeof *p);
	p->job = (struct write_job){
		.apply = apply_purge, .done = purge_done, .kind = WRITE_LAZY, .body_fd = -1};
	struct writer_room room;
	writer_room(s->writer, &room);
	if (room.low)
		p->job.kind = WRITE_FINISHES; /* it makes room */
	p->store = s;
	p->before_ms = store_now(s) - s->site->conf->record_keep_ms;
	s->purging = true;
	writer_post(s->writer, &p->job);
}
