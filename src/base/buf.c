#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){.max = max};
}

void buf_done(struct buf *b)
{
	free(b->p);
	buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->overflow = false;
}

/* One byte beyond the contents is always there for buf_c(). */
char *buf_reserve(struct buf *b, size_t n)
{
	if (n > b->max - b->n) {
		b->overflow = true;
		return NULL;
	}
	if (b->n + n + 1 > b->cap) {
		size_t cap = b->cap ? b->cap : 64;
		while (cap < b->n + n + 1)
			cap *= 2;
		if (cap > b->max + 1)
			cap = b->max + 1;
		b->p = mem_resize(b->p, cap, 1);
		b->cap = cap;
	}
	return b->p + b->n;
}

bool buf_add(struct buf *b, struct str s)
{
	if (s.n == 0)
		return !b->overflow;
	char *at = b->overflow ? NULL : buf_reserve(b, s.n);
	if (!at)
		return false;
	memcpy(at, s.p, s.n);
	b->n += s.n;
	return true;
}

bool buf_add_c(struct buf *b, const char *s)
{
	return buf_add(b, str_from_c(s));
}

bool buf_add_char(struct buf *b, char c)
{
	return buf_add(b, str_make(&c, 1));
}

bool buf_addv(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	char *at = n < 0 || b->overflow ? NULL : buf_reserve(b, (size_t)n);
	if (at) {
		vsnprintf(at, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
	return at != NULL;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	bool ok = buf_addv(b, fmt, ap);
	va_end(ap);
	return ok;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

const char *buf_c(struct buf *b)
{
	if (!b->p)
		return "";
	b->p[b->n] = 0;
	return b->p;
}
