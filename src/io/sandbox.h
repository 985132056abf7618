/* sandbox: the walls around a role, put up by itself in its main, in this order: view of the file
 * system (sandbox_view), uid and privileges (sandbox_drop), files and ports (sandbox_files: Landlock),
 * system calls (sandbox_calls: seccomp). Which role gets which walls stands in role/walls.c.
 *
 * Missing walls (no root, old kernel) are named in *missing, as words separated by blanks: "view" (no
 * root), "uid", "landlock", "landlock-net" (before ABI 4), "landlock-scope" (before ABI 6), "seccomp",
 * "mdwe" (serve, before Linux 6.3); keys adds "memlock" (cert/crypto.h). They are never silently skipped; what each is worth to whom stands
 * in store/admin_status.c. All walls are inherited by children and cannot be taken down. */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum sandbox_mode {
	SANDBOX_ENFORCE, /* a forbidden system call is logged as role.forbidden and ends the process */
	SANDBOX_LOG,     /* it is logged by the kernel and goes through (searching a list), save those
	                    that reach into other processes or the kernel: they fail all the same */
	SANDBOX_OFF,
};

/* `folder` becomes the root of what the process sees, if it may do that ("view" is missing then), and
 * its working folder in any case. The descriptor stays the caller's. */
int sandbox_view(int folder, struct buf *missing, struct err *err);

/* Gives up all capabilities except those in `keep` (bits 1 << CAP_…; the bounding set too), goes over
 * to uid and gid (no change if they are 0 or ours: "uid" is missing then), and gives up the means to
 * get any of it back (no_new_privs). No core dumps; not to be traced or looked into by others of the
 * same uid. Call with one thread only. */
int sandbox_drop(uint32_t uid, uint32_t gid, uint64_t keep, struct buf *missing, struct err *err);

/* The process gets SIGKILL when its parent dies. After sandbox_drop(): a change of uid clears it. */
void sandbox_follow_parent(void);

enum sandbox_access {
	SANDBOX_READ = 1,  /* read files, list folders */
	SANDBOX_WRITE = 2, /* make, remove, rename and write below it */
	SANDBOX_EXEC = 4,
};
struct sandbox_path {
	const char *path; /* a folder and all below it, or one file; must exist */
	unsigned access;  /* enum sandbox_access, or-ed */
};
enum sandbox_net { SANDBOX_NET_CONNECT = 1, SANDBOX_NET_BIND = 2 };
/* After this only these paths can be opened (descriptors held stay usable); n = 0: none at all. TCP
 * is closed to what `net` (enum sandbox_net, or-ed) does not name; with SANDBOX_NET_CONNECT a local
 * address may still be bound with port 0. No process outside these walls can be signalled, and without
 * SANDBOX_NET_BIND no abstract local socket outside be reached. */
int sandbox_files(
	const struct sandbox_path *paths, size_t n, unsigned net, struct buf *missing, struct err *err);

/* Sets of system calls a role adds to those that every role needs (memory, time, descriptors it
 * holds, its loop, its exit). */
enum sandbox_calls {
	CALLS_MEMFD = 1,    /* make and seal memory files */
	CALLS_ACCEPT = 2,   /* accept on sockets handed over */
	CALLS_CONNECT = 4,  /* socket (IPv4 and IPv6 only), connect, bind to a local address */
	CALLS_FILES = 8,    /* open, rename, unlink, link, sync where Landlock allows it */
	CALLS_THREADS = 16, /* clone for threads */
	/* serve: fork, exec, kill, wait, listen, and whatever its children may do: they inherit its
	 * filter beside their own. */
	CALLS_SPAWN = 32,
};
/* All other calls end the process by SIGSYS. Looking for files without CALLS_FILES, a netlink socket
 * and the like fail with an error instead, because libraries try these and cope. */
int sandbox_calls(unsigned sets, enum sandbox_mode mode, struct buf *missing, struct err *err);

/* From now on a forbidden call, also one forbidden by the parent's walls, is logged as role.forbidden
 * before it ends the process: with `role`, which stays the caller's for good, and the call. */
void sandbox_tell(const char *role);

#endif
