#include "store/node_db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/schema.h"

static const char *const state_names[] = {
	[RECIPIENT_READY] = "ready",
	[RECIPIENT_DEFERRED] = "deferred",
	[RECIPIENT_HELD] = "held",
	[RECIPIENT_DELIVERED] = "delivered",
	[RECIPIENT_BOUNCED] = "bounced",
	[RECIPIENT_REMOVED] = "removed",
	[RECIPIENT_EXPIRED] = "expired",
};

const char *recipient_state_name(enum recipient_state state)
{
	return state >= RECIPIENT_READY && state <= RECIPIENT_LAST ? state_names[state] : "unknown";
}

bool recipient_state_parse(struct str s, enum recipient_state *ret)
{
	for (enum recipient_state i = RECIPIENT_READY; i <= RECIPIENT_LAST; i++)
		if (str_eq_nocase(s, str_from_c(state_names[i]))) {
			*ret = i;
			return true;
		}
	return false;
}

/* `sql` and the version it leads to, in one transaction. */
static int change_tables(struct db *d, const char *sql, int version, struct err *err)
{
	char pragma[64];
	snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d", version);
	if (db_exec(d, "BEGIN IMMEDIATE", err))
		return -1;
	if (db_exec(d, sql, err) == 0 && db_exec(d, pragma, err) == 0 && db_exec(d, "COMMIT", err) == 0)
		return 0;
	db_exec(d, "ROLLBACK", NULL);
	return -1;
}

/* The name of a new database must survive a power cut as its contents do. */
static int make_tables(struct db *d, const char *home, struct err *err)
{
	if (change_tables(d, node_schema, NODE_SCHEMA_VERSION, err))
		return -1;
	return db_sync_folder(home, err);
}

static int check_version(
	struct db *d, const char *path, bool make, const char *home, struct err *err)
{
	int64_t version;
	if (db_number(d, "PRAGMA user_version", &version, err))
		return -1;
	if (version == 0 && make)
		return make_tables(d, home, err);
	for (; make && version > 0 && version < NODE_SCHEMA_VERSION; version++)
		if (change_tables(d, node_upgrades[version - 1], (int)version + 1, err))
			return -1;
	if (version == NODE_SCHEMA_VERSION)
		return 0;
	return err_perm(err, "temporary server trouble", "%s has schema %lld, this program knows %d",
		path, (long long)version, NODE_SCHEMA_VERSION);
}

static struct db *open_checked(const char *home, enum db_mode mode, struct err *err)
{
	struct buf path;
	buf_init(&path, PATH_MAX);
	struct db *d = NULL;
	if (!buf_addf(&path, "%s/" NODE_DB, home))
		err_perm(err, "temporary server trouble", "path of the home is too long: %s", home);
	else
		d = db_open(buf_c(&path), mode, err);
	if (d && check_version(d, buf_c(&path), mode == DB_WRITER, home, err)) {
		db_close(d);
		d = NULL;
	}
	buf_done(&path);
	return d;
}

struct db *node_db_open(const char *home, struct err *err)
{
	return db_make_folder(home, err) == 0 ? open_checked(home, DB_WRITER, err) : NULL;
}

struct db *node_db_open_reader(const char *home, struct err *err)
{
	return open_checked(home, DB_READER, err);
}
