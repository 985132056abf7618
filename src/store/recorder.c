/* The recorder: what sessions and attempts tell of themselves is kept. Nobody waits for it: records
 * go with the writer's next batch. What waits is bounded, and strangers have less room than those
 * who brought mail, so that they cannot buy disk writes; what finds no room is counted. */
#include <stdlib.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store_parts.h"

enum {
	PENDING_MAX = 8 * 1024 * 1024,     /* bytes that wait, of those who brought mail */
	PENDING_STRANGERS = 512 * 1024,    /* from here on sessions without mail are thinned */
	STRANGERS_PER_TICK = 500,          /* records of sessions without mail in TICK_MS */
	PACKED_MAX = 64 * 1024,            /* RECORD_BYTES and RECORD_EVENTS with their frames */
	CLOCK_SLACK_MS = 24 * 3600 * 1000, /* edge's clock is ours; more is a lie */
};

struct recorder {
	size_t pending;
	unsigned strangers; /* since tick_ms */
	int64_t tick_ms;
	uint64_t thinned, thinned_told;
};

struct record_job {
	struct write_job job;
	struct recorder *recorder;
	struct arena *arena;
	struct record *record;
	struct str packed;
};

int record_insert(struct db *db, const struct record *r, struct str packed, struct err *err)
{
	/* A number met twice keeps its first record: nobody overwrites another's story. */
	struct db_query *q = db_query(db,
		"INSERT INTO record (id, kind, at_ms, peer, data, messages)"
		" VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING");
	db_bind_int(q, 1, (int64_t)r->id);
	db_bind_int(q, 2, r->kind);
	db_bind_int(q, 3, r->started_ms);
	db_bind_text(q, 4, r->peer);
	db_bind_blob(q, 5, packed);
	db_bind_int(q, 6, r->message_count);
	if (db_run(q, err))
		return -1;
	if (db_changes(db) == 0)
		return 0;
	uint32_t known = r->message_count < RECORD_MESSAGES ? r->message_count : RECORD_MESSAGES;
	for (uint32_t i = 0; i < known; i++) {
		q = db_query(db,
			"INSERT INTO record_message (message, record) VALUES ($1, $2) ON CONFLICT DO NOTHING");
		db_bind_int(q, 1, (int64_t)r->messages[i]);
		db_bind_int(q, 2, (int64_t)r->id);
		if (db_run(q, err))
			return -1;
	}
	return 0;
}

static int apply_record(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct record_job *r = (struct record_job *)job; /* its first member */
	(void)w;
	return record_insert(db, r->record, r->packed, err);
}

static void record_done(struct write_job *job)
{
	struct record_job *r = (struct record_job *)job; /* its first member */
	r->recorder->pending -= r->packed.n;
	r->recorder->thinned += job->err.kind != ERR_NONE;
	arena_free(r->arena);
	free(r);
}

/* True if the record finds room. */
static bool admit(struct recorder *k, const struct record *r, size_t bytes)
{
	int64_t now = clock_steady_ms();
	if (r->message_count)
		return k->pending + bytes <= PENDING_MAX;
	if (now - k->tick_ms >= TICK_MS) {
		k->tick_ms = now;
		k->strangers = 0;
		if (k->thinned != k->thinned_told)
			log_warn("store.thinned", "records=%llu of sessions were not kept",
				(unsigned long long)(k->thinned - k->thinned_told));
		k->thinned_told = k->thinned;
	}
	return k->pending + bytes <= PENDING_STRANGERS && k->strangers++ < STRANGERS_PER_TICK;
}

/* `ms` may be any number: a difference could overflow. */
static bool is_recent(int64_t ms)
{
	int64_t now = clock_wall_ms();
	return ms > now - CLOCK_SLACK_MS && ms < now + CLOCK_SLACK_MS;
}

bool record_is_recent(const struct record *r)
{
	return r->id <= INT64_MAX && is_recent(r->started_ms) && is_recent(id_time_ms(r->id));
}

/* An edge tells of sessions only, relay's attempts come with its answers. */
void store_answer_record(struct store *s, struct ask_question *q)
{
	struct recorder *k = s->recorder;
	struct arena *arena = arena_new();
	struct str packed = arena_dup(arena, q->body);
	struct record *r = arena_alloc(arena, sizeof *r);
	struct xfer x = xfer_reader(packed, arena);
	xfer_record(&x, r);
	if (!xfer_done(&x) || packed.n > PACKED_MAX || r->kind != RECORD_SESSION ||
		!record_is_recent(r)) {
		err_perm(&q->err, NULL, "record: out of bounds");
		arena_free(arena);
		return;
	}
	if (!admit(k, r, packed.n)) {
		k->thinned++;
		arena_free(arena);
		return;
	}
	struct record_job *job = mem_new(sizeof *job);
	*job = (struct record_job){.job = {.apply = apply_record,
								   .done = record_done,
								   .kind = WRITE_LAZY,
								   .need = 2 * packed.n,
								   .body_fd = -1},
		.recorder = k,
		.arena = arena,
		.record = r,
		.packed = packed};
	k->pending += packed.n;
	writer_post(s->writer, &job->job);
}

uint64_t recorder_thinned(const struct recorder *k)
{
	return k->thinned;
}

struct recorder *recorder_new(void)
{
	return mem_new(sizeof(struct recorder));
}

void recorder_free(struct recorder *k)
{
	free(k);
}
