/* Forgetting: messages that ended, and records, older than record.keep; and giving back to the file
 * system what node.db no longer needs. In small steps, so that nobody waits long behind one. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store_parts.h"

enum {
	STEP = 200,
	SHRINK_STEP = 500,      /* pages of 4 KB */
	SHRINK_KEEP = 4 * 1024, /* free ones that stay: the next mail takes them */
	ID_TIME_SHIFT = 20,
};

struct purge_job {
	struct write_job job;
	struct store *store;
	int64_t before_ms;
	int64_t gone, freed; /* rows and pages of this step */
};

/* Runs the steps for each id that the query gives. */
static int purge(struct purge_job *p, struct db *db, struct db_query *q, const char *const *steps,
	struct err *err)
{
	int64_t ids[STEP];
	size_t n = 0;
	int step = 0;
	db_bind_int(q, 1, p->before_ms << ID_TIME_SHIFT);
	db_bind_int(q, 2, STEP);
	while (n < STEP && (step = db_step(q, err)) > 0)
		ids[n++] = db_int(q, 0);
	if (step < 0)
		return -1;
	db_end(q);
	for (size_t i = 0; i < n; i++)
		for (const char *const *sql = steps; *sql; sql++) {
			struct db_query *d = db_query(db, *sql);
			db_bind_int(d, 1, ids[i]);
			if (db_run(d, err))
				return -1;
		}
	p->gone += (int64_t)n;
	return 0;
}

/* Ids sort by time, so the old ones lie together; those that are still open are passed over. */
static int purge_messages(struct purge_job *p, struct db *db, struct err *err)
{
	static const char *const steps[] = {
		"DELETE FROM recipient WHERE message = $1",
		"DELETE FROM record_message WHERE message = $1",
		"DELETE FROM message WHERE id = $1",
		NULL,
	};
	struct db_query *q = db_query(
		db, "SELECT id FROM message WHERE id < $1 AND finished_ms < $3 ORDER BY id LIMIT $2");
	db_bind_int(q, 3, p->before_ms);
	return purge(p, db, q, steps, err);
}

/* A record stays as long as a message it speaks of. */
static int purge_records(struct purge_job *p, struct db *db, struct err *err)
{
	static const char *const steps[] = {
		"DELETE FROM record_message WHERE record = $1",
		"DELETE FROM record WHERE id = $1",
		NULL,
	};
	struct db_query *q = db_query(db,
		"SELECT id FROM record WHERE id < $1 AND NOT EXISTS (SELECT 1 FROM record_message AS r"
		" JOIN message ON message.id = r.message WHERE r.record = record.id) ORDER BY id LIMIT $2");
	return purge(p, db, q, steps, err);
}

static int apply_purge(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct purge_job *p = (struct purge_job *)job; /* its first member */
	(void)w;
	p->gone = 0;
	if (purge_messages(p, db, err) || purge_records(p, db, err))
		return -1;
	return db_shrink(db, SHRINK_KEEP, SHRINK_STEP, &p->freed, err);
}

static void purge_done(struct write_job *job)
{
	struct purge_job *p = (struct purge_job *)job; /* its first member */
	struct store *s = p->store;
	s->purging = false;
	if (job->err.kind != ERR_NONE)
		log_warn("store.purge", "%s", job->err.log);
	else if (p->gone >= STEP || p->freed >= SHRINK_STEP)
		purge_step(s); /* there is more */
	free(p);
}

void purge_step(struct store *s)
{
	if (s->purging || s->closing)
		return;
	struct purge_job *p = mem_new(sizeof *p);
	p->job = (struct write_job){
		.apply = apply_purge, .done = purge_done, .kind = WRITE_LAZY, .body_fd = -1};
	p->store = s;
	p->before_ms = clock_wall_ms() - s->site->conf->record_keep_ms;
	s->purging = true;
	writer_post(s->writer, &p->job);
}
