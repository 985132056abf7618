/* powercut_body: the contents of a body as load writes it and recover expects it, from its id alone. */
#ifndef CRASH_POWERCUT_BODY_H
#define CRASH_POWERCUT_BODY_H

#include <stdint.h>
#include <stddef.h>

static inline void powercut_body(uint64_t id, char *dst, size_t size)
{
	for (size_t i = 0; i < size; i++)
		dst[i] = (char)(id * 31 + i * 7 + (i >> 8) * 13);
}

#endif
