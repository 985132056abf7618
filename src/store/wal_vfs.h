/* wal_vfs: how SQLite writes its WAL. By itself it makes two system calls for each page, one for the
 * 24 bytes of the frame's header and one for the page. Here what is written in one piece of the file
 * is gathered, and goes to disk in one call before it is synced, read, or measured: a commit of a
 * batch is one write and one sync (Q5 and Q6 of doc/QUEUE.md).
 *
 * Nobody else may look at frames that are not committed, and with synchronous=FULL the WAL is synced
 * before the commit is made known in the shared index: so no other connection misses what is
 * gathered. A failure that SQLite would have heard from its write it hears from the sync, or from
 * a read. */
#ifndef STORE_WAL_VFS_H
#define STORE_WAL_VFS_H

#include <sqlite3.h>

/* A VFS of this name that gathers the WAL and leaves all else to the VFS called `name` (NULL: the default
 * one). Registers it with SQLite, once a process. Returns SQLITE_OK or what SQLite says. */
#define WAL_VFS "letterlock-wal"
int wal_vfs_register(const char *name);
/* The rollback hook of each connection that writes by this VFS, with its sqlite3 * as the argument:
 * what is gathered then is of no use to anybody, and on a full disk in everybody's way. */
void wal_vfs_rolled_back(void *handle);

#endif
