/* suspect: mail that a store had in its hands when it died (suspect.c). */
#ifndef STORE_SUSPECT_H
#define STORE_SUSPECT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct store;

/* What was known when this store began. */
struct suspect {
	uint64_t id, deaths; /* 0: nobody is suspected */
	bool busy;           /* one is being tried */
	char path[PATH_MAX];
};

void suspect_open(struct store *s, const char *home);
/* Waits its turn. -1 with *err (ERR_PERM): too many died with it. */
int suspect_begin(struct store *s, uint64_t id, struct err *err);
void suspect_end(struct store *s);

#endif
