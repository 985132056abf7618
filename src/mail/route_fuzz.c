/* Any text as HOST:PORT and as a domain: what is taken reads back from its normal form, and a key
 * names every route. */
#include <assert.h>
#include <stdlib.h>

#include "conf/settings.h"
#include "mail/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_target(struct str text)
{
	struct route_target t, again;
	struct err err = {0};
	struct buf normal;
	buf_init(&normal, 4096);
	if (route_target_parse(text, 25, &t, &err) == 0) {
		assert(t.port > 0 && t.host.n > 0 && t.host.n <= 253);
		route_target_format(&t, &normal);
		assert(route_target_parse(buf_str(&normal), 1, &again, &err) == 0);
		assert(str_eq(again.host, t.host) && again.port == t.port);
	} else {
		for (const char *p = err.log; *p; p++)
			assert(*p >= ' ' && *p < 0x7f);
	}
	buf_done(&normal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf *c;
	if (!c)
		c = conf_new();
	char *copy = malloc(size + !size); /* style: the fuzzer owns it */
	memcpy(copy, data, size);
	struct str text = str_make(copy, size);
	struct buf key;

	try_target(text);
	struct route r = route_find(&(struct route_table){0}, c, text);
	assert(str_eq(r.domain, text) && (r.host.n == 0 || r.host.n < 46));
	buf_init(&key, 8192);
	route_key(&r, &key);
	assert(str_starts(buf_str(&key), r.host.n ? STR("host ") : STR("mx ")));
	buf_done(&key);
	free(copy);
	return 0;
}
