/* spool: the files of large bodies below HOME/spool, one each: spool/<2 characters>/<queue id>. The
 * two characters are those of the id that change every 17 minutes: what comes in together lies in
 * one directory and needs one sync of it, and no directory grows big.
 *
 * Two halves. Lending: an edge gets an unnamed writable file and a number; we keep a descriptor that
 * can only read. Taking back proves that no writer is left. Keeping: a body gets its name, is read,
 * and goes.
 *
 * Lending and reading belong to the loop's thread; making, naming, syncing and unlinking to the
 * writer's. */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct spool;

enum {
	SPOOL_ROW_MAX = 64 * 1024,       /* larger bodies are files */
	SPOOL_LENT_MAX = 256,            /* files one borrower may have at a time */
	SPOOL_IDLE_MS = 60 * 1000,       /* nobody writes to it and nobody brings it back: dropped */
	SPOOL_LENT_MS = 2 * 3600 * 1000, /* however long somebody writes: dropped */
};

/* Makes HOME/spool if need be. NULL with *err. */
struct spool *spool_open(const char *home, struct err *err);
/* NULL is allowed. */
void spool_close(struct spool *s);

/* ---- lending. `borrower` is any address that names him (his link). Times: clock_steady_ms(). */
/* 0 with a writable descriptor (the caller's) and the file's number, or -1 with *err. */
int spool_lend(struct spool *s, const void *borrower, int64_t now_ms, int *ret_fd,
	uint64_t *ret_number, struct err *err);
/* Takes file `number` back from its borrower: refused while anybody can still write to it, or if its
 * size is not `size`. 0 with a read-only descriptor (the caller's), or -1 with *err; either way the
 * number is gone. */
int spool_take(struct spool *s, const void *borrower, uint64_t number, uint64_t size, int *ret_fd,
	struct err *err);
/* Drops all that he has. */
void spool_forget(struct spool *s, const void *borrower);
/* Drops what was lent too long ago or lies idle. Call every few seconds. */
void spool_tidy(struct spool *s, int64_t now_ms);
unsigned spool_lent(const struct spool *s);
/* Bytes on disk of what he has. */
uint64_t spool_lent_bytes(const struct spool *s, const void *borrower);

/* ---- keeping. 0, or -1 with *err and errno. */
/* A new unnamed file with these contents: *ret_fd. */
int spool_make(struct spool *s, struct str contents, int *ret_fd, struct err *err);
/* Names an unnamed file; errno EEXIST: that id has one. */
int spool_link(struct spool *s, int fd, uint64_t id, struct err *err);
/* Syncs the directory in which the file of `id` has its name, so that the name is there after a
 * power cut. */
int spool_sync_dir(struct spool *s, uint64_t id, struct err *err);
/* Number of the directory: those with the same number need one sync. */
unsigned spool_dir(uint64_t id);
/* Opens for reading. */
int spool_read(struct spool *s, uint64_t id, int *ret_fd, struct err *err);
/* A missing file is no failure. */
int spool_unlink(struct spool *s, uint64_t id, struct err *err);
/* Start-up: calls keep() for each file there is, unlinks those it does not want, and syncs. The
 * number dropped in *ret_dropped. */
int spool_sweep(struct spool *s, bool (*keep)(void *arg, uint64_t id), void *arg,
	uint64_t *ret_dropped, struct err *err);

#endif
