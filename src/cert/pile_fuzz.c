/* A pile of two files. First byte even: any text. Odd: any DER, armoured here as a certificate and a
 * key, so that what lies below the base64 is reached too. The second byte says where they part. */
#include "cert/pile.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/arena.h"

static struct str armour(struct arena *arena, const char *label, struct str der)
{
	char *base64 = arena_alloc(arena, der.n / 3 * 4 + 5);
	EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)der.p, (int)der.n);
	struct buf text;
	buf_init(&text, der.n * 2 + 256);
	buf_addf(&text, "-----BEGIN %s-----\n", label);
	for (struct str rest = str_from_c(base64); rest.n > 0; rest = str_skip(rest, 64))
		buf_addf(&text, "%.*s\n", STR_ARG(str_take(rest, 64)));
	buf_addf(&text, "-----END %s-----\n", label);
	struct str ret = arena_dup(arena, buf_str(&text));
	buf_done(&text);
	return ret;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct str bytes = str_make((const char *)data + 2, size - 2);
	size_t cut = bytes.n * data[1] / 255;
	struct pile_part parts[] = {
		{STR("one"), str_take(bytes, cut)}, {STR("two"), str_skip(bytes, cut)}};
	struct arena *arena = arena_new();
	if (data[0] & 1) {
		parts[0].bytes = armour(arena, "CERTIFICATE", parts[0].bytes);
		parts[1].bytes = armour(arena, "PRIVATE KEY", parts[1].bytes);
	}
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
