/* fuzz_verb: verbs of an administrator with arguments made of a script, for the fuzzers of store/.
 * Included by fuzzers only. */
#ifndef STORE_FUZZ_VERB_H
#define STORE_FUZZ_VERB_H

#include "base/fuzz.h"
#include "store/admin.h"

/* One argument as its row in the table wants it. */
static inline json_t *fuzz_value(enum admin_type type, struct str *script)
{
	struct str s;
	switch (type) {
	case ADMIN_TEXT:
		s = fuzz_slice(script);
		return json_stringn(s.p, s.n);
	case ADMIN_NUMBER:
		return json_integer(fuzz_byte(script) - 1);
	case ADMIN_TRUTH:
		return json_boolean(fuzz_byte(script) & 1);
	case ADMIN_TEXTS:
		s = fuzz_slice(script);
		return json_pack("[o*]", json_stringn(s.p, s.n));
	case ADMIN_NUMBERS:
		return json_pack("[i]", fuzz_byte(script));
	}
	return NULL;
}

/* u8: 128 gives the arguments as a slice of any bytes, else the bits say which members there are. In
 * `arena`. */
static inline struct str fuzz_arguments(
	const struct admin_verb *v, struct str *script, struct arena *arena)
{
	uint8_t given = fuzz_byte(script);
	if (given & 128)
		return arena_dup(arena, fuzz_slice(script));
	json_t *args = json_object();
	for (unsigned i = 0; v->arguments[i].name; i++) {
		const struct admin_argument *a = &v->arguments[i];
		json_t *value = a->required || (given >> i & 1) ? fuzz_value(a->type, script) : NULL;
		if (value) /* a text that is no UTF-8 is none */
			json_object_set_new(args, a->name, value);
	}
	char *text = json_dumps(args, 0);
	struct str ret = arena_dup(arena, str_from_c(text));
	free(text);
	json_decref(args);
	return ret;
}

/* Runs a verb: the answer is always a JSON object, with a reason exactly if it is a refusal. */
static inline unsigned fuzz_verb(
	struct admin *a, const struct admin_verb *v, struct str args, struct arena *arena)
{
	static const unsigned statuses[] = {200, 400, 404, 409, 503};
	struct str json;
	unsigned status = admin_run(a, str_from_c(v->name), args, -1, STR("fuzzer"), arena, &json),
			 known = 0;
	json_t *answer = json_loadb(json.p, json.n, 0, NULL);
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		known += status == statuses[i];
	assert(known == 1 && json_is_object(answer));
	assert((status == 200) == !error && (!error || (message && message[0])));
	json_decref(answer);
	return status;
}

#endif
