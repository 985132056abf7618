/* mem: heap memory that never fails. Out of memory ends the process in one place, here. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Zeroed memory. Never NULL. Free with free(). */
void *mem_new(size_t size);
/* As realloc(), but never NULL; n * size is checked for overflow. What was added is not zeroed. */
void *mem_resize(void *p, size_t n, size_t size);
char *mem_strdup(const char *s);
/* Says so on standard error and aborts. */
_Noreturn void mem_exhausted(size_t wanted);
/* Overwrites `n` bytes in a way that the compiler cannot drop: for keys and passwords. */
void mem_wipe(void *p, size_t n);
/* As realloc() and free(), but what is given back is overwritten first: for libraries through whose
 * hands secrets go. */
void *mem_wiping_resize(void *p, size_t size);
void mem_wiping_free(void *p);

#endif
