#include "store/wal_vfs.h"

#include <stdint.h>
#include <string.h>

/* SQLite's unix VFS takes less than 128 KB at a time. */
enum { GATHER = 127 * 1024 };

/* SQLite gives room for it and, behind it, for the file of the VFS below. */
struct wal_file {
	sqlite3_file file;
	sqlite3_file *below;
	char *gathered; /* GATHER bytes, from the first write on */
	int n;
	sqlite3_int64 at; /* where in the file they begin */
};

static struct wal_file *wal_of(sqlite3_file *file)
{
	return (struct wal_file *)file; /* its first member */
}

static int write_below(struct wal_file *w, const void *p, int n, sqlite3_int64 at)
{
	return w->below->pMethods->xWrite(w->below, p, n, at);
}

/* SQLite does not take the failure of a read for one of a write: it may go on with the transaction.
 * So what is not written stays gathered, until the transaction is rolled back or a write or sync,
 * too, has failed: then SQLite itself gives it up. */
static int flush(struct wal_file *w)
{
	int failed = w->n ? write_below(w, w->gathered, w->n, w->at) : SQLITE_OK;
	if (!failed)
		w->n = 0;
	return failed;
}

static int flush_or_drop(struct wal_file *w)
{
	int failed = flush(w);
	w->n = 0;
	return failed;
}

/* ---- methods of a WAL ------------------------------------------------------------------------- */

static int wal_write(sqlite3_file *file, const void *p, int n, sqlite3_int64 at)
{
	struct wal_file *w = wal_of(file);
	if (!w->gathered)
		w->gathered = sqlite3_malloc(GATHER);
	if (w->n && (at != w->at + w->n || n > GATHER - w->n)) {
		int failed = flush_or_drop(w);
		if (failed)
			return failed;
	}
	if (!w->gathered || n > GATHER)
		return write_below(w, p, n, at);
	if (w->n == 0)
		w->at = at;
	memcpy(w->gathered + w->n, p, (size_t)n);
	w->n += n;
	return SQLITE_OK;
}

static int wal_read(sqlite3_file *file, void *p, int n, sqlite3_int64 at)
{
	struct wal_file *w = wal_of(file);
	int failed = flush(w);
	return failed ? failed : w->below->pMethods->xRead(w->below, p, n, at);
}

static int wal_sync(sqlite3_file *file, int flags)
{
	struct wal_file *w = wal_of(file);
	int failed = flush_or_drop(w);
	return failed ? failed : w->below->pMethods->xSync(w->below, flags);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct wal_file *w = wal_of(file);
	int failed = flush(w);
	return failed ? failed : w->below->pMethods->xTruncate(w->below, size);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	struct wal_file *w = wal_of(file);
	int failed = flush(w);
	return failed ? failed : w->below->pMethods->xFileSize(w->below, ret);
}

static int wal_close(sqlite3_file *file)
{
	struct wal_file *w = wal_of(file);
	int failed = flush(w), closed = w->below->pMethods->xClose(w->below);
	sqlite3_free(w->gathered);
	return failed ? failed : closed;
}

static int wal_lock(sqlite3_file *file, int level)
{
	struct wal_file *w = wal_of(file);
	return w->below->pMethods->xLock(w->below, level);
}

static int wal_unlock(sqlite3_file *file, int level)
{
	struct wal_file *w = wal_of(file);
	return w->below->pMethods->xUnlock(w->below, level);
}

static int wal_is_reserved(sqlite3_file *file, int *ret)
{
	struct wal_file *w = wal_of(file);
	return w->below->pMethods->xCheckReservedLock(w->below, ret);
}

static int wal_control(sqlite3_file *file, int op, void *arg)
{
	struct wal_file *w = wal_of(file);
	return w->below->pMethods->xFileControl(w->below, op, arg);
}

static int wal_sector_size(sqlite3_file *file)
{
	struct wal_file *w = wal_of(file);
	return w->below->pMethods->xSectorSize(w->below);
}

static int wal_characteristics(sqlite3_file *file)
{
	struct wal_file *w = wal_of(file);
	return w->below->pMethods->xDeviceCharacteristics(w->below);
}

static const sqlite3_io_methods wal_methods = {
	.iVersion = 1, /* what came later is for the database file: shared memory, mapping */
	.xClose = wal_close,
	.xRead = wal_read,
	.xWrite = wal_write,
	.xTruncate = wal_truncate,
	.xSync = wal_sync,
	.xFileSize = wal_size,
	.xLock = wal_lock,
	.xUnlock = wal_unlock,
	.xCheckReservedLock = wal_is_reserved,
	.xFileControl = wal_control,
	.xSectorSize = wal_sector_size,
	.xDeviceCharacteristics = wal_characteristics,
};

/* ---- the VFS ---------------------------------------------------------------------------------- */

/* A copy of the VFS below: its functions find in it what they know of themselves. */
static sqlite3_vfs ours, *base;

static int open_file(
	sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct wal_file *w = wal_of(file);
	(void)vfs;
	if (!(flags & SQLITE_OPEN_WAL))
		return base->xOpen(base, name, file, flags, ret_flags);
	*w = (struct wal_file){.below = (sqlite3_file *)(w + 1)};
	int failed = base->xOpen(base, name, w->below, flags, ret_flags);
	if (!failed)
		w->file.pMethods = &wal_methods;
	return failed;
}

int wal_vfs_register(const char *name)
{
	if (base)
		return SQLITE_OK;
	base = sqlite3_vfs_find(name);
	if (!base)
		return SQLITE_ERROR;
	ours = *base;
	ours.zName = WAL_VFS;
	ours.szOsFile += (int)sizeof(struct wal_file);
	ours.xOpen = open_file;
	return sqlite3_vfs_register(&ours, 0);
}

void wal_vfs_rolled_back(void *handle)
{
	sqlite3_file *file = NULL;
	int failed = sqlite3_file_control(handle, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &file);
	if (!failed && file && file->pMethods == &wal_methods)
		wal_of(file)->n = 0;
}
