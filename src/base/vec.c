#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void vec_init(struct vec *v, size_t elem)
{
	*v = (struct vec){.elem = elem};
}

void vec_done(struct vec *v)
{
	free(v->p);
	vec_init(v, v->elem);
}

void *vec_at(const struct vec *v, size_t i)
{
	return (char *)v->p + i * v->elem;
}

void *vec_add(struct vec *v, const void *from)
{
	if (v->n == v->cap) {
		v->cap = v->cap ? v->cap * 2 : 8;
		v->p = mem_resize(v->p, v->cap, v->elem);
	}
	void *at = vec_at(v, v->n++);
	if (from)
		memcpy(at, from, v->elem);
	else
		memset(at, 0, v->elem);
	return at;
}

void vec_remove(struct vec *v, size_t i)
{
	v->n--;
	memmove(vec_at(v, i), vec_at(v, i + 1), (v->n - i) * v->elem);
}

void vec_sort(struct vec *v, int (*cmp)(const void *, const void *))
{
	if (v->n > 1)
		qsort(v->p, v->n, v->elem, cmp);
}
