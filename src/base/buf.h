/* buf: a growable run of bytes with a maximum given at its birth. An idle buffer owns no memory.
 * Adding past the maximum changes nothing and sets `overflow`, which stays set until buf_clear():
 * a builder may add many pieces and look once at the end. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/str.h"

struct buf {
	char *p;
	size_t n;
	size_t cap;
	size_t max;
	bool overflow;
};

void buf_init(struct buf *b, size_t max);
/* Frees the memory; the buffer stays usable and empty. */
void buf_done(struct buf *b);
/* Empties it but keeps its memory. */
void buf_clear(struct buf *b);
bool buf_add(struct buf *b, struct str s);
bool buf_add_c(struct buf *b, const char *s);
bool buf_add_char(struct buf *b, char c);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_addv(struct buf *b, const char *fmt, va_list ap);
/* Room for `n` more bytes, to be written at p + n and then counted by n += …; NULL past max. */
char *buf_reserve(struct buf *b, size_t n);
/* Drops the first `n` bytes. */
void buf_consume(struct buf *b, size_t n);
/* The contents as a NUL-terminated string that lives until the next change. */
const char *buf_c(struct buf *b);

static inline struct str buf_str(const struct buf *b)
{
	return str_make(b->n ? b->p : "", b->n);
}

#endif
