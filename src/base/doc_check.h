/* doc_check: for unit tests: a page under doc/ that is made from a table in the source must be the
 * one that the table gives now. Tests run in the project's top folder. */
#ifndef BASE_DOC_CHECK_H
#define BASE_DOC_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

enum { DOC_CHECK_MAX = 1 << 20 };

/* True if the file at `path` holds `want`. With LETTERLOCK_WRITE_DOC set in the environment it is
 * written instead; else a false answer says on standard error how to do that. */
static inline bool doc_check(const char *path, struct str want, const char *program)
{
	bool same = false, writing = getenv("LETTERLOCK_WRITE_DOC") != NULL;
	FILE *f = fopen(path, writing ? "w" : "r");
	if (f && writing) {
		same = fwrite(want.p, 1, want.n, f) == want.n;
	} else if (f) {
		struct buf have;
		buf_init(&have, DOC_CHECK_MAX);
		char *at = buf_reserve(&have, DOC_CHECK_MAX);
		have.n = fread(at, 1, DOC_CHECK_MAX, f);
		same = str_eq(buf_str(&have), want);
		buf_done(&have);
	}
	if (f)
		fclose(f);
	if (!same)
		fprintf(stderr,
			"%s is out of date; in the project's top folder: LETTERLOCK_WRITE_DOC=1 "
			"build/asan/test/%s\n",
			path, program);
	return same;
}

#endif
