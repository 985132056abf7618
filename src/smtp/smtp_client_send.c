/* smtp_client_send: mail transactions (RFC 5321 3.3), pipelined if the server offers it (RFC 2920).
 *
 * A recipient is `open` until something decides over it: its own refusal, one of MAIL or DATA, a
 * lost connection, or the reply to the end of data. Nothing is decided twice. */
#include "smtp/smtp_client.h"

#include <inttypes.h>

#include "io/fiber.h"
#include "smtp/smtp_client_session.h"
#include "wire/smtp_data.h"

struct transaction {
	struct smtp_client *c;
	const struct ask_deliver *message;
	struct str body;
	const struct envelope_recipient *recipients;
	uint32_t count;
	struct recipient_result *results;
	bool open[SMTP_CLIENT_RECIPIENTS];
	bool mail_answered;
};

/* ---- deciding ---- */

static void decide(struct transaction *t, uint32_t i, const struct smtp_failure *f)
{
	struct smtp_client *c = t->c;
	t->open[i] = false;
	t->results[i] = (struct recipient_result){.outcome = f->outcome,
		.code = f->code,
		.enhanced = f->enhanced,
		.text = f->text,
		.command = f->command,
		.cause = f->cause,
		.remote_host = arena_dup(c->texts, c->host),
		.remote_address = arena_dup(c->texts, c->address),
		.tls = arena_dup(c->texts, c->tls),
		.dsn = f->outcome == DELIVERY_DONE && c->offers.dsn};
}

static void decide_open(struct transaction *t, const struct smtp_failure *f)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->open[i])
			decide(t, i, f);
}

static bool any_open(const struct transaction *t)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (t->open[i])
			return true;
	return false;
}

/* ---- commands ---- */

/* mail = "MAIL FROM:<" reverse-path ">" [ SIZE ] [ BODY ] [ RET ] [ ENVID ]
 * (RFC 5321 4.1.1.2, 1870 3, 6152 2, 3461 4.3 and 4.4), each parameter only if it was offered. */
static void put_mail(struct transaction *t)
{
	struct smtp_client *c = t->c;
	const struct envelope *e = &t->message->envelope;
	struct buf line;
	buf_init(&line, 2048);
	buf_addf(&line, "MAIL FROM:<%.*s>", STR_ARG(e->sender));
	if (c->offers.size)
		buf_addf(&line, " SIZE=%" PRIu64, (uint64_t)(t->message->prefix.n + t->body.n));
	if (c->offers.eightbitmime && t->message->has_8bit)
		buf_add_c(&line, " BODY=8BITMIME");
	if (c->offers.dsn && e->ret != RET_UNSET)
		buf_addf(&line, " RET=%s", e->ret == RET_FULL ? "FULL" : "HDRS");
	if (c->offers.dsn && e->envid.n)
		buf_addf(&line, " ENVID=%.*s", STR_ARG(e->envid));
	smtp_client_put(c, "%.*s", STR_ARG(buf_str(&line)));
	buf_done(&line);
}

/* notify-esmtp-value = "NEVER" / 1#notify-list-element                          RFC 3461 4.1 */
static void add_notify(struct buf *line, uint8_t notify)
{
	static const struct {
		uint8_t bit;
		const char *name;
	} names[] = {{NOTIFY_SUCCESS, "SUCCESS"}, {NOTIFY_FAILURE, "FAILURE"}, {NOTIFY_DELAY, "DELAY"}};
	const char *before = " NOTIFY=";
	if (notify & NOTIFY_NEVER) {
		buf_add_c(line, " NOTIFY=NEVER");
		return;
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (notify & names[i].bit) {
			buf_addf(line, "%s%s", before, names[i].name);
			before = ",";
		}
}

static void put_rcpt(struct transaction *t, uint32_t i)
{
	const struct envelope_recipient *to = &t->recipients[i];
	struct buf line;
	buf_init(&line, 2048);
	buf_addf(&line, "RCPT TO:<%.*s>", STR_ARG(to->address));
	if (t->c->offers.dsn) {
		add_notify(&line, to->notify);
		if (to->orcpt.n)
			buf_addf(&line, " ORCPT=%.*s", STR_ARG(to->orcpt));
	}
	smtp_client_put(t->c, "%.*s", STR_ARG(buf_str(&line)));
	buf_done(&line);
}

/* ---- replies ---- */

static bool accepts(const struct smtp_client *c)
{
	return c->reply.code >= 200 && c->reply.code < 300;
}

/* False if the session is over. A refusal decides over all. */
static bool read_mail(struct transaction *t)
{
	struct smtp_failure failure;
	struct smtp_client *c = t->c;
	if (!smtp_client_reply(c, SMTP_MAIL, &failure)) {
		decide_open(t, &failure);
		return false;
	}
	t->mail_answered = true;
	if (!accepts(c)) {
		smtp_client_refused(c, SMTP_MAIL, &failure);
		decide_open(t, &failure);
	}
	return true;
}

static bool read_rcpt(struct transaction *t, uint32_t i)
{
	struct smtp_failure failure;
	if (!smtp_client_reply(t->c, SMTP_RCPT, &failure)) {
		decide_open(t, &failure);
		return false;
	}
	if (!accepts(t->c) && t->open[i]) {
		smtp_client_refused(t->c, SMTP_RCPT, &failure);
		decide(t, i, &failure);
	}
	return true;
}

static bool read_end_of_data(struct transaction *t)
{
	struct smtp_client *c = t->c;
	struct smtp_failure failure;
	if (!smtp_client_reply(c, SMTP_END_OF_DATA, &failure)) {
		decide_open(t, &failure);
		return false;
	}
	c->in_transaction = false;
	if (accepts(c)) {
		const char *enhanced = c->reply.enhanced[0] == '2' ? c->reply.enhanced : "2.0.0";
		failure = (struct smtp_failure){.outcome = DELIVERY_DONE,
			.code = (uint16_t)c->reply.code,
			.enhanced = arena_dup(c->texts, str_from_c(enhanced)),
			.text = smtp_client_reply_text(c),
			.command = str_from_c(smtp_client_command_name(SMTP_END_OF_DATA)),
			.cause = STR("")};
	} else {
		smtp_client_refused(c, SMTP_END_OF_DATA, &failure);
	}
	decide_open(t, &failure);
	return true;
}

/* ---- the message ---- */

/* The next piece of *rest, which moves. Between the pieces of a large message the other sessions have
 * their turn, even if this peer takes all we have. */
static struct str next_piece(struct str *rest)
{
	enum { PIECE = 1024 * 1024 };
	struct str piece = str_take(*rest, PIECE);
	*rest = str_skip(*rest, PIECE);
	if (rest->n)
		fiber_sleep("for the others to have their turn", 0);
	return piece;
}

static void put_stuffed(struct smtp_client *c, struct smtp_stuff *stuff, struct str content)
{
	while (content.n && !stream_dead(c->stream)) {
		struct str run, piece = next_piece(&content);
		while (smtp_stuff_write(stuff, &piece, &run))
			stream_put(c->stream, run);
	}
}

/* All of it is out when this returns true; so a connection lost before cannot have delivered it. */
static bool put_message(struct transaction *t)
{
	/* Bytes a millisecond: slower than 2 KB a second nobody may be for long. */
	enum { SLOWEST = 2 };
	struct smtp_client *c = t->c;
	struct str prefix = t->message->prefix;
	struct smtp_stuff stuff;
	struct err err;
	err_clear(&err);
	smtp_client_expect(c);
	smtp_client_patience(c, SMTP_BODY, (int64_t)((prefix.n + t->body.n) / SLOWEST));
	smtp_stuff_init(&stuff);
	put_stuffed(c, &stuff, prefix);
	put_stuffed(c, &stuff, t->body);
	stream_put(c->stream, smtp_stuff_end(&stuff));
	record_add(c->record, EVENT_SENT, "message of %zu bytes and .", prefix.n + t->body.n);
	if (stream_flush(c->stream, &err) == 0)
		return true;
	struct smtp_failure failure;
	smtp_client_lost(c, SMTP_BODY, &err, &failure);
	decide_open(t, &failure);
	return false;
}

/* DATA was sent. A server that says 354 although nobody is left to deliver to gets an empty message
 * (RFC 2920 3.1), whose fate does not matter. */
static bool finish_data(struct transaction *t)
{
	enum { GO_AHEAD = 354 };
	struct smtp_client *c = t->c;
	struct smtp_failure failure;
	if (!smtp_client_reply(c, SMTP_DATA, &failure)) {
		decide_open(t, &failure);
		return false;
	}
	if (c->reply.code != GO_AHEAD) {
		smtp_client_refused(c, SMTP_DATA, &failure);
		decide_open(t, &failure);
		return true;
	}
	if (any_open(t))
		return put_message(t) && read_end_of_data(t);
	smtp_client_expect(c);
	record_add(c->record, EVENT_SENT, ". (nobody is left to deliver to)");
	stream_put(c->stream, STR(".\r\n"));
	return read_end_of_data(t);
}

/* ---- the transaction ---- */

static void pipelined(struct transaction *t)
{
	put_mail(t);
	for (uint32_t i = 0; i < t->count; i++)
		put_rcpt(t, i);
	smtp_client_put(t->c, "DATA");
	if (!read_mail(t))
		return;
	for (uint32_t i = 0; i < t->count; i++)
		if (!read_rcpt(t, i))
			return;
	finish_data(t);
}

static void one_by_one(struct transaction *t)
{
	put_mail(t);
	if (!read_mail(t) || !any_open(t))
		return;
	for (uint32_t i = 0; i < t->count; i++) {
		put_rcpt(t, i);
		if (!read_rcpt(t, i))
			return;
	}
	if (!any_open(t))
		return;
	smtp_client_put(t->c, "DATA");
	finish_data(t);
}

/* Ends what a transaction before left open. */
static bool reset(struct transaction *t)
{
	struct smtp_client *c = t->c;
	struct smtp_failure failure;
	if (!c->in_transaction)
		return true;
	smtp_client_put(c, "RSET");
	if (smtp_client_reply(c, SMTP_RSET, &failure)) {
		if (accepts(c)) {
			c->in_transaction = false;
			return true;
		}
		c->closing = true;
		smtp_client_fail(c, SMTP_RSET, DELIVERY_TEMP, "peer.protocol", &failure,
			"RSET, which may not be refused, was answered with %u", c->reply.code);
	}
	decide_open(t, &failure);
	return false;
}

static void transact(struct transaction *t)
{
	if (!reset(t))
		return;
	t->c->in_transaction = true;
	/* Commands that fill the output buffer are sent before the first reply is waited for. */
	smtp_client_patience(t->c, SMTP_MAIL, 0);
	if (t->c->offers.pipelining)
		pipelined(t);
	else
		one_by_one(t);
}

/* ---- what can be told before a word is said ---- */

/* Lines end with CRLF, and CR and LF occur nowhere else: what breaks this cannot be sent by DATA
 * without meaning something else to the next server (RFC 5321 2.3.8). */
static bool lines_are_strict(struct str s)
{
	size_t ends = 0, returns = 0;
	for (struct str rest = s; rest.n;) {
		struct str piece = next_piece(&rest);
		const char *p, *end = piece.p + piece.n;
		for (p = piece.p; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++, ends++)
			if (p == s.p || p[-1] != '\r')
				return false;
		for (p = piece.p; p < end && (p = memchr(p, '\r', (size_t)(end - p))); p++)
			returns++;
	}
	return returns == ends;
}

static bool refuse_unsaid(struct transaction *t)
{
	struct smtp_client *c = t->c;
	struct smtp_failure failure;
	uint64_t size = t->message->prefix.n + t->body.n, most = c->offers.size_max;
	if (c->offers.size && most && size > most)
		smtp_client_fail(c, SMTP_MAIL, DELIVERY_PERM, "reply.size", &failure,
			"the message has %" PRIu64 " bytes, %.*s [%.*s] takes at most %" PRIu64, size,
			STR_ARG(c->host), STR_ARG(c->address), most);
	else if (!lines_are_strict(t->message->prefix) || !lines_are_strict(t->body))
		smtp_client_fail(c, SMTP_DATA, DELIVERY_PERM, "local.line-ends", &failure,
			"the message holds a CR or LF that ends no line and cannot be sent by DATA");
	else
		return false;
	decide_open(t, &failure);
	return true;
}

static bool asks_for_dsn(const struct envelope *e)
{
	if (e->ret != RET_UNSET || e->envid.n)
		return true;
	for (uint32_t i = 0; i < e->recipient_count; i++)
		if (e->recipients[i].notify || e->recipients[i].orcpt.n)
			return true;
	return false;
}

static void note_what_is_lost(struct smtp_client *c, const struct ask_deliver *message)
{
	if (message->has_8bit && !c->offers.eightbitmime)
		record_add(c->record, EVENT_NOTE,
			"8BITMIME is not offered: the message has 8-bit bytes and is sent as it is");
	if (!c->offers.dsn && asks_for_dsn(&message->envelope))
		record_add(c->record, EVENT_NOTE,
			"DSN is not offered: NOTIFY, ORCPT, RET and ENVID are not passed on");
}

enum smtp_sent smtp_client_send(struct smtp_client *c, const struct ask_deliver *message,
	struct str body, int64_t until_ms, struct record *r, struct arena *arena,
	struct recipient_result *results)
{
	const struct envelope *e = &message->envelope;
	bool stale = false;
	c->until_ms = until_ms;
	c->record = r;
	c->texts = arena;
	note_what_is_lost(c, message);
	for (uint32_t first = 0; first < e->recipient_count && !stale;) {
		struct transaction t = {.c = c,
			.message = message,
			.body = body,
			.recipients = e->recipients + first,
			.count = e->recipient_count - first,
			.results = results + first};
		if (t.count > SMTP_CLIENT_RECIPIENTS)
			t.count = SMTP_CLIENT_RECIPIENTS;
		for (uint32_t i = 0; i < t.count; i++)
			t.open[i] = true;
		if (c->closing) {
			struct smtp_failure failure;
			smtp_client_fail(c, SMTP_MAIL, DELIVERY_TEMP, "peer.dropped", &failure,
				"%.*s [%.*s] closed the connection before this recipient's turn", STR_ARG(c->host),
				STR_ARG(c->address));
			decide_open(&t, &failure);
		} else if (!refuse_unsaid(&t)) {
			transact(&t);
		}
		stale = first == 0 && c->messages > 0 && c->closing && !t.mail_answered;
		first += t.count;
	}
	c->messages++;
	smtp_reply_done(&c->reply);
	if (stale)
		return SMTP_SENT_STALE;
	return c->closing ? SMTP_SENT_CLOSED : SMTP_SENT_OPEN;
}
