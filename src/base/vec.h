/* vec: a growable array of elements of one size, held by value. Pointers to elements are good
 * until the next vec_add(). */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>

struct vec {
	void *p;
	size_t n;
	size_t cap;
	size_t elem;
};

void vec_init(struct vec *v, size_t elem);
void vec_done(struct vec *v);
/* A zeroed new last element, or a copy of *from if that is given. */
void *vec_add(struct vec *v, const void *from);
void *vec_at(const struct vec *v, size_t i);
/* Takes element `i` out; those behind it move up. */
void vec_remove(struct vec *v, size_t i);
void vec_sort(struct vec *v, int (*cmp)(const void *, const void *));

#endif
