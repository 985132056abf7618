#include "base/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_exhausted(size_t wanted)
{
	fprintf(stderr, "letterlock: out of memory (%zu bytes wanted)\n", wanted);
	abort();
}

void *mem_new(size_t size)
{
	void *p = calloc(1, size ? size : 1); /* style: the one place */
	if (!p)
		mem_exhausted(size);
	return p;
}

void *mem_resize(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n ? n : 1, size ? size : 1);
	if (!q)
		mem_exhausted(n);
	return q;
}

char *mem_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	return memcpy(mem_resize(NULL, n, 1), s, n);
}

void mem_wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

void mem_wiping_free(void *p)
{
	if (p)
		mem_wipe(p, malloc_usable_size(p));
	free(p);
}

void *mem_wiping_resize(void *p, size_t size)
{
	void *q = size ? malloc(size) : NULL; /* style: the library copes with none */
	if (p && q) {
		size_t had = malloc_usable_size(p);
		memcpy(q, p, had < size ? had : size);
	}
	if (q || !size)
		mem_wiping_free(p);
	return q;
}
