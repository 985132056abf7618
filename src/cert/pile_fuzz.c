/* Any bytes as two files of a pile: the first byte says where they part. */
#include "cert/pile.h"

#include <stdlib.h>

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct str bytes = str_make((const char *)data + 1, size - 1);
	size_t cut = bytes.n * data[0] / 255;
	const struct pile_part parts[] = {
		{STR("one"), str_take(bytes, cut)}, {STR("two"), str_skip(bytes, cut)}};
	struct arena *arena = arena_new();
	struct pile pile;
	struct err err;
	err_clear(&err);
	if (pile_read(parts, 2, STR("open sesame"), arena, &pile, &err) == 0) {
		if (pile.chain.n == 0 || pile.key.n == 0 || pile.facts.key_id.n == 0)
			abort();
		pile_done(&pile);
	} else if (err.kind == ERR_NONE || !err.log[0]) {
		abort(); /* refused without a word */
	}
	arena_free(arena);
	return 0;
}
