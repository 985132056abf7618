/* arena: memory with one lifetime (process, session, transaction, command). Everything is freed
 * together, and what was tied to it with arena_on_done() ends with it, last tied first. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena;

/* An empty arena owns a few dozen bytes. */
struct arena *arena_new(void);
/* NULL is allowed. */
void arena_free(struct arena *a);
/* Frees what was allocated and ends what was tied, as arena_free(), but keeps the arena. */
void arena_reset(struct arena *a);
/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
struct str arena_dup(struct arena *a, struct str s);
/* A copy in lower case. */
struct str arena_lower(struct arena *a, struct str s);
/* NUL-terminated copy. */
char *arena_dup_c(struct arena *a, struct str s);
struct str arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Calls fn(arg) when the arena ends. */
void arena_on_done(struct arena *a, void (*fn)(void *), void *arg);

#endif
