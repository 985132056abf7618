/* The writer's invariants. Tests name them.
 *
 *   W1  Nobody is told "done" before what he gave is on disk: bodies (Q3), their names (Q4), rows
 *       (Q6), each synced.
 *   W2  A row that names a file is committed only when the file and its name are synced. A file
 *       without a row is garbage, dropped at start.
 *   W3  Only this thread's connection commits and checkpoints, so "database is locked" cannot happen
 *       and no checkpoint ever races a commit.
 *   W4  A batch that is refused, by a constraint or for space, is rolled back and done again message
 *       by message: a bad one harms only itself.
 *   W5  A failed sync or I/O error is never retried: the kernel may have marked the pages clean. All
 *       who wait, and all who come later, get a temporary error; the process ends; start-up reads
 *       what is really there.
 *   W6  A body's file is unlinked only after the commit that ended it.
 *   W7  When the disk is full nothing new is admitted, and a reserve is freed so that what is here
 *       can be finished.
 *
 * The steps of a batch. doc/QUEUE.md says what a crash after each leaves behind.
 *
 *   Q1  large bodies are written into unnamed files     Q5  rows are written
 *   Q2  they get their names                            Q6  commit: the WAL is synced
 *   Q3  these files are synced                          Q7  those who wait are told
 *   Q4  the directories are synced                      Q8  files of ended bodies are unlinked
 *                                                       Q9  now and then: checkpoint */
#include "store/writer.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/body.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "store/node_db.h"
#include "store/space.h"
#include "store/sync_pool.h"

enum {
	PAGE = 4096,
	RECLAIM_PAGES = 1000, /* given back at each look at a disk with little room */
	LOOK_MS = 1000,       /* how often that is looked at */
	SLOW_SYNC_MS = 1000,  /* as long as a client notices */
	IDLE_MS = 50,         /* no work for so long: time for a checkpoint */
};

struct queue_of_jobs {
	struct write_job *first, **end;
};

struct writer {
	struct db *db;
	struct spool *spool;
	struct sync_pool *sync_pool;
	char *folder, *reserve_path;
	void (*failed)(const char *why, void *arg);
	void *failed_arg;
	pthread_t thread;
	bool started;

	/* Shared between the threads, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t work, progress;
	struct queue_of_jobs waiting, finished;
	unsigned urgent;    /* waiting jobs that are not lazy */
	int64_t lazy_since; /* steady clock, the oldest lazy one; 0: none */
	bool stop, idle;
	bool dead;      /* W5; `why` is set */
	bool full, low; /* W7 */
	uint64_t min_free;
	uint64_t debt,
		lazy; /* bytes: what the WAL will add to the database; what lazy jobs will take */
	char why[320];

	/* The writer's thread. */
	struct vec unlinks; /* uint64_t, after the commit */
	int64_t looked_ms;
	uint64_t reserve_bytes;
	struct space_wal wal;

	/* The loop's thread. */
	int wake_fd;
	struct event *wake;
	bool failure_told;
};

static void jobs_init(struct queue_of_jobs *q)
{
	q->first = NULL;
	q->end = &q->first;
}

static void jobs_add(struct queue_of_jobs *q, struct write_job *job)
{
	job->next = NULL;
	*q->end = job;
	q->end = &job->next;
}

static struct write_job *jobs_take(struct queue_of_jobs *q)
{
	struct write_job *job = q->first;
	if (job && !(q->first = job->next))
		q->end = &q->first;
	return job;
}

static struct queue_of_jobs jobs_take_all(struct queue_of_jobs *q)
{
	struct queue_of_jobs all = *q;
	if (!all.first)
		all.end = NULL;
	jobs_init(q);
	return all;
}

/* ---- failure ---------------------------------------------------------------------------------- */

/* W5. The first reason is the one that counts. */
static void die(struct writer *w, const char *why)
{
	pthread_mutex_lock(&w->lock);
	if (!w->dead) {
		w->dead = true;
		snprintf(w->why, sizeof w->why, "%s", why);
	}
	pthread_mutex_unlock(&w->lock);
}

/* Only the writer's thread sets it, so it may read without the lock. */
static bool is_dead(const struct writer *w)
{
	return w->dead;
}

static void refuse(struct write_job *job, const struct err *err)
{
	job->err = *err;
	if (job->err.kind == ERR_NONE)
		err_temp(&job->err, "temporary server trouble", "the writer refused this without a reason");
}

/* ---- slow disk --------------------------------------------------------------------------------- */

/* This thread may wait for the disk as long as it takes, so the watchdog of the loop is not for it. A
 * step that takes so long is told: everybody who sends waits for it. At most one line a second then. */
static void note_slow(const char *step, int64_t since_ms)
{
	int64_t ms = clock_steady_ms() - since_ms;
	if (ms >= SLOW_SYNC_MS)
		log_warn("store.slow-sync", "step=%s ms=%lld", step, (long long)ms);
}

/* ---- little room, and none (W7) ---------------------------------------------------------------- */

void writer_room(struct writer *w, struct writer_room *ret)
{
	struct space space;
	bool known = space_measure(w->folder, &space);
	pthread_mutex_lock(&w->lock);
	bool was_low = w->low;
	if (known) {
		ret->available = space.available;
		ret->floor = space_floor(space.total, w->min_free);
		ret->for_mail = space_for_mail(space.available, ret->floor, w->debt + w->lazy);
		ret->to_promise = space_to_promise(ret->for_mail, ret->floor);
		w->low = w->full || space_is_low(was_low, ret->to_promise, ret->floor);
	} else {
		*ret = (struct writer_room){.for_mail = UINT64_MAX, .to_promise = UINT64_MAX};
		w->low = w->full;
	}
	ret->low = w->low;
	ret->full = w->full;
	if (w->low && !was_low)
		pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	if (ret->low && !was_low)
		log_warn("store.low", "available=%llu min_free=%llu: mail is refused with 452",
			(unsigned long long)ret->available, (unsigned long long)ret->floor);
	else if (was_low && !ret->low)
		log_warn("store.space", "available=%llu min_free=%llu: mail is accepted again",
			(unsigned long long)ret->available, (unsigned long long)ret->floor);
}

void writer_set_min_free(struct writer *w, uint64_t bytes)
{
	pthread_mutex_lock(&w->lock);
	w->min_free = bytes;
	pthread_mutex_unlock(&w->lock);
}

/* Sizes for the file system as it is now. */
static void take_measure(struct writer *w)
{
	struct space space;
	w->reserve_bytes = space_reserve(space_measure(w->folder, &space) ? space.total : UINT64_MAX);
	w->wal = space_wal(w->reserve_bytes);
}

static void set_full(struct writer *w, bool full)
{
	pthread_mutex_lock(&w->lock);
	w->full = full;
	w->low |= full;
	pthread_mutex_unlock(&w->lock);
}

static void disk_is_full(struct writer *w)
{
	w->looked_ms = clock_steady_ms();
	if (w->full)
		return;
	unlink(w->reserve_path);
	set_full(w, true);
	log_error("store.full", "no space left: mail is refused with 452 until there is");
	/* Copies what the WAL holds into pages the database has already, so the WAL can begin anew. */
	struct err err = {0};
	if (db_checkpoint(w->db, false, &err) && db_failure(w->db) == DB_BROKEN)
		die(w, err.log);
}

/* What the database holds no longer is given back, so that a disk that our own mail had filled is
 * well again when the mail has gone. Best effort: it may need space itself. */
static void reclaim(struct writer *w)
{
	struct err err = {0};
	if ((db_shrink(w->db, 0, RECLAIM_PAGES, NULL, &err) || db_checkpoint(w->db, true, &err)) &&
		db_failure(w->db) == DB_BROKEN)
		die(w, err.log);
}

/* A full disk is well again when the reserve fits in twice, and mail with it. */
static void look_for_reserve(struct writer *w, const struct writer_room *r)
{
	uint64_t beside = r->available > w->reserve_bytes ? r->available - w->reserve_bytes : 0;
	if (w->full && beside >= w->reserve_bytes && space_for_mail(beside, r->floor, 0) &&
		space_make_reserve(w->reserve_path, w->reserve_bytes))
		set_full(w, false);
}

/* What there is. If it is little, sees now and then what can be had. */
static void look_for_space(struct writer *w, struct writer_room *r)
{
	int64_t now = clock_steady_ms();
	writer_room(w, r);
	if (!r->low || now - w->looked_ms < LOOK_MS)
		return;
	w->looked_ms = now;
	take_measure(w);
	/* Where somebody else takes all there is, we keep what we have: results find room in it. */
	if (r->available >= w->reserve_bytes / 2)
		reclaim(w);
	writer_room(w, r);
	look_for_reserve(w, r);
	writer_room(w, r);
}

static int refuse_for_space(struct err *err)
{
	return err_full(err, "there is too little room on the disk (queue.min_free)");
}

/* Refuses what finds no room beside those before it. */
static void admit(const struct writer_room *r, struct write_job *jobs)
{
	uint64_t left = r->for_mail;
	for (struct write_job *job = jobs; job; job = job->next) {
		if (job->kind == WRITE_FINISHES)
			continue;
		if (r->full || job->need > left || (r->low && job->kind == WRITE_LAZY))
			refuse_for_space(&job->err);
		else
			left -= job->need;
	}
}

/* ---- files: Q1 to Q4 -------------------------------------------------------------------------- */

/* Q1. What came as a memory file is written into an unnamed spool file, which takes its place. */
static int write_body(struct writer *w, struct write_job *job, struct err *err)
{
	if (!job->body_in_memory)
		return 0;
	struct str contents;
	int fd;
	if (body_map(job->body_fd, UINT32_MAX, &contents, err))
		return -1;
	int made = spool_make(w->spool, contents, &fd, err);
	bool full = made == -1 && (errno == ENOSPC || errno == EDQUOT);
	body_unmap(contents);
	if (full)
		disk_is_full(w);
	if (made == -1)
		return -1;
	close(job->body_fd);
	job->body_fd = fd;
	job->body_in_memory = false;
	return 0;
}

/* Q2 */
static int name_body(struct writer *w, struct write_job *job, struct err *err)
{
	if (spool_link(w->spool, job->body_fd, job->body_id, err) == -1) {
		if (errno == ENOSPC || errno == EDQUOT)
			disk_is_full(w);
		return -1;
	}
	job->file_there = true;
	return 0;
}

/* Q3. What fails here is not known to be on disk, and so are the others. */
static void sync_bodies(struct writer *w, struct write_job *jobs)
{
	struct vec fds;
	vec_init(&fds, sizeof(int));
	for (struct write_job *job = jobs; job; job = job->next)
		if (job->file_there)
			vec_add(&fds, &job->body_fd);
	int failed = fds.n ? sync_pool_run(w->sync_pool, fds.p, fds.n) : 0;
	vec_done(&fds);
	if (failed) {
		struct err err;
		err_temp(&err, "temporary server trouble", "sync of a body: %s", strerror(failed));
		die(w, err.log);
	}
}

/* Q4. One sync for each directory. */
static void sync_directories(struct writer *w, struct write_job *jobs)
{
	uint64_t done[1024 / 64] = {0};
	for (struct write_job *job = jobs; job && !is_dead(w); job = job->next) {
		unsigned dir = spool_dir(job->body_id);
		if (!job->file_there || done[dir / 64] >> dir % 64 & 1)
			continue;
		done[dir / 64] |= 1ull << dir % 64;
		struct err err = {0};
		if (spool_sync_dir(w->spool, job->body_id, &err))
			die(w, err.log);
	}
}

static void drop_file(struct writer *w, struct write_job *job)
{
	struct err err = {0};
	if (job->file_there && spool_unlink(w->spool, job->body_id, &err))
		log_warn("store.unlink", "%s", err.log);
	job->file_there = false;
}

/* A job that fails here is refused and takes no part in the transaction. All are written first, so
 * that the kernel may write back one while another is synced. */
static void keep_bodies(struct writer *w, struct write_job *jobs)
{
	struct err err = {0};
	for (struct write_job *job = jobs; job; job = job->next) {
		if (job->body_fd < 0 || job->err.kind != ERR_NONE)
			continue;
		if (write_body(w, job, &err))
			refuse(job, &err);
		else
			sync_file_range(job->body_fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* begins, waits not */
	}
	for (struct write_job *job = jobs; job; job = job->next)
		if (job->body_fd >= 0 && job->err.kind == ERR_NONE && name_body(w, job, &err))
			refuse(job, &err);
	int64_t since = clock_steady_ms();
	sync_bodies(w, jobs);
	sync_directories(w, jobs);
	note_slow("bodies", since);
}

/* ---- rows: Q5 and Q6 -------------------------------------------------------------------------- */

void writer_unlink_later(struct writer *w, uint64_t id)
{
	vec_add(&w->unlinks, &id);
}

/* After a failure that *err describes: nothing of the transaction remains. */
static void roll_back(struct writer *w, const struct err *err)
{
	enum db_failure failure = db_failure(w->db);
	w->unlinks.n = 0;
	if (failure == DB_BROKEN) {
		die(w, err->log);
		return;
	}
	struct err again = {0};
	/* SQLite may have done it already. */
	if (db_in_transaction(w->db) && db_exec(w->db, "ROLLBACK", &again))
		die(w, again.log);
	else if (failure == DB_FULL)
		disk_is_full(w);
}

/* One transaction of all jobs in [first, end) that were not refused. On failure everything is
 * rolled back and *err says why. */
static int transact(
	struct writer *w, struct write_job *first, const struct write_job *end, struct err *err)
{
	bool begun = false;
	for (struct write_job *job = first; job != end; job = job->next) {
		if (job->err.kind != ERR_NONE)
			continue;
		int result = begun ? 0 : db_exec(w->db, "BEGIN IMMEDIATE", err);
		begun = true;
		if (result == 0)
			result = job->apply(job, w, w->db, err);
		if (result == 0)
			continue;
		roll_back(w, err);
		return -1;
	}
	int64_t since = clock_steady_ms();
	int failed = begun ? db_exec(w->db, "COMMIT", err) : 0;
	note_slow("commit", since);
	if (!failed)
		return 0;
	roll_back(w, err);
	return -1;
}

/* Q8. A file that stays is dropped at the next start. */
static void unlink_ended(struct writer *w)
{
	for (size_t i = 0; i < w->unlinks.n; i++) {
		struct err err = {0};
		if (spool_unlink(w->spool, *(uint64_t *)vec_at(&w->unlinks, i), &err))
			log_warn("store.unlink", "%s", err.log);
	}
	w->unlinks.n = 0;
}

/* W4 */
static void write_one_by_one(struct writer *w, struct write_job *jobs)
{
	for (struct write_job *job = jobs; job && !is_dead(w); job = job->next) {
		struct err err = {0};
		if (job->err.kind != ERR_NONE)
			continue;
		if (w->full && job->kind != WRITE_FINISHES) {
			refuse_for_space(&job->err);
			continue;
		}
		if (transact(w, job, job->next, &err))
			refuse(job, &err);
		else
			unlink_ended(w);
	}
}

static void write_batch(struct writer *w, struct write_job *jobs)
{
	struct err err = {0};
	struct writer_room room;
	look_for_space(w, &room);
	admit(&room, jobs);
	keep_bodies(w, jobs);
	if (!is_dead(w)) {
		if (transact(w, jobs, NULL, &err) == 0)
			unlink_ended(w);
		else if (!is_dead(w))
			write_one_by_one(w, jobs);
	}
	for (struct write_job *job = jobs; job; job = job->next) {
		/* After W5 nobody knows what is on disk: nothing is said to be, and nothing is undone. */
		if (is_dead(w))
			err_temp(&job->err, "temporary server trouble", "%s", w->why);
		else if (job->err.kind != ERR_NONE)
			drop_file(w, job);
	}
}

static void set_debt(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->debt = (uint64_t)db_wal_pages(w->db) * PAGE;
	pthread_mutex_unlock(&w->lock);
}

/* Q9 */
static void checkpoint(struct writer *w, bool idle)
{
	int64_t pages = db_wal_pages(w->db);
	if (is_dead(w) || pages < (idle ? w->wal.idle : w->wal.busy))
		return;
	struct err err = {0};
	int64_t since = clock_steady_ms();
	int result = db_checkpoint(w->db, pages >= w->wal.truncate, &err);
	note_slow("checkpoint", since);
	set_debt(w);
	if (result == 0)
		return;
	if (db_failure(w->db) == DB_FULL)
		disk_is_full(w);
	else
		die(w, err.log);
}

/* ---- the thread ------------------------------------------------------------------------------- */

static void wait_for(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t steady_ms)
{
	struct timespec until = {.tv_sec = steady_ms / 1000, .tv_nsec = steady_ms % 1000 * 1000 * 1000};
	pthread_cond_timedwait(cond, lock, &until);
}

/* With the lock held: true if there is work to be done now; else has waited a little. */
static bool work_to_do(struct writer *w, int64_t *idle_since)
{
	int64_t now = clock_steady_ms();
	if (w->urgent || (w->waiting.first && (w->stop || now >= w->lazy_since + WRITER_LAZY_MS)))
		return true;
	if (w->stop)
		return false;
	int64_t until = INT64_MAX;
	if (w->waiting.first)
		until = w->lazy_since + WRITER_LAZY_MS;
	if (db_wal_pages(w->db) >= w->wal.idle && *idle_since + IDLE_MS < until)
		until = *idle_since + IDLE_MS;
	if (w->low && w->looked_ms + LOOK_MS < until)
		until = w->looked_ms + LOOK_MS;
	if (until == INT64_MAX)
		pthread_cond_wait(&w->work, &w->lock);
	else
		wait_for(&w->work, &w->lock, until);
	return false;
}

/* Q7 */
static void give_back(struct writer *w, struct queue_of_jobs done)
{
	uint64_t one = 1;
	pthread_mutex_lock(&w->lock);
	if (done.first) {
		*w->finished.end = done.first;
		w->finished.end = done.end;
	}
	w->debt = (uint64_t)db_wal_pages(w->db) * PAGE;
	pthread_cond_broadcast(&w->progress);
	pthread_mutex_unlock(&w->lock);
	if (write(w->wake_fd, &one, sizeof one) == -1 && errno != EAGAIN)
		abort(); /* an eventfd has no other way to fail */
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct log_context context = {.fiber = "writer"};
	log_set_context(&context);
	struct writer_room room;
	int64_t idle_since = clock_steady_ms();
	pthread_mutex_lock(&w->lock);
	for (;;) {
		if (work_to_do(w, &idle_since)) {
			struct queue_of_jobs batch = jobs_take_all(&w->waiting);
			w->urgent = 0;
			w->lazy_since = 0;
			w->lazy = 0;
			pthread_mutex_unlock(&w->lock);
			write_batch(w, batch.first);
			give_back(w, batch);
			checkpoint(w, false);
			idle_since = clock_steady_ms();
			pthread_mutex_lock(&w->lock);
		} else if (w->stop && !w->waiting.first) {
			break;
		} else if (!w->urgent && clock_steady_ms() >= idle_since + IDLE_MS &&
			db_wal_pages(w->db) >= w->wal.idle) {
			pthread_mutex_unlock(&w->lock);
			checkpoint(w, true);
			idle_since = clock_steady_ms();
			pthread_mutex_lock(&w->lock);
		} else if (w->low && clock_steady_ms() >= w->looked_ms + LOOK_MS) {
			pthread_mutex_unlock(&w->lock);
			look_for_space(w, &room);
			pthread_mutex_lock(&w->lock);
		}
	}
	pthread_mutex_unlock(&w->lock);
	checkpoint(w, true);
	return NULL;
}

/* ---- the loop's side -------------------------------------------------------------------------- */

static void finish(struct write_job *job)
{
	struct fiber *waiter = job->waiter;
	job->finished = true;
	if (job->done)
		job->done(job); /* may free it */
	if (waiter)
		fiber_wake(waiter);
}

/* Takes what the thread has done. With the lock not held. */
static void take_finished(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	struct queue_of_jobs done = jobs_take_all(&w->finished);
	bool dead = w->dead;
	pthread_mutex_unlock(&w->lock);
	struct write_job *job;
	while ((job = jobs_take(&done)))
		finish(job);
	if (dead && !w->failure_told) {
		w->failure_told = true;
		if (w->failed)
			w->failed(w->why, w->failed_arg);
	}
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;
	(void)what;
	if (read(fd, &count, sizeof count) == -1 && errno != EAGAIN)
		abort();
	take_finished(arg);
}

void writer_post(struct writer *w, struct write_job *job)
{
	job->finished = job->file_there = false;
	err_clear(&job->err);
	pthread_mutex_lock(&w->lock);
	bool wake = false;
	if (job->kind == WRITE_LAZY) {
		w->lazy += job->need;
		if (!w->lazy_since)
			w->lazy_since = clock_steady_ms();
		wake = w->waiting.first == NULL;
	} else {
		wake = w->urgent++ == 0;
	}
	jobs_add(&w->waiting, job);
	if (wake)
		pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
}

int writer_do(struct writer *w, struct write_job *job, struct err *err)
{
	job->waiter = fiber_self();
	writer_post(w, job);
	while (!job->finished) {
		if (job->waiter) {
			fiber_park("for the writer", FIBER_NEVER);
			continue;
		}
		pthread_mutex_lock(&w->lock);
		while (!w->finished.first)
			pthread_cond_wait(&w->progress, &w->lock);
		pthread_mutex_unlock(&w->lock);
		take_finished(w);
	}
	if (job->err.kind == ERR_NONE)
		return 0;
	if (err)
		*err = job->err;
	return -1;
}

static int apply_nothing(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	(void)job, (void)w, (void)db, (void)err;
	return 0;
}

int writer_flush(struct writer *w, struct err *err)
{
	struct write_job job = {.apply = apply_nothing, .kind = WRITE_FINISHES, .body_fd = -1};
	return writer_do(w, &job, err);
}

bool writer_disk_full(struct writer *w)
{
	pthread_mutex_lock(&w->lock);
	bool full = w->full;
	pthread_mutex_unlock(&w->lock);
	return full;
}

/* ---- birth and end ---------------------------------------------------------------------------- */

static void init_locks(struct writer *w)
{
	pthread_condattr_t steady;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &steady);
	pthread_cond_init(&w->progress, &steady);
	pthread_condattr_destroy(&steady);
}

static void name_files(struct writer *w, const char *home)
{
	size_t size = strlen(home) + sizeof "/" DATA_FOLDER "/reserve";
	w->folder = mem_new(size);
	snprintf(w->folder, size, "%s/" DATA_FOLDER, home);
	w->reserve_path = mem_new(size);
	snprintf(w->reserve_path, size, "%s/reserve", w->folder);
}

/* On a disk that is full to the last page SQLite finds no room for its shared memory: this, too, is
 * what the reserve is for. */
static struct db *open_db(struct writer *w, const char *home, struct err *err)
{
	struct db *db = node_db_open(home, err);
	if (!db && err && err->kind == ERR_FULL && unlink(w->reserve_path) == 0)
		db = node_db_open(home, err);
	return db;
}

struct writer *writer_new(const char *home, struct spool *spool,
	void (*failed)(const char *why, void *arg), void *arg, struct err *err)
{
	struct writer *w = mem_new(sizeof *w);
	w->spool = spool;
	w->sync_pool = sync_pool_new();
	w->failed = failed;
	w->failed_arg = arg;
	jobs_init(&w->waiting);
	jobs_init(&w->finished);
	vec_init(&w->unlinks, sizeof(uint64_t));
	init_locks(w);
	name_files(w, home);
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->db = open_db(w, home, err);
	if (w->wake_fd == -1 && w->db)
		err_temp(err, "temporary server trouble", "eventfd: %s", strerror(errno));
	if (w->wake_fd == -1 || !w->db) {
		writer_free(w);
		return NULL;
	}
	take_measure(w);
	w->full = w->low = !space_make_reserve(w->reserve_path, w->reserve_bytes);
	if (w->full)
		log_error("store.full", "no space for %s: mail is refused with 452 until there is",
			w->reserve_path);
	/* Without a loop (tests, the command line) writer_do() itself takes what is finished. */
	if (loop_base()) {
		w->wake = event_new(loop_base(), w->wake_fd, EV_READ | EV_PERSIST, on_wake, w);
		if (!w->wake || event_add(w->wake, NULL))
			mem_exhausted(sizeof *w);
	}
	if (pthread_create(&w->thread, NULL, writer_main, w) != 0) {
		err_temp(err, "temporary server trouble", "no thread for the writer");
		writer_free(w);
		return NULL;
	}
	w->started = true;
	return w;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	if (w->started) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->work);
		pthread_mutex_unlock(&w->lock);
		pthread_join(w->thread, NULL);
		take_finished(w);
	}
	if (w->wake)
		event_free(w->wake);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	db_close(w->db);
	sync_pool_free(w->sync_pool);
	vec_done(&w->unlinks);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->progress);
	pthread_mutex_destroy(&w->lock);
	free(w->folder);
	free(w->reserve_path);
	free(w);
}
