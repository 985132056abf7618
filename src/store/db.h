/* db: an SQLite connection and its prepared statements, for one thread.
 *
 *	struct db_query *q = db_query(d, "SELECT address FROM recipient WHERE message = $1");
 *	db_bind_int(q, 1, id);
 *	while ((step = db_step(q, err)) > 0)
 *		use(db_str(q, 0));
 *
 * Parameters are written $1, $2 … in every statement, so the same text will run on PostgreSQL. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/err.h"
#include "base/str.h"

struct db;
struct db_query;

/* Below the home: the databases, and all that the walls of `store` open to it beside the spool. */
#define DATA_FOLDER "data"

enum db_mode {
	DB_WRITER, /* makes the file if there is none; WAL, every commit synced */
	DB_READER, /* query_only */
	DB_SHARED, /* site.db: must exist, rollback journal, every commit synced; others may edit it */
};

/* What the last failed call means for whoever wants to go on. */
enum db_failure {
	DB_FINE,
	DB_REFUSED, /* a constraint: this row only */
	DB_FULL,    /* no space left */
	DB_BUSY,    /* locked by somebody else */
	DB_BROKEN,  /* I/O, failed sync, corruption: nothing may be concluded about what is on disk */
};

/* NULL with *err (ERR_TEMP). */
struct db *db_open(const char *path, enum db_mode mode, struct err *err);
/* Makes HOME/data, synced, if it is not there. 0, or -1 with *err (ERR_TEMP). */
int db_make_folder(const char *home, struct err *err);
/* Syncs it: the names of new files in it survive a power cut. 0, or -1 with *err (ERR_TEMP). */
int db_sync_folder(const char *home, struct err *err);
/* NULL is allowed. Does not checkpoint. */
void db_close(struct db *d);
enum db_failure db_failure(const struct db *d);
/* Runs statements without parameters or rows. 0, or -1 with *err. */
int db_exec(struct db *d, const char *sql, struct err *err);
/* A statement that gives one number and has no parameters; -1 with *err. */
int db_number(struct db *d, const char *sql, int64_t *ret, struct err *err);
/* False also after a failure for which SQLite rolled back by itself. */
bool db_in_transaction(const struct db *d);
/* Rows changed by the last statement. */
int64_t db_changes(const struct db *d);

/* The statement with this text, without bindings. Prepared at first use and kept as long as the
 * connection: `sql` must be a literal. One use at a time. Never NULL: a statement that could not be
 * prepared says so in db_step(). */
struct db_query *db_query(struct db *d, const char *sql);
/* Binds $number. Slices must live until the statement ended. */
void db_bind_int(struct db_query *q, unsigned number, int64_t v);
void db_bind_text(struct db_query *q, unsigned number, struct str v);
void db_bind_blob(struct db_query *q, unsigned number, struct str v);
void db_bind_null(struct db_query *q, unsigned number);
/* 1: a row; 0: the end; -1 with *err (ERR_TEMP). After 0 and -1 the statement has ended. */
int db_step(struct db_query *q, struct err *err);
/* For statements whose rows do not matter: 0, or -1 with *err. */
int db_run(struct db_query *q, struct err *err);
/* Ends a statement before its last row. */
void db_end(struct db_query *q);

/* The columns of the row, from 0; slices are good until the next db_step() or db_end(). */
int64_t db_int(struct db_query *q, unsigned column);
struct str db_str(struct db_query *q, unsigned column);
bool db_is_null(struct db_query *q, unsigned column);

/* The writer's connection only: pages (of 4 KB) in the WAL after the last commit. */
int64_t db_wal_pages(const struct db *d);
/* Copies the WAL into the database. `truncate`: waits for readers and empties the file. 0, or -1
 * with *err; readers in the way are no failure. */
int db_checkpoint(struct db *d, bool truncate, struct err *err);
/* Gives up to `pages` that hold nothing back to the file system, if more than `keep` are free; after
 * the next checkpoint the file is that much smaller. *ret_freed may be NULL. 0, or -1 with *err. */
int db_shrink(struct db *d, int64_t keep, int64_t pages, int64_t *ret_freed, struct err *err);

#endif
