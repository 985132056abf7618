#include "store/store_parts.h"
#include "store/watch.h"

#include "wire/smtp_address.h"

/* local@domain -> the domain in lower case, in `arena`. */
static bool domain_of(struct str address, struct arena *arena, struct str *ret)
{
	struct mailbox m;
	char lower[SMTP_DOMAIN_MAX];
	if (!mailbox_from_str(address, &m) || m.domain.n == 0)
		return false;
	*ret = arena_dup(arena, domain_lower(m.domain, lower));
	return ret->n > 0;
}

int letter_check(struct letter *l, struct arena *arena, struct err *err)
{
	const struct envelope *e = l->envelope;
	l->sender_domain = STR("");
	if (e->sender.n && !domain_of(e->sender, arena, &l->sender_domain))
		return err_perm(err, "temporary server trouble", "sender <%.*s> is no address",
			STR_ARG(str_take(e->sender, 100)));
	l->domains = arena_alloc(arena, e->recipient_count * sizeof *l->domains);
	for (uint32_t i = 0; i < e->recipient_count; i++)
		if (!domain_of(e->recipients[i].address, arena, &l->domains[i]))
			return err_perm(err, "temporary server trouble", "recipient <%.*s> is no address",
				STR_ARG(str_take(e->recipients[i].address, 100)));
	return 0;
}

static int insert_message(const struct letter *l, struct db *db, struct err *err)
{
	const struct envelope *e = l->envelope;
	struct db_query *q = db_query(db,
		"INSERT INTO message (id, received_ms, open, recipients, parent, sender, sender_domain,"
		" envid, ret, body_type, body_kind, size, has_8bit, longest_line, prefix, message_id,"
		" session, listener, client, helo, tls, queued_ms)"
		" VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,"
		" $18, $19, $20, $21)");
	db_bind_int(q, 1, (int64_t)l->id);
	db_bind_int(q, 2, l->received_ms);
	db_bind_int(q, 3, e->recipient_count);
	if (l->parent)
		db_bind_int(q, 4, (int64_t)l->parent);
	db_bind_text(q, 5, e->sender);
	db_bind_text(q, 6, l->sender_domain);
	db_bind_text(q, 7, e->envid);
	db_bind_int(q, 8, e->ret);
	db_bind_int(q, 9, e->body_type);
	db_bind_int(q, 10, l->in_file ? BODY_FILE : BODY_ROW);
	db_bind_int(q, 11, (int64_t)l->size);
	db_bind_int(q, 12, l->has_8bit);
	db_bind_int(q, 13, l->longest_line);
	db_bind_blob(q, 14, l->prefix);
	db_bind_text(q, 15, l->message_id);
	db_bind_int(q, 16, (int64_t)l->session);
	db_bind_int(q, 17, l->listener);
	db_bind_text(q, 18, l->client);
	db_bind_text(q, 19, l->helo);
	db_bind_text(q, 20, l->tls);
	db_bind_int(q, 21, l->queued_ms);
	return db_run(q, err);
}

static int insert_body(const struct letter *l, struct db *db, struct err *err)
{
	if (l->in_file)
		return 0;
	struct db_query *q = db_query(db, "INSERT INTO body (id, data) VALUES ($1, $2)");
	db_bind_int(q, 1, (int64_t)l->id);
	db_bind_blob(q, 2, l->body);
	return db_run(q, err);
}

int letter_insert(const struct letter *l, struct db *db, struct err *err)
{
	if (insert_message(l, db, err) || insert_body(l, db, err))
		return -1;
	for (uint32_t i = 0; i < l->envelope->recipient_count; i++) {
		const struct envelope_recipient *r = &l->envelope->recipients[i];
		struct db_query *q = db_query(db,
			"INSERT INTO recipient (message, n, state, next_ms, notify, address, domain, orcpt)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
		db_bind_int(q, 1, (int64_t)l->id);
		db_bind_int(q, 2, i);
		db_bind_int(q, 3, RECIPIENT_READY);
		db_bind_int(q, 4, l->received_ms);
		db_bind_int(q, 5, r->notify);
		db_bind_text(q, 6, r->address);
		db_bind_text(q, 7, l->domains[i]);
		db_bind_text(q, 8, r->orcpt);
		if (db_run(q, err))
			return -1;
	}
	return 0;
}

/* It may wait without an attempt of its own: the first recipient that does is noted. */
static void note_troubled(struct store *s, const struct letter *l)
{
	struct queue_entry e;
	bool relay = ask_link_alive(s->relay);
	for (uint32_t n = 0; queue_find(s->queue, l->id, n, &e); n = e.n + 1)
		if (!relay || e.trouble.cause.n) {
			watch_put_off(s, l->id, e.n);
			return;
		}
}

void letter_queue(struct store *s, const struct letter *l)
{
	uint32_t count = l->envelope->recipient_count;
	struct vec list;
	vec_init(&list, sizeof(struct queue_recipient));
	for (uint32_t i = 0; i < count; i++) {
		struct queue_recipient r = {
			.n = i, .state = RECIPIENT_READY, .next_ms = 0, .domain = l->domains[i]};
		vec_add(&list, &r);
	}
	queue_add(s->queue, l->id, 0, list.p, count);
	vec_done(&list);
	note_troubled(s, l);
	deliver_kick(s);
}
