#include "store/attempt.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "mail/bounce.h"

/* ---- loading ---------------------------------------------------------------------------------- */

static int load_message(struct attempt *a, enum body_kind *ret_kind, struct err *err)
{
	struct ask_deliver *d = &a->question;
	struct db_query *q = db_query(a->store->reader,
		"SELECT sender, envid, ret, body_type, prefix, size, has_8bit, body_kind, received_ms,"
		" queued_ms"
		" FROM message WHERE id = $1");
	db_bind_int(q, 1, (int64_t)a->work.message);
	int step = db_step(q, err);
	if (step <= 0)
		return step < 0 ? -1 : err_temp(err, NULL, "the row of this message is missing");
	d->queue_id = a->work.message;
	d->envelope.sender = arena_dup(a->arena, db_str(q, 0));
	d->envelope.envid = arena_dup(a->arena, db_str(q, 1));
	d->envelope.ret = (enum dsn_ret)db_int(q, 2);
	d->envelope.body_type = (enum body_type)db_int(q, 3);
	d->prefix = arena_dup(a->arena, db_str(q, 4));
	d->body_size = (uint64_t)db_int(q, 5);
	d->has_8bit = db_int(q, 6) != 0;
	*ret_kind = (enum body_kind)db_int(q, 7);
	a->received_ms = db_int(q, 8);
	a->queued_ms = db_int(q, 9);
	db_end(q);
	return 0;
}

static int load_recipient(struct attempt *a, uint32_t i, struct str *ret_domain, struct err *err)
{
	struct envelope_recipient *r = &a->question.envelope.recipients[i];
	struct db_query *q = db_query(a->store->reader,
		"SELECT address, orcpt, notify, attempts, state, domain FROM recipient"
		" WHERE message = $1 AND n = $2");
	db_bind_int(q, 1, (int64_t)a->work.message);
	db_bind_int(q, 2, a->work.n[i]);
	int step = db_step(q, err);
	if (step <= 0)
		return step < 0 ? -1 : err_temp(err, NULL, "the row of a recipient is missing");
	r->address = arena_dup(a->arena, db_str(q, 0));
	r->orcpt = arena_dup(a->arena, db_str(q, 1));
	r->notify = (uint8_t)db_int(q, 2);
	a->attempts[i] = (uint32_t)db_int(q, 3);
	a->before[i] = (enum recipient_state)db_int(q, 4);
	if (i == 0)
		*ret_domain = arena_dup(a->arena, db_str(q, 5));
	db_end(q);
	return 0;
}

static int load_body(struct attempt *a, enum body_kind kind, struct err *err)
{
	if (kind == BODY_FILE)
		return spool_read(a->store->spool, a->work.message, &a->body_fd, err);
	struct db_query *q = db_query(a->store->reader, "SELECT data FROM body WHERE id = $1");
	db_bind_int(q, 1, (int64_t)a->work.message);
	int step = db_step(q, err);
	if (step <= 0)
		return step < 0 ? -1 : err_temp(err, NULL, "the body of this message is missing");
	struct str body = db_str(q, 0);
	if (body.n <= BODY_PACKET_MAX)
		a->question.body = arena_dup(a->arena, body);
	else
		a->body_fd = body_from_str(body, "letter", err);
	db_end(q);
	return body.n > BODY_PACKET_MAX && a->body_fd < 0 ? -1 : 0;
}

static int load_rows(struct attempt *a, struct str *ret_domain, struct err *err)
{
	enum body_kind kind = BODY_GONE;
	for (uint32_t i = 0; i < a->work.count; i++)
		if (load_recipient(a, i, ret_domain, err))
			return -1;
	return load_message(a, &kind, err) || load_body(a, kind, err) ? -1 : 0;
}

int attempt_load(struct attempt *a, struct err *err)
{
	struct db *reader = a->store->reader;
	struct str domain = STR("");
	uint32_t count = a->work.count;
	struct envelope *e = &a->question.envelope;
	e->recipients = arena_alloc(a->arena, count * sizeof *e->recipients);
	e->recipient_count = count;
	/* Locks are taken and changes looked for once, not for each row. */
	if (db_run(db_query(reader, "BEGIN"), err))
		return -1;
	int failed = load_rows(a, &domain, err);
	if (db_run(db_query(reader, "COMMIT"), failed ? NULL : err) || failed)
		return -1;
	const struct site *site = a->store->site;
	struct route route = route_find(&site->routes, site->conf, domain);
	/* The site may be replaced while relay works. */
	route.connector = arena_dup(a->arena, route.connector);
	route.host = arena_dup(a->arena, route.host);
	route.domain = domain;
	route.sni = arena_dup(a->arena, route.sni);
	route.helo = arena_dup(a->arena, route.helo);
	route.trust = arena_dup(a->arena, route.trust);
	a->question.route = route;
	return 0;
}

static int load_result(struct attempt *a, uint32_t i, struct err *err)
{
	struct recipient_result *r = &a->results[i];
	struct db_query *q = db_query(a->store->reader,
		"SELECT code, enhanced, text, command, cause, remote_host, remote_address, tls"
		" FROM recipient WHERE message = $1 AND n = $2");
	db_bind_int(q, 1, (int64_t)a->work.message);
	db_bind_int(q, 2, a->work.n[i]);
	int step = db_step(q, err);
	if (step <= 0)
		return step < 0 ? -1 : err_temp(err, NULL, "the row of a recipient is missing");
	*r = (struct recipient_result){.outcome = DELIVERY_TEMP,
		.code = (uint16_t)db_int(q, 0),
		.enhanced = arena_dup(a->arena, db_str(q, 1)),
		.text = arena_dup(a->arena, db_str(q, 2)),
		.command = arena_dup(a->arena, db_str(q, 3)),
		.cause = arena_dup(a->arena, db_str(q, 4)),
		.remote_host = arena_dup(a->arena, db_str(q, 5)),
		.remote_address = arena_dup(a->arena, db_str(q, 6)),
		.tls = arena_dup(a->arena, db_str(q, 7))};
	db_end(q);
	return 0;
}

int attempt_load_results(struct attempt *a, const struct recipient_result *trouble, struct err *err)
{
	for (uint32_t i = 0; i < a->work.count; i++) {
		if (load_result(a, i, err))
			return -1;
		if (a->attempts[i] == 0 || a->results[i].cause.n == 0)
			a->results[i] = *trouble;
	}
	return 0;
}

/* ---- bounces ---------------------------------------------------------------------------------- */

/* Whether the sender is to hear of this recipient, and what. A failure unless he said otherwise;
 * success only on request, and from us only if the next hop will not tell (RFC 3461 5.2.2). */
static bool has_news(const struct attempt *a, uint32_t i, enum bounce_action *ret)
{
	uint8_t notify = a->question.envelope.recipients[i].notify;
	enum recipient_state state = a->outcomes[i].state;
	*ret = state == RECIPIENT_DELIVERED ? BOUNCE_RELAYED : BOUNCE_FAILED;
	if (state == RECIPIENT_DELIVERED)
		return notify & NOTIFY_SUCCESS && !a->results[i].dsn;
	return (state == RECIPIENT_BOUNCED || state == RECIPIENT_EXPIRED) &&
		(notify == 0 || notify & NOTIFY_FAILURE);
}

/* Those of whom the sender is to hear; how many. *ret_failed: one of them failed. */
static size_t recipients_to_tell(
	const struct attempt *a, struct bounce_recipient *ret, bool *ret_failed)
{
	size_t n = 0;
	*ret_failed = false;
	for (uint32_t i = 0; i < a->work.count; i++) {
		const struct envelope_recipient *r = &a->question.envelope.recipients[i];
		const struct recipient_result *said = &a->results[i];
		enum bounce_action action;
		if (!has_news(a, i, &action))
			continue;
		*ret_failed |= action == BOUNCE_FAILED;
		ret[n++] = (struct bounce_recipient){.action = action,
			.address = r->address,
			.orcpt = r->orcpt,
			.code = said->code,
			.enhanced = said->enhanced,
			.text = said->text,
			.command = said->command,
			.cause = said->cause,
			.remote_host = said->remote_host,
			.remote_address = said->remote_address,
			.tls = said->tls,
			.attempts = a->attempts[i] + !a->stuck,
			.last_ms = a->stuck && !a->attempts[i] ? 0 : a->now_ms};
	}
	return n;
}

static void fill_bounce(struct attempt *a, struct str text, bool has_8bit)
{
	struct envelope *e = arena_alloc(a->arena, sizeof *e);
	e->recipients = arena_alloc(a->arena, sizeof *e->recipients);
	e->recipients[0].address = a->question.envelope.sender;
	e->recipient_count = 1;
	e->body_type = has_8bit ? BODY_8BITMIME : BODY_7BIT;
	struct letter *l = &a->bounce;
	l->parent = a->work.message;
	l->received_ms = a->now_ms;
	l->queued_ms = store_queue_now(a->store);
	l->envelope = e;
	l->body = text;
	l->size = text.n;
	l->has_8bit = has_8bit;
	l->message_id = l->prefix = l->client = l->helo = l->tls = STR("");
}

static void write_bounce(struct attempt *a, const struct bounce_recipient *told, size_t count,
	bool failed, struct str body)
{
	char id[ID_TEXT], bounce_id[ID_TEXT];
	const struct ask_deliver *d = &a->question;
	struct buf text;
	struct err err = {0};
	bool has_8bit;
	a->bounce = (struct letter){.id = id_make()};
	const struct bounce b = {.hostname = a->store->site->conf->hostname,
		.id = str_from_c(id_format(a->bounce.id, bounce_id)),
		.now_ms = a->now_ms,
		.sender = d->envelope.sender,
		.queue_id = str_from_c(id_format(a->work.message, id)),
		.envid = d->envelope.envid,
		.arrived_ms = a->received_ms,
		.prefix = d->prefix,
		.body = body,
		.full = failed && d->envelope.ret == RET_FULL, /* RFC 3461 4.3 */
		.recipients = told,
		.recipient_count = count};
	buf_init(&text, BOUNCE_MAX);
	if (bounce_write(&b, &text, &has_8bit)) {
		fill_bounce(a, arena_dup(a->arena, buf_str(&text)), has_8bit);
		a->has_bounce = letter_check(&a->bounce, a->arena, &err) == 0;
	}
	buf_done(&text);
	if (a->has_bounce)
		log_info("deliver.bounce", "bounce=%s to=<%.*s> recipients=%zu", bounce_id,
			STR_ARG(d->envelope.sender), count);
	else
		log_error("deliver.bounce", "no bounce could be made: %s", err.log);
}

void attempt_bounce(struct attempt *a)
{
	bool failed;
	struct bounce_recipient *told = arena_alloc(a->arena, a->work.count * sizeof *told);
	size_t count = recipients_to_tell(a, told, &failed);
	struct err err = {0};
	struct str body = a->question.body;
	if (count == 0)
		return;
	/* RFC 5321 6.1: a bounce that comes back is not answered. Its records tell what happened. */
	if (a->question.envelope.sender.n == 0) {
		if (failed)
			log_warn("deliver.double-bounce", "to=<%.*s> cause=%.*s", STR_ARG(told[0].address),
				STR_ARG(told[0].cause));
		return;
	}
	bool mapped = a->body_fd >= 0 && body_map_file(a->body_fd, UINT32_MAX, &body, &err) == 0;
	write_bounce(a, told, count, failed, body);
	if (mapped)
		body_unmap(body);
}
