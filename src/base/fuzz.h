/* fuzz: what the fuzzers (x_fuzz.c) share: the entry they all have, and how to read an input as a
 * script, so that most of what a mutation changes still means something. Included by fuzzers only.
 *
 * A fuzzer returns, or dies by assert() or a sanitizer. It is deterministic: what stands in static
 * variables may be a cache, never a history, so that each finding can be had again from its input. */
#ifndef BASE_FUZZ_H
#define BASE_FUZZ_H

#include <assert.h>
#include <stdlib.h>

#include "base/str.h"

/* What libFuzzer calls; test/fuzz/replay.c does too. Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next byte of a script; 0 behind its end. */
static inline uint8_t fuzz_byte(struct str *script)
{
	uint8_t byte = script->n ? (uint8_t)script->p[0] : 0;
	*script = str_skip(*script, 1);
	return byte;
}

/* The next slice: a length byte (times 8 if it is above 200), then that many bytes, or those left. */
static inline struct str fuzz_slice(struct str *script)
{
	size_t n = fuzz_byte(script);
	struct str slice = str_take(*script, n > 200 ? n * 8 : n);
	*script = str_skip(*script, slice.n);
	return slice;
}

/* A copy of exactly its size, so that a read beyond its end is seen. Freed by the caller. */
static inline struct str fuzz_copy(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + !size); /* style: the arena would hide a read beyond the end */
	if (size)
		memcpy(copy, data, size);
	return str_make(copy, size);
}

static inline void fuzz_free(struct str copy)
{
	free((char *)(uintptr_t)copy.p);
}

#endif
