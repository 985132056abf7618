/* First byte: the row; the rest: its value. What is taken has one normal form, which reads back as
 * itself; what is refused is explained in one printable line that begins with the setting's name. */
#include <assert.h>
#include <stdlib.h>

#include "conf/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_explained(const struct setting *s, const struct err *err)
{
	assert(str_starts(str_from_c(err->log), str_from_c(s->name)));
	for (const char *p = err->log; *p; p++)
		assert(*p >= ' ' && *p < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf *c;
	if (!c)
		c = conf_new();
	if (size == 0)
		return 0;
	/* A conf of its own keeps what is allocated short-lived; the bytes get an end that is watched. */
	struct conf one = *c;
	one.arena = arena_new();
	char *copy = malloc(size); /* style: the fuzzer owns it */
	memcpy(copy, data + 1, size - 1);
	const struct setting *s = &settings[data[0] % setting_count];
	struct err err = {0};
	if (setting_parse(s, str_make(copy, size - 1), &one, &err) == 0) {
		struct buf first, second;
		buf_init(&first, 1 << 20);
		buf_init(&second, 1 << 20);
		setting_format(s, &one, &first);
		assert(setting_parse(s, buf_str(&first), &one, &err) == 0);
		setting_format(s, &one, &second);
		assert(!first.overflow && str_eq(buf_str(&first), buf_str(&second)));
		buf_done(&first);
		buf_done(&second);
		conf_check(&one, &err);
	} else {
		assert_explained(s, &err);
	}
	free(copy);
	arena_free(one.arena);
	return 0;
}
