/* store_accept: durable accepts a second through a real link: one process is store, the other an edge
 * whose fibers each hand over one message after the other.
 *
 *   store_accept FOLDER SECONDS FIBERS BYTES [deliver]
 *
 * With "deliver" a relay that takes everything at once drains the queue at the same time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask/questions.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/settings.h"
#include "io/fiber.h"
#include "io/loop.h"
#include "store/store.h"

static struct store *store;

static void answer(struct ask_question *q, void *arg)
{
	(void)arg;
	if (q->kind == ASK_ACCEPT)
		store_answer_accept(store, q);
}

static void gone(struct ask_link *l, void *arg)
{
	struct rusage u;
	struct store_counters c;
	(void)l, (void)arg;
	store_count(store, &c);
	getrusage(RUSAGE_SELF, &u);
	printf("store: cpu %ld.%02ld s user, %ld.%02ld s system, %ld KB, waiting %" PRIu64
		   ", delivered %" PRIu64 "\n",
		u.ru_utime.tv_sec, u.ru_utime.tv_usec / 10000, u.ru_stime.tv_sec,
		u.ru_stime.tv_usec / 10000, u.ru_maxrss, c.messages, c.delivered);
	fflush(stdout);
	_exit(0);
}

/* ---- relay ------------------------------------------------------------------------------------ */

static void deliver(struct ask_question *q, void *arg)
{
	struct ask_deliver d;
	struct ask_deliver_answer a = {0};
	(void)arg;
	if (ask_take(q, xfer_ask_deliver, &d))
		return;
	a.results = arena_alloc(q->arena, d.envelope.recipient_count * sizeof *a.results);
	a.result_count = d.envelope.recipient_count;
	struct record *r = record_new(q->arena, RECORD_ATTEMPT, STR("192.0.2.1:25"));
	for (int i = 0; i < 12; i++)
		record_add(r, EVENT_SENT, "a line of some length, as they are: %d", i);
	struct buf packed;
	buf_init(&packed, 65536);
	struct xfer x = xfer_writer(&packed);
	xfer_record(&x, r);
	a.record = buf_str(&packed);
	ask_answer(q, xfer_ask_deliver_answer, &a);
	buf_done(&packed);
}

static void relay_gone(struct ask_link *l, void *arg)
{
	(void)l, (void)arg;
	_exit(0);
}

static void run_relay(int fd)
{
	loop_init();
	ask_link_new(fd, "store", deliver, relay_gone, NULL);
	loop_run();
}

/* ---- edge ------------------------------------------------------------------------------------- */

struct load {
	struct ask_link *link;
	int64_t until_ms;
	size_t bytes;
	unsigned running;
	uint64_t done, failed;
};

static void ask_one(struct load *l, struct str body, unsigned i)
{
	struct arena *arena = arena_new();
	struct err err = {0};
	struct envelope_recipient r = {
		.address = arena_fmt(arena, "user%u@d%u.example", i % 1000, i % 50)};
	uint64_t id = id_make();
	struct ask_accept q = {.queue_id = id,
		.session_id = id,
		.envelope = {.sender = STR("sender@example.com"), .recipients = &r, .recipient_count = 1},
		.prefix = STR("Received: from client.example (client.example [192.0.2.1])\r\n"
					  "\tby mx.example with ESMTPS id 0123456789ABC\r\n"
					  "\tfor <user@example>; Sat, 21 Nov 2026 19:13:33 +0000\r\n"),
		.body = {.size = body.n, .fd = -1},
		.message_id = arena_fmt(arena, "<%" PRIx64 "@example.com>", id),
		.client = STR("192.0.2.1"),
		.helo = STR("client.example"),
		.tls = STR("TLSv1.3 TLS_AES_256_GCM_SHA384")};
	if (body.n <= BODY_PACKET_MAX)
		q.body.bytes = body;
	else
		q.body.fd = body_from_str(body, "letter", &err);
	if (ask_put(l->link, ASK_ACCEPT, xfer_ask_accept, &q, (int[]){q.body.fd, -1}, NULL, NULL, NULL,
			60000, arena, &err)) {
		if (l->failed++ == 0)
			fprintf(stderr, "%s\n", err.log);
	} else {
		l->done++;
	}
	if (q.body.fd >= 0)
		close(q.body.fd);
	arena_free(arena);
}

static void session(void *arg)
{
	struct load *l = arg;
	char *bytes = mem_new(l->bytes);
	for (size_t i = 0; i < l->bytes; i++)
		bytes[i] = (char)('a' + i % 26);
	for (unsigned i = l->running++; clock_steady_ms() < l->until_ms; i += 17)
		ask_one(l, str_make(bytes, l->bytes), i);
	free(bytes);
	if (--l->running == 0)
		loop_stop();
}

static void run_edge(int fd, int64_t seconds, int fibers, size_t bytes)
{
	loop_init();
	int64_t start = clock_steady_ms();
	struct load l = {.link = ask_link_new(fd, "store", NULL, NULL, NULL),
		.until_ms = start + seconds * 1000,
		.bytes = bytes};
	for (int i = 0; i < fibers; i++)
		fiber_start("session", session, &l);
	loop_run();
	double t = (double)(clock_steady_ms() - start) / 1000;
	printf("accepted %" PRIu64 " failed %" PRIu64
		   " in %.2f s: %.0f messages/s of %zu bytes from %d\n",
		l.done, l.failed, t, (double)l.done / t, bytes, fibers);
	ask_link_free(l.link);
}

int main(int argc, char **argv)
{
	uint64_t seconds, fibers, bytes;
	if (argc < 5 || !str_to_u64(str_from_c(argv[2]), 600, &seconds) ||
		!str_to_u64(str_from_c(argv[3]), 500, &fibers) ||
		!str_to_u64(str_from_c(argv[4]), 1000000, &bytes))
		return 2;
	int edge[2], relay[2];
	ask_pair(edge);
	ask_pair(relay);
	log_open(STDERR_FILENO, LOG_WARN);
	if (argc > 5 && fork() == 0) {
		close(edge[0]), close(edge[1]), close(relay[1]);
		run_relay(relay[0]);
	}
	close(relay[0]);
	if (fork() == 0) {
		struct err err = {0};
		struct site site = {.holders = 1, .conf = conf_new()};
		close(edge[0]);
		loop_init();
		setting_parse(setting_find(STR("relay.networks")), STR("192.0.2.1"), site.conf, &err);
		store = store_open(argv[1], &site, &err);
		if (!store) {
			fprintf(stderr, "%s\n", err.log);
			return 1;
		}
		ask_link_new(edge[1], "edge", answer, gone, NULL);
		if (argc > 5)
			store_set_relay(store, ask_link_new(relay[1], "relay", NULL, NULL, NULL));
		loop_run();
	}
	close(edge[1]), close(relay[1]);
	run_edge(edge[0], (int64_t)seconds, (int)fibers, (size_t)bytes);
	while (wait(NULL) > 0)
		;
	return 0;
}
