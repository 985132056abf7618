/* body: a message's content on its way between roles. Up to BODY_PACKET_MAX bytes it travels in the
 * packet of the question itself: four system calls less on either side. Up to BODY_MEMORY_MAX it is a
 * sealed memfd: whoever holds it can read it and nobody can alter it. Above, it is an unnamed file in
 * the spool that `store` handed out (ASK_SPOOL) and of which it takes its own read-only side back.
 *
 * A writer gathers 64 KB on the heap before it touches a descriptor. */
#ifndef IO_BODY_H
#define IO_BODY_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

enum { BODY_PACKET_MAX = 32 * 1024, BODY_MEMORY_MAX = 1024 * 1024 };

struct body {
	struct str bytes; /* the content itself, if there is neither a descriptor nor a spool file */
	int fd;           /* readable, sealed; -1: none */
	uint64_t size;    /* bytes */
	uint64_t spool;   /* nonzero: the spool file that `store` keeps under this number; fd is -1 */
};

/* Asks for a spool file: returns 0 with a writable descriptor and its number, or -1 with *err. */
typedef int body_spool_open(void *arg, int *ret_fd, uint64_t *ret_spool, struct err *err);

struct body_writer;
/* `open_spool` NULL: everything stays in memory files. */
struct body_writer *body_writer_new(body_spool_open *open_spool, void *arg);
/* 0, or -1 with *err (ERR_TEMP: no space); after a failure every later call fails the same way. */
int body_writer_add(struct body_writer *w, struct str bytes, struct err *err);
uint64_t body_writer_size(const struct body_writer *w);
/* Seals what was written and frees the writer; on failure too. *ret ends with body_done(). */
int body_writer_finish(struct body_writer *w, struct body *ret, struct err *err);
/* Frees the bytes or closes the descriptor of a body that a writer made. */
void body_done(struct body *b);
/* Drops everything; what lies in the spool gives its space back at once. NULL is allowed. */
void body_writer_free(struct body_writer *w);

/* A memfd that can still be written; body_seal() makes a body of it. -1 with *err. */
int body_memory(const char *name, struct err *err);
int body_seal(int fd, struct err *err);
/* A sealed memfd with these contents, for asks that carry more than a packet. -1 with *err. */
int body_from_str(struct str bytes, const char *name, struct err *err);
/* A memfd sealed against writing, growing, shrinking and sealing. */
bool body_is_sealed(int fd);
/* Checks what another role handed over: a sealed memfd. Whoever maps anything else of a hostile role
 * dies when that role cuts it short. Returns its size, or -1 with *err. */
int64_t body_check(int fd, struct err *err);

/* Checks as above and maps for reading; an empty body gives an empty slice. Unmap with body_unmap().
 * `max` bounds its size. */
int body_map(int fd, uint64_t max, struct str *ret, struct err *err);
/* For what comes from `store`: a file of its spool, opened for reading only, is taken too. */
int body_map_file(int fd, uint64_t max, struct str *ret, struct err *err);
void body_unmap(struct str mapped);

#endif
