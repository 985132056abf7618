#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/vec.h"
#include "io/fd.h"
#include "store/wal_vfs.h"

enum {
	PARAMETERS = 32,
	BUSY_MS = 10 * 1000,  /* a checkpoint waits so long for readers, nothing else ever waits */
	SHARED_BUSY_MS = 250, /* for an editor of site.db to be done */
	CACHE_KB = 2048,
};

struct db_query {
	struct db *db;
	const char *sql;
	sqlite3_stmt *stmt;    /* NULL: could not be prepared, db_step() says why */
	int place[PARAMETERS]; /* $n -> SQLite's own position, which is by first appearance */
	int bind_failure;
};

struct db {
	sqlite3 *handle;
	enum db_failure failure;
	int64_t wal_pages;
	struct vec queries; /* struct db_query * */
};

/* A full disk that SQLite takes for a broken one: a quota, or no page for its shared memory. Never said
 * of a sync, after which nobody knows what is on disk (W5). */
static bool is_full(sqlite3 *handle, int code)
{
	int why = sqlite3_system_errno(handle);
	return (code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_SHMSIZE) &&
		(why == ENOSPC || why == EDQUOT);
}

static enum db_failure failure_of(sqlite3 *handle, int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return DB_FINE;
	case SQLITE_CONSTRAINT:
	case SQLITE_TOOBIG:
		return DB_REFUSED;
	case SQLITE_FULL:
		return DB_FULL;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return DB_BUSY;
	default:
		return is_full(handle, code) ? DB_FULL : DB_BROKEN;
	}
}

static int fail(struct db *d, int code, const char *what, struct err *err)
{
	const char *why = sqlite3_errmsg(d->handle);
	d->failure = failure_of(d->handle, code);
	if (d->failure == DB_FULL)
		return err_full(err, "database: %s (%d) in: %.120s", why, code, what);
	return err_temp(
		err, "temporary server trouble", "database: %s (%d) in: %.120s", why, code, what);
}

enum db_failure db_failure(const struct db *d)
{
	return d->failure;
}

static int on_commit(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct db *d = arg;
	(void)handle, (void)name;
	d->wal_pages = pages;
	return SQLITE_OK;
}

int64_t db_wal_pages(const struct db *d)
{
	return d->wal_pages;
}

/* Common to both: nothing in the file may run code or be believed about its own structure. */
static const char common_pragmas[] = "PRAGMA trusted_schema = OFF;"
									 "PRAGMA cell_size_check = ON;"
									 "PRAGMA temp_store = MEMORY;";
static const char writer_pragmas[] = "PRAGMA journal_mode = WAL;"
									 "PRAGMA synchronous = FULL;"
									 "PRAGMA secure_delete = FAST;"
									 "PRAGMA wal_autocheckpoint = 0;"
									 "PRAGMA foreign_keys = OFF;";
/* EXTRA: the folder is synced too when a commit removes the journal. */
static const char shared_pragmas[] = "PRAGMA journal_mode = DELETE;"
									 "PRAGMA synchronous = EXTRA;"
									 "PRAGMA foreign_keys = ON;";
static const char reader_pragmas[] = "PRAGMA wal_autocheckpoint = 0;"
									 "PRAGMA query_only = ON;";

static int sync_path(const char *path, struct err *err)
{
	if (fd_sync_folder(path) == 0)
		return 0;
	return err_temp(err, "temporary server trouble", "sync of %s: %s", path, strerror(errno));
}

int db_sync_folder(const char *home, struct err *err)
{
	struct arena *arena = arena_new();
	int failed = sync_path(arena_fmt(arena, "%s/" DATA_FOLDER, home).p, err);
	arena_free(arena);
	return failed;
}

int db_make_folder(const char *home, struct err *err)
{
	struct arena *arena = arena_new();
	const char *path = arena_fmt(arena, "%s/" DATA_FOLDER, home).p;
	int failed = 0;
	if (mkdir(path, 0700) == 0)
		failed = sync_path(home, err);
	else if (errno != EEXIST)
		failed = err_temp(err, "temporary server trouble", "%s: %s", path, strerror(errno));
	arena_free(arena);
	return failed;
}

/* It lets the file shrink again, and must come before the first page is written. Not said again to a file
 * that knows it: that is a transaction, and at a start on a full disk there is no room for one. */
static int set_auto_vacuum(struct db *d, struct err *err)
{
	enum { INCREMENTAL = 2 };
	int64_t mode;
	if (db_number(d, "PRAGMA auto_vacuum", &mode, err))
		return -1;
	return mode == INCREMENTAL ? 0 : db_exec(d, "PRAGMA auto_vacuum = INCREMENTAL", err);
}

struct db *db_open(const char *path, enum db_mode mode, struct err *err)
{
	static const char *const pragmas[] = {
		[DB_WRITER] = writer_pragmas, [DB_READER] = reader_pragmas, [DB_SHARED] = shared_pragmas};
	struct db *d = mem_new(sizeof *d);
	vec_init(&d->queries, sizeof(struct db_query *));
	/* A reader of a WAL database writes too: its marks in the shared memory file. */
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	if (mode == DB_WRITER)
		flags |= SQLITE_OPEN_CREATE;
	int code = mode == DB_WRITER ? wal_vfs_register(NULL) : SQLITE_OK;
	if (code == SQLITE_OK)
		code = sqlite3_open_v2(path, &d->handle, flags, mode == DB_WRITER ? WAL_VFS : NULL);
	if (code != SQLITE_OK) {
		err_temp(err, "temporary server trouble", "database %s: %s", path,
			d->handle ? sqlite3_errmsg(d->handle) : sqlite3_errstr(code));
		db_close(d);
		return NULL;
	}
	/* Whoever waits for an editor of a shared file does it himself, without blocking the loop. */
	sqlite3_busy_timeout(d->handle, mode == DB_SHARED ? 0 : BUSY_MS);
	sqlite3_db_config(d->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* The last connection to close would checkpoint; we do that when we mean it. */
	sqlite3_db_config(d->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	char cache[64];
	snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d", CACHE_KB);
	if (db_exec(d, common_pragmas, err) || db_exec(d, cache, err) ||
		(mode == DB_WRITER && set_auto_vacuum(d, err)) || db_exec(d, pragmas[mode], err)) {
		db_close(d);
		return NULL;
	}
	if (mode == DB_WRITER) {
		sqlite3_wal_hook(d->handle, on_commit, d);
		sqlite3_rollback_hook(d->handle, wal_vfs_rolled_back, d->handle);
	}
	return d;
}

void db_close(struct db *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->queries.n; i++) {
		struct db_query *q = *(struct db_query **)vec_at(&d->queries, i);
		sqlite3_finalize(q->stmt);
		free(q);
	}
	vec_done(&d->queries);
	sqlite3_close(d->handle);
	free(d);
}

int db_exec(struct db *d, const char *sql, struct err *err)
{
	int code = sqlite3_exec(d->handle, sql, NULL, NULL, NULL);
	d->failure = failure_of(d->handle, code);
	return code == SQLITE_OK ? 0 : fail(d, code, sql, err);
}

int db_number(struct db *d, const char *sql, int64_t *ret, struct err *err)
{
	struct db_query *q = db_query(d, sql);
	int step = db_step(q, err);
	if (step < 0)
		return -1;
	if (step == 0)
		return err_temp(err, "temporary server trouble", "database: no row for: %.120s", sql);
	*ret = db_int(q, 0);
	db_end(q);
	return 0;
}

bool db_in_transaction(const struct db *d)
{
	return !sqlite3_get_autocommit(d->handle);
}

int64_t db_changes(const struct db *d)
{
	return sqlite3_changes64(d->handle);
}

static void find_places(struct db_query *q)
{
	int count = sqlite3_bind_parameter_count(q->stmt);
	for (int i = 1; i <= count; i++) {
		const char *name = sqlite3_bind_parameter_name(q->stmt, i);
		uint64_t number;
		if (name && name[0] == '$' && str_to_u64(str_from_c(name + 1), PARAMETERS - 1, &number) &&
			number > 0)
			q->place[number] = i;
	}
}

static struct db_query *prepare(struct db *d, const char *sql)
{
	struct db_query *q = mem_new(sizeof *q);
	q->db = d;
	q->sql = sql;
	int code = sqlite3_prepare_v3(d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
	if (code == SQLITE_OK)
		find_places(q);
	vec_add(&d->queries, &q);
	return q;
}

struct db_query *db_query(struct db *d, const char *sql)
{
	for (size_t i = 0; i < d->queries.n; i++) {
		struct db_query *q = *(struct db_query **)vec_at(&d->queries, i);
		if (q->sql != sql)
			continue;
		if (!q->stmt &&
			sqlite3_prepare_v3(d->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL) ==
				SQLITE_OK)
			find_places(q);
		sqlite3_reset(q->stmt);
		sqlite3_clear_bindings(q->stmt);
		q->bind_failure = SQLITE_OK;
		return q;
	}
	return prepare(d, sql);
}

static int place_of(struct db_query *q, unsigned number)
{
	return number < PARAMETERS ? q->place[number] : 0;
}

static void note_bind(struct db_query *q, int code)
{
	if (code != SQLITE_OK && q->bind_failure == SQLITE_OK)
		q->bind_failure = code;
}

void db_bind_int(struct db_query *q, unsigned number, int64_t v)
{
	if (q->stmt)
		note_bind(q, sqlite3_bind_int64(q->stmt, place_of(q, number), v));
}

void db_bind_text(struct db_query *q, unsigned number, struct str v)
{
	if (q->stmt)
		note_bind(q,
			sqlite3_bind_text64(
				q->stmt, place_of(q, number), v.n ? v.p : "", v.n, SQLITE_STATIC, SQLITE_UTF8));
}

void db_bind_blob(struct db_query *q, unsigned number, struct str v)
{
	if (q->stmt)
		note_bind(q,
			sqlite3_bind_blob64(q->stmt, place_of(q, number), v.n ? v.p : "", v.n, SQLITE_STATIC));
}

void db_bind_null(struct db_query *q, unsigned number)
{
	if (q->stmt)
		note_bind(q, sqlite3_bind_null(q->stmt, place_of(q, number)));
}

int db_step(struct db_query *q, struct err *err)
{
	struct db *d = q->db;
	if (!q->stmt)
		return fail(d, sqlite3_extended_errcode(d->handle), q->sql, err);
	int code = q->bind_failure != SQLITE_OK ? q->bind_failure : sqlite3_step(q->stmt);
	d->failure = failure_of(d->handle, code);
	if (code == SQLITE_ROW)
		return 1;
	int result = code == SQLITE_DONE ? 0 : fail(d, code, q->sql, err);
	sqlite3_reset(q->stmt);
	return result;
}

int db_run(struct db_query *q, struct err *err)
{
	int step;
	while ((step = db_step(q, err)) > 0)
		;
	return step;
}

void db_end(struct db_query *q)
{
	sqlite3_reset(q->stmt);
}

int64_t db_int(struct db_query *q, unsigned column)
{
	return sqlite3_column_int64(q->stmt, (int)column);
}

/* sqlite3_column_blob() gives the bytes of text as they are, too. */
struct str db_str(struct db_query *q, unsigned column)
{
	const char *p = sqlite3_column_blob(q->stmt, (int)column);
	int n = sqlite3_column_bytes(q->stmt, (int)column);
	return p && n > 0 ? str_make(p, (size_t)n) : str_make("", 0);
}

bool db_is_null(struct db_query *q, unsigned column)
{
	return sqlite3_column_type(q->stmt, (int)column) == SQLITE_NULL;
}

int db_checkpoint(struct db *d, bool truncate, struct err *err)
{
	int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
	int in_wal = 0, copied = 0;
	int code = sqlite3_wal_checkpoint_v2(d->handle, NULL, mode, &in_wal, &copied);
	d->failure = failure_of(d->handle, code);
	if (d->failure == DB_BUSY)
		return 0;
	if (code != SQLITE_OK)
		return fail(d, code, "checkpoint", err);
	/* All copied: the next commit begins the file anew. */
	if (in_wal == copied)
		d->wal_pages = 0;
	return 0;
}

int db_shrink(struct db *d, int64_t keep, int64_t pages, int64_t *ret_freed, struct err *err)
{
	char sql[64];
	int64_t before, after;
	if (db_number(d, "PRAGMA freelist_count", &before, err))
		return -1;
	after = before;
	if (before > keep) {
		int64_t n = before - keep < pages ? before - keep : pages;
		snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%lld)", (long long)n);
		if (db_exec(d, sql, err) || db_number(d, "PRAGMA freelist_count", &after, err))
			return -1;
	}
	if (ret_freed)
		*ret_freed = before - after;
	return 0;
}
