/* Any bytes as a snapshot: refused with a reason, or taken; then packed again it is the same. */
#include <assert.h>
#include <stdlib.h>

#include "conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The role stands behind the first NUL. */
static uint64_t role_of(struct str bytes)
{
	struct str word;
	uint64_t role = 0;
	str_split(&bytes, 0, &word);
	str_split(&bytes, 0, &word);
	assert(str_to_u64(word, UINT64_MAX, &role));
	return role;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + !size); /* style: the fuzzer owns it */
	memcpy(copy, data, size);
	struct str bytes = str_make(copy, size);
	struct err err = {0};
	struct conf *c = conf_unpack(bytes, &err);
	if (c) {
		uint64_t role = role_of(bytes);
		struct buf first, second;
		buf_init(&first, CONF_SNAPSHOT_MAX);
		buf_init(&second, CONF_SNAPSHOT_MAX);
		conf_pack(c, (enum conf_role)role, &first);
		struct conf *again = conf_unpack(buf_str(&first), &err);
		assert(again && again->revision == c->revision);
		assert(role != CONF_EDGE || again->certificate_count == c->certificate_count);
		conf_pack(again, (enum conf_role)role, &second);
		assert(str_eq(buf_str(&first), buf_str(&second)));
		buf_done(&first);
		buf_done(&second);
		conf_drop(again);
		conf_drop(c);
	} else {
		assert(err.kind == ERR_PERM && err.log[0]);
	}
	free(copy);
	return 0;
}
