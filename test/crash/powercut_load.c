/* powercut_load: mail comes in and goes out through the real writer while powercut.c notes what
 * reaches the disk and what the world was told.
 *
 *   powercut_load HOME LOG SEED ROUNDS [RECORDS]
 *
 * With RECORDS it dies when it has noted so many; another may then go on with the same home and log.
 *
 * Marks: "accepted SIZE" and "finished" with the queue id as number, at the moment a peer would get
 * its 250 or relay's result counts as written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "conf/settings.h"
#include "io/body.h"
#include "powercut.h"
#include "powercut_body.h"
#include "store/store_parts.h"

enum { BATCH = 8, OPEN_MAX_MESSAGES = 40 };

struct load {
	struct store *store;
	uint64_t open[OPEN_MAX_MESSAGES];
	uint32_t recipients[OPEN_MAX_MESSAGES];
	unsigned open_count;
};

struct accept_job {
	struct write_job job;
	struct load *load;
	struct arena *arena;
	struct letter letter;
	struct envelope envelope;
};

struct finish_job {
	struct write_job job;
	uint64_t message;
	struct outcome outcomes[4];
	struct recipient_result said;
	uint32_t count;
};

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "powercut_load: %s: %s\n", what, err->log);
	exit(1);
}

/* ---- in --------------------------------------------------------------------------------------- */

static int apply_accept(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct accept_job *a = (struct accept_job *)job;
	(void)w;
	return letter_insert(&a->letter, db, err);
}

static void accepted(struct write_job *job)
{
	struct accept_job *a = (struct accept_job *)job;
	char text[40];
	if (job->err.kind != ERR_NONE)
		die("accept", &job->err);
	snprintf(text, sizeof text, "accepted %llu", (unsigned long long)a->letter.size);
	powercut_mark(a->letter.id, text);
	a->load->open[a->load->open_count] = a->letter.id;
	a->load->recipients[a->load->open_count++] = a->envelope.recipient_count;
	if (job->body_fd >= 0)
		close(job->body_fd);
}

/* A spool file that an edge filled, taken back; or a sealed memfd. */
static int body_descriptor(struct load *l, struct str bytes, bool lent)
{
	struct err err = {0};
	uint64_t number;
	int fd, back;
	if (!lent)
		return body_from_str(bytes, "letter", &err);
	if (spool_lend(l->store->spool, l, clock_steady_ms(), &fd, &number, &err))
		die("lend", &err);
	if (write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n)
		exit(1);
	close(fd);
	if (spool_take(l->store->spool, l, number, bytes.n, &back, &err))
		die("take", &err);
	return back;
}

static void post_accept(struct load *l, struct arena *arena)
{
	static const struct envelope_recipient names[] = {{.address = {"a@example.org", 13}},
		{.address = {"b@example.net", 13}}, {.address = {"c@example.com", 13}}};
	struct accept_job *a = arena_alloc(arena, sizeof *a);
	struct err err = {0};
	bool large = random() % 4 == 0, lent = random() % 2;
	size_t size = large ? SPOOL_ROW_MAX + 1 + (size_t)random() % 30000 : (size_t)random() % 9000;
	char *bytes = arena_alloc(arena, size + 1);
	a->job = (struct write_job){
		.apply = apply_accept, .done = accepted, .kind = WRITE_ADMITS, .body_fd = -1};
	a->load = l;
	a->letter = (struct letter){.id = id_make(),
		.received_ms = clock_wall_ms(),
		.envelope = &a->envelope,
		.prefix = STR("Received: from a by b\r\n"),
		.message_id = STR("<one@example.com>"),
		.client = STR("192.0.2.1"),
		.helo = STR("client"),
		.tls = STR(""),
		.size = size,
		.in_file = large};
	a->envelope = (struct envelope){.sender = STR("sender@example.com"),
		.recipients = (struct envelope_recipient *)names,
		.recipient_count = 1 + (uint32_t)random() % 3};
	powercut_body(a->letter.id, bytes, size);
	a->letter.body = str_make(bytes, size);
	if (large) {
		a->job.body_fd = body_descriptor(l, a->letter.body, lent);
		a->job.body_in_memory = !lent;
		a->job.body_id = a->letter.id;
	}
	if (letter_check(&a->letter, arena, &err))
		die("letter", &err);
	writer_post(l->store->writer, &a->job);
}

/* ---- out -------------------------------------------------------------------------------------- */

static int apply_finish(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	struct finish_job *f = (struct finish_job *)job;
	return outcome_write(w, db, f->message, f->outcomes, f->count, -1, clock_wall_ms(), err);
}

static void finished(struct write_job *job)
{
	struct finish_job *f = (struct finish_job *)job;
	if (job->err.kind != ERR_NONE)
		die("finish", &job->err);
	powercut_mark(f->message, "finished");
}

static void post_finish(struct load *l, struct arena *arena)
{
	unsigned i = (unsigned)random() % l->open_count;
	struct finish_job *f = arena_alloc(arena, sizeof *f);
	f->job = (struct write_job){
		.apply = apply_finish, .done = finished, .kind = WRITE_FINISHES, .body_fd = -1};
	f->message = l->open[i];
	f->count = l->recipients[i];
	f->said = (struct recipient_result){.code = 250, .text = STR("ok")};
	for (uint32_t k = 0; k < f->count; k++)
		f->outcomes[k] = (struct outcome){
			.n = k, .state = RECIPIENT_DELIVERED, .attempted = true, .said = &f->said};
	l->open[i] = l->open[--l->open_count];
	l->recipients[i] = l->recipients[l->open_count];
	writer_post(l->store->writer, &f->job);
}

static int apply_shrink(struct write_job *job, struct writer *w, struct db *db, struct err *err)
{
	(void)job, (void)w;
	return db_shrink(db, 0, 50, NULL, err);
}

/* ---- rounds ----------------------------------------------------------------------------------- */

static void one_round(struct load *l)
{
	struct arena *arena = arena_new();
	struct err err = {0};
	struct write_job shrink = {.apply = apply_shrink, .kind = WRITE_LAZY, .body_fd = -1};
	unsigned in = 1 + (unsigned)random() % BATCH;
	for (unsigned i = 0; i < in && l->open_count + in < OPEN_MAX_MESSAGES; i++)
		post_accept(l, arena);
	for (unsigned i = 0; i < BATCH && l->open_count > (unsigned)random() % OPEN_MAX_MESSAGES; i++)
		post_finish(l, arena);
	if (random() % 5 == 0)
		writer_post(l->store->writer, &shrink);
	if (writer_flush(l->store->writer, &err))
		die("flush", &err);
	arena_free(arena);
	/* Time for a checkpoint. */
	if (random() % 12 == 0)
		usleep(120 * 1000);
}

static void start(struct load *l, const char *home, struct site *site)
{
	struct err err = {0};
	l->store = store_open(home, site, &err);
	if (!l->store)
		die("store", &err);
}

int main(int argc, char **argv)
{
	static struct load l;
	struct site site = {.holders = 1, .conf = conf_new()};
	uint64_t seed, rounds, records = 0;
	if (argc < 5 || argc > 6 || !str_to_u64(str_from_c(argv[3]), UINT32_MAX, &seed) ||
		!str_to_u64(str_from_c(argv[4]), 100000, &rounds) ||
		(argc == 6 && !str_to_u64(str_from_c(argv[5]), UINT32_MAX, &records)))
		return 2;
	log_open(STDERR_FILENO, LOG_WARN);
	srandom((unsigned)seed);
	powercut_begin(argv[1], argv[2]);
	if (records)
		powercut_die_after(records);
	start(&l, argv[1], &site);
	for (uint64_t i = 0; i < rounds; i++) {
		one_round(&l);
		if (i == rounds / 2) { /* a restart in good order */
			store_close(l.store);
			start(&l, argv[1], &site);
		}
	}
	powercut_end();
	store_close(l.store);
	conf_drop(site.conf);
	return 0;
}
