/* fuzz_store: a home in memory and a store that forgets, for the fuzzers of store/. Included by fuzzers
 * only. */
#ifndef STORE_FUZZ_STORE_H
#define STORE_FUZZ_STORE_H

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fuzz.h"
#include "base/log.h"
#include "store/admin.h"
#include "store/site_fake.h"
#include "store/store_parts.h"

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

struct fuzz_forget {
	struct write_job job;
	const uint64_t *ids; /* of messages that may have files */
	unsigned count;
};

static inline int fuzz_apply_forget(
	struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct fuzz_forget *f = (struct fuzz_forget *)job; /* its first member */
	for (unsigned i = 0; i < f->count; i++)
		writer_unlink_later(w, f->ids[i]);
	return db_exec(db,
		"DELETE FROM message; DELETE FROM body; DELETE FROM recipient; DELETE FROM record; "
		"DELETE FROM record_message",
		err);
}

/* Makes the store as it was before the first run; the queue must get empty in the usual way. */
static inline void fuzz_store_empty(struct store *s, const uint64_t *ids, unsigned count)
{
	struct recipient_filter all = {0};
	struct fuzz_forget f = {
		.job = {.apply = fuzz_apply_forget, .kind = WRITE_FINISHES, .body_fd = -1},
		.ids = ids,
		.count = count};
	struct store_counters left;
	uint64_t changed;
	struct err err;
	int done = store_change(s, CHANGE_REMOVE, &all, STR("fuzzer"), &changed, &err);
	assert(done == 0);
	done = writer_do(s->writer, &f.job, &err);
	assert(done == 0);
	store_count(s, &left);
	assert(left.messages == 0 && left.ready + left.deferred + left.held + left.active == 0);
}

#endif
