/* What admin reads of messages and records. Runs on the loop's thread with the reader's connection. */
#include "store/store_parts.h"

#include <stdlib.h>

#include "base/id.h"
#include "store/watch.h"
#include "wire/smtp_address.h"

/* ---- messages --------------------------------------------------------------------------------- */

int store_message(
	struct store *s, uint64_t id, struct arena *arena, struct message_row *ret, struct err *err)
{
	struct db_query *q = db_query(s->reader,
		"SELECT session, parent, received_ms, finished_ms, sender, envid, prefix, message_id,"
		" client, helo, tls, listener, body_kind, size, recipients, deaths, has_8bit"
		" FROM message WHERE id = $1");
	db_bind_int(q, 1, (int64_t)id);
	int step = db_step(q, err);
	if (step <= 0)
		return step;
	*ret = (struct message_row){.id = id,
		.session = (uint64_t)db_int(q, 0),
		.parent = (uint64_t)db_int(q, 1),
		.received_ms = db_int(q, 2),
		.finished_ms = db_int(q, 3),
		.sender = arena_dup(arena, db_str(q, 4)),
		.envid = arena_dup(arena, db_str(q, 5)),
		.prefix = arena_dup(arena, db_str(q, 6)),
		.message_id = arena_dup(arena, db_str(q, 7)),
		.client = arena_dup(arena, db_str(q, 8)),
		.helo = arena_dup(arena, db_str(q, 9)),
		.tls = arena_dup(arena, db_str(q, 10)),
		.listener = (enum listener)db_int(q, 11),
		.body_kind = (enum body_kind)db_int(q, 12),
		.size = (uint64_t)db_int(q, 13),
		.recipient_count = (uint32_t)db_int(q, 14),
		.deaths = (uint32_t)db_int(q, 15),
		.has_8bit = db_int(q, 16) != 0};
	db_end(q);
	return 1;
}

/* ---- finding ---------------------------------------------------------------------------------- */

/* Two queries that each give ids, newest first, merged into ids[], each id once. */
struct found {
	uint64_t *ids;
	uint32_t n, limit;
};

static int newest_first(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? 1 : x > y ? -1 : 0;
}

static int collect(struct db_query *q, struct found *f, struct err *err)
{
	int step = 0;
	uint32_t room = f->limit; /* of this query; the array has room for two */
	while (room && (step = db_step(q, err)) > 0) {
		f->ids[f->n++] = (uint64_t)db_int(q, 0);
		room--;
	}
	if (step > 0)
		db_end(q);
	return step < 0 ? -1 : 0;
}

static int find_address(struct store *s, struct str address, struct found *f, struct err *err)
{
	struct mailbox m;
	char lower[SMTP_DOMAIN_MAX];
	if (!mailbox_from_str(address, &m) || m.domain.n == 0)
		return 0;
	struct str domain = domain_lower(m.domain, lower);
	struct db_query *q = db_query(s->reader,
		"SELECT DISTINCT message FROM recipient WHERE domain = $1 AND lower(address) = lower($2)"
		" ORDER BY message DESC LIMIT $3");
	db_bind_text(q, 1, domain);
	db_bind_text(q, 2, address);
	db_bind_int(q, 3, f->limit);
	if (collect(q, f, err))
		return -1;
	q = db_query(s->reader,
		"SELECT id FROM message WHERE sender_domain = $1 AND sender_domain <> ''"
		" AND lower(sender) = lower($2) ORDER BY id DESC LIMIT $3");
	db_bind_text(q, 1, domain);
	db_bind_text(q, 2, address);
	db_bind_int(q, 3, f->limit);
	return collect(q, f, err);
}

static int find_domain(struct store *s, struct str name, struct found *f, struct err *err)
{
	struct db_query *q = db_query(s->reader,
		"SELECT DISTINCT message FROM recipient WHERE domain = lower($1)"
		" ORDER BY message DESC LIMIT $2");
	db_bind_text(q, 1, name);
	db_bind_int(q, 2, f->limit);
	if (collect(q, f, err))
		return -1;
	q = db_query(s->reader,
		"SELECT id FROM message WHERE sender_domain = lower($1) AND sender_domain <> ''"
		" ORDER BY id DESC LIMIT $2");
	db_bind_text(q, 1, name);
	db_bind_int(q, 2, f->limit);
	return collect(q, f, err);
}

static int find_message_id(struct store *s, struct str id, struct found *f, struct err *err)
{
	struct db_query *q = db_query(s->reader,
		"SELECT id FROM message WHERE message_id = $1 AND message_id <> '' ORDER BY id DESC LIMIT "
		"$2");
	db_bind_text(q, 1, id);
	db_bind_int(q, 2, f->limit);
	return collect(q, f, err);
}

static int find_queue_id(struct store *s, struct str text, struct found *f, struct err *err)
{
	uint64_t id;
	if (!id_parse(text, &id))
		return 0;
	struct db_query *q = db_query(s->reader, "SELECT id FROM message WHERE id = $1");
	db_bind_int(q, 1, (int64_t)id);
	return collect(q, f, err);
}

static void sort_and_cut(struct found *f)
{
	uint32_t kept = 0;
	qsort(f->ids, f->n, sizeof *f->ids, newest_first);
	for (uint32_t i = 0; i < f->n && kept < f->limit; i++)
		if (kept == 0 || f->ids[kept - 1] != f->ids[i])
			f->ids[kept++] = f->ids[i];
	f->n = kept;
}

/* The first reading of `what` that finds something wins. */
int store_find(struct store *s, struct str what, uint32_t limit, struct arena *arena,
	uint64_t **ret_ids, uint32_t *ret_n, struct err *err)
{
	struct found f = {.ids = arena_alloc(arena, 2 * (size_t)limit * sizeof *f.ids), .limit = limit};
	bool brackets = what.n > 2 && what.p[0] == '<' && what.p[what.n - 1] == '>';
	struct str inner = brackets ? str_make(what.p + 1, what.n - 2) : what;
	struct str message_id = brackets ? what : arena_fmt(arena, "<%.*s>", STR_ARG(what));
	/* Records that wait for a batch belong to the answer. */
	if (writer_flush(s->writer, err))
		return -1;
	if (find_queue_id(s, inner, &f, err) || (f.n == 0 && find_message_id(s, message_id, &f, err)) ||
		(f.n == 0 && find_address(s, inner, &f, err)) ||
		(f.n == 0 && find_domain(s, inner, &f, err)))
		return -1;
	sort_and_cut(&f);
	*ret_ids = f.ids;
	*ret_n = f.n;
	return 0;
}

/* ---- records ---------------------------------------------------------------------------------- */

static struct record *unpack(struct str data, struct arena *arena)
{
	struct record *r = arena_alloc(arena, sizeof *r);
	struct xfer x = xfer_reader(arena_dup(arena, data), arena);
	xfer_record(&x, r);
	return xfer_done(&x) ? r : NULL;
}

/* Sessions without mail by peer: `peer` is an address, its port and name follow it in the column. */
static struct db_query *records_of_peer(struct store *s, struct str peer, uint32_t limit)
{
	struct db_query *q = db_query(s->reader,
		"SELECT data FROM record WHERE messages = 0 AND kind = $1 AND peer >= $2"
		" AND peer < $2 || char(1114111) ORDER BY id DESC LIMIT $3");
	db_bind_int(q, 1, RECORD_SESSION);
	db_bind_text(q, 2, peer);
	db_bind_int(q, 3, limit);
	return q;
}

int store_records(struct store *s, uint64_t message, struct str peer, uint32_t limit,
	struct arena *arena, struct record ***ret, uint32_t *ret_n, struct err *err)
{
	struct record **list = arena_alloc(arena, limit * sizeof(struct record *));
	struct db_query *q;
	uint32_t n = 0;
	int step = 0;
	if (message) {
		q = db_query(s->reader,
			"SELECT data FROM record_message JOIN record ON record.id = record_message.record"
			" WHERE record_message.message = $1 ORDER BY record.at_ms, record.id LIMIT $2");
		db_bind_int(q, 1, (int64_t)message);
		db_bind_int(q, 2, limit);
	} else {
		q = records_of_peer(s, peer, limit);
	}
	while (n < limit && (step = db_step(q, err)) > 0)
		if ((list[n] = unpack(db_str(q, 0), arena)))
			n++;
	if (step > 0)
		db_end(q);
	*ret = list;
	*ret_n = n;
	return step < 0 ? -1 : 0;
}

/* ---- counters --------------------------------------------------------------------------------- */

void store_count(struct store *s, struct store_counters *ret)
{
	struct queue_counts c;
	queue_count(s->queue, &c);
	*ret = (struct store_counters){.attempts = s->attempts,
		.accepted = store_rate(s, WATCH_ACCEPTED).total,
		.delivered = store_rate(s, WATCH_DELIVERED).total,
		.bounced = store_rate(s, WATCH_BOUNCED).total,
		.expired = store_rate(s, WATCH_EXPIRED).total};
	ret->ready = c.ready;
	ret->active = c.active;
	ret->deferred = c.deferred;
	ret->held = c.held;
	ret->messages = c.messages;
	ret->destinations = c.destinations;
	ret->loading = s->loading;
	ret->records_thinned = recorder_thinned(s->recorder);
	struct writer_room room;
	writer_room(s->writer, &room);
	ret->disk_full = room.full;
	ret->disk_low = room.low;
	ret->disk_available = room.available;
	ret->disk_floor = room.floor;
}
