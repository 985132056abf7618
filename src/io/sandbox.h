/* sandbox: the walls around a role, put up by itself in its main, in this order: view of the file
 * system and uid (sandbox_drop), files (sandbox_files: Landlock), system calls (sandbox_calls:
 * seccomp). Missing walls (no root, old kernel) are named, never silently skipped. */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum sandbox_mode {
	SANDBOX_ENFORCE, /* a forbidden system call kills the process */
	SANDBOX_LOG,     /* it is logged by the kernel and goes through (tests, searching a list) */
	SANDBOX_OFF,
};

/* Drops to uid and gid (no change if they are 0 or ours), all capabilities and further privileges;
 * no core dumps, not traceable; then PDEATHSIG (after the uid drop, which clears it). Names what
 * could not be had in *missing, as words ("uid"). */
int sandbox_drop(uint32_t uid, uint32_t gid, struct buf *missing, struct err *err);

struct sandbox_path {
	const char *path;
	bool write; /* make, remove, rename and write below it; else read only */
};
/* After this only these trees can be opened (descriptors held stay usable); n = 0: none at all. No
 * TCP bind, and connect only if `connect`, where the kernel knows these rules. */
int sandbox_files(
	const struct sandbox_path *paths, size_t n, bool connect, struct buf *missing, struct err *err);

/* Sets of system calls a role adds to those that every role needs (memory, time, descriptors it
 * holds, its loop, its exit). */
enum sandbox_calls {
	CALLS_MEMFD = 1,    /* make and seal memory files */
	CALLS_ACCEPT = 2,   /* accept on sockets handed over */
	CALLS_CONNECT = 4,  /* socket, connect, bind to a local address: UDP and TCP */
	CALLS_FILES = 8,    /* open, rename, unlink, link, sync below the home */
	CALLS_THREADS = 16, /* clone for threads */
	CALLS_SPAWN = 32,   /* serve: fork, exec, kill, wait, and listen */
};
int sandbox_calls(unsigned sets, enum sandbox_mode mode, struct buf *missing, struct err *err);

#endif
