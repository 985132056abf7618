#include "role/relay_deliver.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "mail/cause.h"
#include "role/relay_route.h"
#include "wire/domain_name.h"

struct attempt {
	const struct relay_means *means;
	const struct ask_deliver *message;
	struct str body;
	struct arena *arena;
	struct record *record;
	struct recipient_result *results; /* of all recipients */
	bool *decided;
	uint32_t left; /* recipients not decided */
	unsigned tries;
	int64_t until_ms; /* steady clock */
};

/* ---- the envelope ---- */

/* A quoted local part may hold blanks. */
static bool is_address(struct str s)
{
	return s.n <= ADDRESS_MAX && str_is_print(s);
}

static bool is_word(struct str s, size_t max)
{
	return s.n <= max && str_is_graph(s);
}

int relay_check_message(const struct ask_deliver *m, struct err *err)
{
	const struct envelope *e = &m->envelope;
	const struct route *route = &m->route;
	bool clean = is_address(e->sender) && is_word(e->envid, ENVID_MAX) &&
		is_word(route->helo, DOMAIN_NAME_MAX) && is_word(route->sni, DOMAIN_NAME_MAX) &&
		is_word(route->host, DOMAIN_NAME_MAX) && is_word(route->domain, ADDRESS_MAX);
	for (uint32_t i = 0; i < e->recipient_count; i++)
		clean = clean && e->recipients[i].address.n && is_address(e->recipients[i].address) &&
			is_word(e->recipients[i].orcpt, ORCPT_MAX);
	if (!clean || !e->recipient_count || !route->port || (!route->host.n && !route->domain.n))
		return err_perm(err, "internal error", "deliver: this envelope or route cannot be sent");
	return 0;
}

/* ---- results ---- */

/* How much a failure tells: what a server replied more than a session that broke, that more than a
 * host we did not even reach. */
static int weight(uint16_t code, struct str cause)
{
	if (code)
		return 2;
	return !str_starts(cause, STR("connect.")) && !str_starts(cause, STR("dns."));
}

/* Of two failures of the same recipient: what may pass before what will not, then what tells more,
 * then what came last. */
static bool says_more(const struct recipient_result *old, const struct smtp_failure *new)
{
	if (!old->cause.n)
		return true;
	if ((old->outcome == DELIVERY_PERM) != (new->outcome == DELIVERY_PERM))
		return old->outcome == DELIVERY_PERM;
	return weight(new->code, new->cause) >= weight(old->code, old->cause);
}

static void note_failure(
	struct attempt *a, const struct smtp_failure *f, struct str host, struct str address)
{
	for (uint32_t i = 0; i < a->message->envelope.recipient_count; i++)
		if (!a->decided[i] && says_more(&a->results[i], f))
			a->results[i] = (struct recipient_result){.outcome = f->outcome,
				.code = f->code,
				.enhanced = f->enhanced,
				.text = f->text,
				.command = f->command,
				.cause = f->cause,
				.remote_host = host,
				.remote_address = address,
				.tls = f->tls};
}

static bool is_final(const struct recipient_result *r)
{
	bool may_have_arrived = !r->code && str_eq(r->command, STR("end of data"));
	return r->outcome != DELIVERY_TEMP || may_have_arrived;
}

/* ---- one connection ---- */

struct place {
	const struct relay_host *host;
	struct str address; /* "192.0.2.1:25", "[2001:db8::1]:25" */
	struct sockaddr_storage sa;
	socklen_t sa_len;
	struct str key; /* of connections that may be shared */
};

static struct place place_make(
	struct attempt *a, const struct relay_host *host, const struct ip *ip)
{
	const struct route *route = &a->message->route;
	struct place place = {.host = host};
	char text[IP_PORT_TEXT];
	place.sa_len = ip_to_sockaddr(ip, route->port, &place.sa);
	place.address = arena_dup(a->arena, str_from_c(ip_port_format(ip, route->port, text)));
	place.key = arena_fmt(a->arena, "%.*s\n%.*s\n%s\n%.*s\n%.*s\n%.*s\n%llu %llu\n%.*s",
		STR_ARG(place.address), STR_ARG(host->name), tls_level_name(route->tls),
		STR_ARG(route->sni), STR_ARG(route->helo), STR_ARG(route->connector),
		(unsigned long long)a->means->conf->revision, (unsigned long long)a->means->trust_revision,
		STR_ARG(route->trust));
	return place;
}

static struct smtp_failure connect_failure(struct attempt *a, int error, const struct err *err)
{
	const char *cause = error == ECONNREFUSED           ? "connect.refused"
		: error == ETIMEDOUT                            ? "connect.timeout"
		: error == ENETUNREACH || error == EHOSTUNREACH ? "connect.unreachable"
														: "connect.failed";
	return (struct smtp_failure){.outcome = DELIVERY_TEMP,
		.enhanced = arena_fmt(a->arena, "4.%s", cause_find(str_from_c(cause))->enhanced),
		.text = arena_dup(a->arena, str_from_c(err->log)),
		.command = STR("connect"),
		.cause = str_from_c(cause)};
}

static struct stream *dial(struct attempt *a, const struct place *place, struct smtp_failure *ret)
{
	struct err err;
	err_clear(&err);
	record_add(
		a->record, EVENT_CONNECT, "%.*s %.*s", STR_ARG(place->address), STR_ARG(place->host->name));
	struct stream *s = stream_connect((const struct sockaddr *)&place->sa, place->sa_len,
		(int64_t)a->means->conf->relay_connect_timeout_ms, &err);
	if (s)
		return s;
	*ret = connect_failure(a, errno, &err);
	record_add(a->record, EVENT_ERROR, "%s", err.log);
	return NULL;
}

/* A connector's anchors were read when it was made, so this says that somebody changed them since. */
static struct smtp_failure bad_trust(struct attempt *a, const struct err *err)
{
	record_add(a->record, EVENT_ERROR, "%s", err->log);
	return (struct smtp_failure){.outcome = DELIVERY_TEMP,
		.enhanced = STR("4.7.5"),
		.text = arena_dup(a->arena, str_from_c(err->log)),
		.command = STR("STARTTLS"),
		.cause = STR("tls.untrusted-root")};
}

/* A session that is ready for MAIL. With TLS_MAY a failed handshake is made good by a second
 * connection in clear. */
static struct smtp_client *open_session(
	struct attempt *a, const struct place *place, struct smtp_failure *ret)
{
	const struct route *route = &a->message->route;
	struct smtp_target target = {.host = place->host->name,
		.address = place->address,
		.sni = route->sni,
		.helo = route->helo,
		.tls = route->tls,
		.until_ms = a->until_ms};
	struct err err;
	err_clear(&err);
	if (route->tls != TLS_OFF) {
		target.tls_ctx = relay_tls_context(a->means->tls, route->tls, route->trust, &err);
		if (!target.tls_ctx) {
			*ret = bad_trust(a, &err);
			return NULL;
		}
	}
	for (;;) {
		struct stream *s = dial(a, place, ret);
		if (!s)
			return NULL;
		struct smtp_client *c =
			smtp_client_open(s, &target, a->means->conf, a->record, a->arena, ret);
		if (c || !ret->retry_in_clear)
			return c;
		target.in_clear = true;
	}
}

/* Sends to the recipients that are not decided yet, and decides what can be. */
static enum smtp_sent send_over(struct attempt *a, struct smtp_client *c)
{
	const struct envelope *all = &a->message->envelope;
	struct ask_deliver part = *a->message;
	uint32_t *which = arena_alloc(a->arena, a->left * sizeof *which);
	struct recipient_result *results = arena_alloc(a->arena, a->left * sizeof *results);
	part.envelope.recipients = arena_alloc(a->arena, a->left * sizeof *part.envelope.recipients);
	part.envelope.recipient_count = 0;
	for (uint32_t i = 0; i < all->recipient_count; i++)
		if (!a->decided[i]) {
			which[part.envelope.recipient_count] = i;
			part.envelope.recipients[part.envelope.recipient_count++] = all->recipients[i];
		}
	enum smtp_sent sent =
		smtp_client_send(c, &part, a->body, a->until_ms, a->record, a->arena, results);
	if (sent == SMTP_SENT_STALE)
		return sent;
	for (uint32_t i = 0; i < part.envelope.recipient_count; i++) {
		a->results[which[i]] = results[i];
		if (is_final(&results[i])) {
			a->decided[which[i]] = true;
			a->left--;
		}
	}
	return sent;
}

static void leave(
	struct attempt *a, const struct place *place, struct smtp_client *c, enum smtp_sent sent)
{
	if (sent == SMTP_SENT_OPEN)
		relay_pool_put(a->means->pool, place->key, c, (int64_t)a->means->conf->relay_idle_ms);
	else
		smtp_client_close(c);
}

static void describe_place(struct attempt *a, const struct place *place)
{
	a->record->peer =
		arena_fmt(a->arena, "%.*s %.*s", STR_ARG(place->address), STR_ARG(place->host->name));
}

/* An idle connection first: if it turns out dead before MAIL was answered, nobody need know. */
static bool try_idle(struct attempt *a, const struct place *place)
{
	struct smtp_client *c = relay_pool_take(a->means->pool, place->key);
	if (!c)
		return false;
	record_add(a->record, EVENT_CONNECT, "%.*s %.*s: an open connection is used again, %.*s",
		STR_ARG(place->address), STR_ARG(place->host->name), STR_ARG(smtp_client_tls(c)));
	enum smtp_sent sent = send_over(a, c);
	leave(a, place, c, sent);
	if (sent != SMTP_SENT_STALE)
		return true;
	record_add(a->record, EVENT_NOTE, "the open connection had ended; a new one is made");
	return false;
}

static void try_place(struct attempt *a, const struct place *place)
{
	struct smtp_failure failure;
	describe_place(a, place);
	if (try_idle(a, place))
		return;
	struct smtp_client *c = open_session(a, place, &failure);
	if (c)
		leave(a, place, c, send_over(a, c));
	else
		note_failure(a, &failure, place->host->name, place->address);
}

/* ---- the attempt ---- */

static void try_hosts(struct attempt *a, const struct relay_hosts *hosts)
{
	for (size_t h = 0; h < hosts->n && a->left; h++) {
		const struct relay_host *host = &hosts->at[h];
		if (!host->address_count)
			note_failure(a, &host->failure, host->name, STR(""));
		for (size_t i = 0; i < host->address_count && a->left; i++) {
			if (a->tries++ == RELAY_TRIES_MAX || clock_steady_ms() > a->until_ms) {
				record_add(
					a->record, EVENT_NOTE, "this attempt ends after %u connections", a->tries - 1);
				return;
			}
			struct place place = place_make(a, host, &host->addresses[i]);
			try_place(a, &place);
		}
	}
}

static void log_result(const struct attempt *a, uint32_t i)
{
	static const char *const events[] = {[DELIVERY_DONE] = "relay.deliver",
		[DELIVERY_TEMP] = "relay.defer",
		[DELIVERY_PERM] = "relay.bounce"};
	const struct recipient_result *r = &a->results[i];
	const struct route *route = &a->message->route;
	log_info(events[r->outcome],
		"to=<%.*s> domain=%.*s connector=%.*s host=%.*s address=%.*s tls=\"%.*s\" cause=%.*s "
		"code=%u enhanced=%.*s reply=\"%.*s\"",
		STR_ARG(a->message->envelope.recipients[i].address), STR_ARG(route->domain),
		STR_ARG(route->connector), STR_ARG(r->remote_host), STR_ARG(r->remote_address),
		STR_ARG(r->tls), STR_ARG(r->cause), r->code, STR_ARG(r->enhanced),
		STR_ARG(str_take(r->text, 300)));
}

static struct str pack_record(struct record *r, struct arena *arena)
{
	struct buf packed;
	buf_init(&packed, 4 * RECORD_BYTES);
	struct xfer x = xfer_writer(&packed);
	xfer_record(&x, r);
	struct str copy = xfer_done(&x) ? arena_dup(arena, buf_str(&packed)) : STR("");
	buf_done(&packed);
	return copy;
}

void relay_deliver(const struct relay_means *means, const struct ask_deliver *message,
	struct str body, struct arena *arena, struct ask_deliver_answer *ret)
{
	uint32_t n = message->envelope.recipient_count;
	struct attempt a = {.means = means,
		.message = message,
		.body = body,
		.arena = arena,
		.record = record_new(arena, RECORD_ATTEMPT, message->route.domain),
		.results = arena_alloc(arena, n * sizeof *a.results),
		.decided = arena_alloc(arena, n * sizeof *a.decided),
		.left = n,
		.until_ms = clock_steady_ms() + RELAY_ATTEMPT_MS};
	struct relay_lookup lookup = {means->resolver, means->conf, a.record, arena};
	struct relay_hosts hosts;
	struct smtp_failure failure;
	record_message(a.record, message->queue_id);
	id_format(message->queue_id, log_context()->message);
	if (relay_find_hosts(&lookup, &message->route, &hosts, &failure))
		try_hosts(&a, &hosts);
	else
		note_failure(&a, &failure, STR(""), STR(""));
	for (uint32_t i = 0; i < n; i++)
		log_result(&a, i);
	ret->results = a.results;
	ret->result_count = n;
	ret->record = pack_record(a.record, arena);
}
