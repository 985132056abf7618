/* fuzz_store: a home in memory for the fuzzers of store/, and verbs made of a script. Included by
 * fuzzers only. */
#ifndef STORE_FUZZ_STORE_H
#define STORE_FUZZ_STORE_H

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fuzz.h"
#include "base/log.h"
#include "store/admin.h"

static char fuzz_home[64];

/* Everything we make lies at most two folders deep. */
static inline void fuzz_home_remove(void)
{
	char command[100];
	snprintf(command, sizeof command, "rm -rf '%s'", fuzz_home);
	if (system(command) != 0) /* style: a fuzzer may run a shell */
		perror(fuzz_home);
}

static inline const char *fuzz_home_make(void)
{
	log_open(-1, LOG_ERROR);
	clock_set_wall_ms(1795287600000);
	snprintf(fuzz_home, sizeof fuzz_home, "/dev/shm/letterlock-fuzz-XXXXXX");
	const char *made = mkdtemp(fuzz_home);
	assert(made);
	atexit(fuzz_home_remove);
	return made;
}

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
