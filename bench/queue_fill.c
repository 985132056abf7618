/* queue_fill: puts deferred mail into the queue of a home that `letterlock setup` made and nobody
 * serves: rows as the store itself would have left them, without the hours it would take.
 *
 *   queue_fill HOME MESSAGES [BYTES [DOMAINS [DUE]]]
 *
 * Bodies have BYTES (4096) and lie in node.db; recipients are spread over DOMAINS (1000) domains
 * d0.example … Each was tried once (connect.refused) and has its next try within an hour, or, with
 * DUE, is due at once. At most 2,000,000 messages. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/id.h"
#include "store/node_db.h"

enum { MESSAGES_MAX = 2000 * 1000, BATCH = 10 * 1000, BODY_MAX = 65536, ID_STEP_MS = 1 };

struct fill {
	struct db *db;
	int64_t count, bytes, domains, now_ms;
	bool due;
	char body[BODY_MAX];
};

static void stop(const struct err *err)
{
	fprintf(stderr, "queue_fill: %s\n", err->log);
	exit(1);
}

static void put_message(struct fill *f, int64_t id, int64_t i)
{
	struct err err;
	char text[100], message_id[100];
	struct db_query *q = db_query(f->db,
		"INSERT INTO message (id, received_ms, open, recipients, sender, sender_domain, envid, ret,"
		" body_type, body_kind, size, has_8bit, longest_line, prefix, message_id, session, "
		"listener,"
		" client, helo, tls) VALUES ($1, $2, 1, 1, $3, $4, '', 0, 0, 0, $5, 0, 70, $6, $7, $1, 0,"
		" '192.0.2.7', 'client.example', 'TLSv1.3')");
	snprintf(text, sizeof text, "sender%" PRId64 "@s%" PRId64 ".example", i % 997, i % 100);
	snprintf(message_id, sizeof message_id, "<%" PRIx64 ".%" PRId64 "@client.example>", id, i);
	struct str sender = str_from_c(text);
	db_bind_int(q, 1, id);
	db_bind_int(q, 2, id_time_ms((uint64_t)id));
	db_bind_text(q, 3, sender);
	db_bind_text(q, 4, str_skip(sender, (size_t)str_find(sender, '@') + 1));
	db_bind_int(q, 5, f->bytes);
	db_bind_blob(q, 6,
		STR("Received: from client.example (client.example [192.0.2.7])\r\n\tby mx.example.net "
			"with "
			"ESMTPS id 1M804XXXXXXXX;\r\n\tSat, 21 Nov 2026 19:13:33 +0000\r\n"));
	db_bind_text(q, 7, str_from_c(message_id));
	if (db_run(q, &err))
		stop(&err);
	q = db_query(f->db, "INSERT INTO body (id, data) VALUES ($1, $2)");
	db_bind_int(q, 1, id);
	db_bind_blob(q, 2, str_make(f->body, (size_t)f->bytes));
	if (db_run(q, &err))
		stop(&err);
}

static void put_recipient(struct fill *f, int64_t id, int64_t i)
{
	struct err err;
	char address[100];
	/* A prime step, so that neighbours go to different domains. */
	int64_t domain = i * 7919 % f->domains;
	struct db_query *q = db_query(f->db,
		"INSERT INTO recipient (message, n, state, next_ms, attempts, last_ms, notify, address,"
		" domain, orcpt, enhanced, text, cause, remote_host, remote_address)"
		" VALUES ($1, 0, $2, $3, 1, $4, 0, $5, $6, '', '4.4.1', 'Connection refused',"
		" 'connect.refused', 'mx.example', '192.0.2.25:25')");
	snprintf(address, sizeof address, "user%" PRId64 "@d%" PRId64 ".example", i, domain);
	struct str to = str_from_c(address);
	db_bind_int(q, 1, id);
	db_bind_int(q, 2, RECIPIENT_DEFERRED);
	db_bind_int(q, 3, f->due ? f->now_ms : f->now_ms + 600000 + i * 7919 % 3000000);
	db_bind_int(q, 4, f->now_ms);
	db_bind_text(q, 5, to);
	db_bind_text(q, 6, str_skip(to, (size_t)str_find(to, '@') + 1));
	if (db_run(q, &err))
		stop(&err);
}

/* Ids as if the mail had come a message a millisecond, until a moment ago. */
static void fill(struct fill *f)
{
	struct err err;
	for (int64_t i = 0; i < f->count; i++) {
		int64_t id = (int64_t)id_first(f->now_ms - (f->count - i) * ID_STEP_MS) + i % 1000;
		if (i % BATCH == 0 && db_exec(f->db, "BEGIN", &err))
			stop(&err);
		put_message(f, id, i);
		put_recipient(f, id, i);
		if ((i % BATCH == BATCH - 1 || i == f->count - 1) && db_exec(f->db, "COMMIT", &err))
			stop(&err);
		if (i % BATCH == BATCH - 1 && db_checkpoint(f->db, true, &err))
			stop(&err);
	}
	if (db_checkpoint(f->db, true, &err))
		stop(&err);
}

static int64_t number(const char *text, uint64_t max)
{
	uint64_t value;
	if (str_to_u64(str_from_c(text), max, &value) && value)
		return (int64_t)value;
	fprintf(stderr, "queue_fill: %s is no number from 1 to %" PRIu64 "\n", text, max);
	exit(2);
}

int main(int argc, char **argv)
{
	static struct fill f = {.bytes = 4096, .domains = 1000};
	struct err err;
	if (argc < 3) {
		fprintf(stderr, "usage: queue_fill HOME MESSAGES [BYTES [DOMAINS [DUE]]]\n");
		return 2;
	}
	f.count = number(argv[2], MESSAGES_MAX);
	if (argc > 3)
		f.bytes = number(argv[3], BODY_MAX);
	if (argc > 4)
		f.domains = number(argv[4], MESSAGES_MAX);
	f.due = argc > 5;
	f.now_ms = clock_wall_ms();
	for (size_t i = 0; i < BODY_MAX; i++)
		f.body[i] = i % 72 == 70 ? '\r' : i % 72 == 71 ? '\n' : (char)('a' + i % 23);
	f.db = node_db_open(argv[1], &err);
	if (!f.db || db_exec(f.db, "PRAGMA synchronous = OFF", &err))
		stop(&err);
	fill(&f);
	db_close(f.db);
	return 0;
}
