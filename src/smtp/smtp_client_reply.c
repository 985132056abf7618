/* smtp_client_reply: what the server says, and what it means when it says nothing. */
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "smtp/smtp_client_session.h"

/* Every state has a sentence, so that a lost connection tells how far the mail had come. Patience:
 * relay.timeout, and twice that where the server has all the work to do (RFC 5321 4.5.3.2: 5 and
 * 10 minutes). */
static const struct {
	const char *command; /* as results name it */
	const char *doing;
	unsigned patience;
	enum reply_command answers;
} states[] = {
	[SMTP_GREETING] = {"greeting", "waiting for the greeting", 1, REPLY_TO_GREETING},
	[SMTP_EHLO] = {"EHLO", "waiting for the reply to EHLO", 1, REPLY_TO_EHLO},
	[SMTP_HELO] = {"HELO", "waiting for the reply to HELO", 1, REPLY_TO_EHLO},
	[SMTP_STARTTLS] = {"STARTTLS", "waiting for the reply to STARTTLS", 1, REPLY_TO_STARTTLS},
	[SMTP_HANDSHAKE] = {"STARTTLS", "in the TLS handshake", 1, REPLY_TO_STARTTLS},
	[SMTP_RSET] = {"RSET", "waiting for the reply to RSET", 1, REPLY_TO_MAIL},
	[SMTP_MAIL] = {"MAIL FROM", "waiting for the reply to MAIL FROM", 1, REPLY_TO_MAIL},
	[SMTP_RCPT] = {"RCPT TO", "waiting for the reply to RCPT TO", 1, REPLY_TO_RCPT},
	[SMTP_DATA] = {"DATA", "waiting for the reply to DATA", 1, REPLY_TO_DATA},
	[SMTP_BODY] = {"DATA", "sending the message", 1, REPLY_TO_DATA},
	[SMTP_END_OF_DATA] = {"end of data",
		"waiting for the reply to the end of data -- the message may be sent more than once", 2,
		REPLY_TO_DATA},
};

enum { TEXT_MAX = 1000 }; /* of a reply or an error, in results and records */

const char *smtp_client_command_name(enum smtp_client_state state)
{
	return states[state].command;
}

void smtp_client_expect(struct smtp_client *c)
{
	if (c->unanswered++ == 0)
		c->early = stream_spoke(c->stream);
}

void smtp_client_put(struct smtp_client *c, const char *fmt, ...)
{
	smtp_client_expect(c);
	struct buf line;
	buf_init(&line, 4096);
	va_list ap;
	va_start(ap, fmt);
	buf_addv(&line, fmt, ap);
	va_end(ap);
	record_add(c->record, EVENT_SENT, "%.*s", STR_ARG(buf_str(&line)));
	buf_add(&line, STR("\r\n"));
	stream_put(c->stream, buf_str(&line));
	buf_done(&line);
}

void smtp_client_patience(struct smtp_client *c, enum smtp_client_state state, int64_t extra_ms)
{
	int64_t ms = (int64_t)c->conf->relay_timeout_ms * states[state].patience;
	int64_t end = clock_steady_ms() + ms + extra_ms;
	stream_set_timeout(c->stream, ms);
	stream_set_deadline(c->stream, c->until_ms && c->until_ms < end ? c->until_ms : end);
}

/* ---- failures ---- */

static struct str enhanced_of(struct smtp_client *c, enum delivery outcome, const char *cause)
{
	return arena_fmt(c->texts, "%c.%s", outcome == DELIVERY_PERM ? '5' : '4',
		cause_find(str_from_c(cause))->enhanced);
}

void smtp_client_fail(struct smtp_client *c, enum smtp_client_state state, enum delivery outcome,
	const char *cause, struct smtp_failure *ret, const char *fmt, ...)
{
	struct buf text;
	buf_init(&text, TEXT_MAX);
	va_list ap;
	va_start(ap, fmt);
	if (!buf_addv(&text, fmt, ap))
		buf_add_c(&text, states[state].doing);
	va_end(ap);
	*ret = (struct smtp_failure){.outcome = outcome,
		.enhanced = enhanced_of(c, outcome, cause),
		.text = arena_dup(c->texts, buf_str(&text)),
		.command = str_from_c(states[state].command),
		.cause = str_from_c(cause),
		.tls = c->tls};
	buf_done(&text);
	record_add(c->record, EVENT_ERROR, "%.*s", STR_ARG(ret->text));
}

void smtp_client_lost(struct smtp_client *c, enum smtp_client_state state, const struct err *err,
	struct smtp_failure *ret)
{
	bool timed_out = stream_timed_out(c->stream);
	c->closing = true;
	smtp_client_fail(c, state, DELIVERY_TEMP, timed_out ? "peer.timeout" : "peer.dropped", ret,
		"%s %.*s [%.*s] while %s (%s)", timed_out ? "timed out with" : "lost the connection to",
		STR_ARG(c->host), STR_ARG(c->address), states[state].doing, err->log);
}

static bool out_of_step(
	struct smtp_client *c, enum smtp_client_state state, const char *what, struct smtp_failure *ret)
{
	c->closing = true;
	smtp_client_fail(c, state, DELIVERY_TEMP, "peer.protocol", ret, "%.*s [%.*s] %s while %s",
		STR_ARG(c->host), STR_ARG(c->address), what, states[state].doing);
	return false;
}

void smtp_client_refused(
	struct smtp_client *c, enum smtp_client_state state, struct smtp_failure *ret)
{
	const struct smtp_reply *reply = &c->reply;
	struct reply_verdict verdict = reply_cause(states[state].answers, (uint16_t)reply->code,
		str_from_c(reply->enhanced), buf_str(&reply->text));
	enum delivery outcome = verdict.permanent ? DELIVERY_PERM : DELIVERY_TEMP;
	/* The class of an enhanced code must be that of the reply (RFC 2034 4); else it is noise. */
	bool fits = reply->enhanced[0] == (verdict.permanent ? '5' : '4');
	*ret = (struct smtp_failure){.outcome = outcome,
		.code = (uint16_t)reply->code,
		.enhanced = fits ? arena_dup(c->texts, str_from_c(reply->enhanced))
						 : enhanced_of(c, outcome, verdict.cause->id),
		.text = smtp_client_reply_text(c),
		.command = str_from_c(states[state].command),
		.cause = str_from_c(verdict.cause->id),
		.tls = c->tls};
}

/* ---- replies ---- */

struct str smtp_client_reply_text(struct smtp_client *c)
{
	struct buf text;
	buf_init(&text, TEXT_MAX);
	smtp_reply_describe(&c->reply, TEXT_MAX, &text);
	struct str copy = text.n ? arena_dup(c->texts, buf_str(&text)) : STR("(no text)");
	buf_done(&text);
	return copy;
}

bool smtp_client_reply(
	struct smtp_client *c, enum smtp_client_state state, struct smtp_failure *ret)
{
	enum { CLOSING_CHANNEL = 421 };
	struct str line;
	struct err err;
	enum parse parsed;
	smtp_reply_clear(&c->reply);
	smtp_client_patience(c, state, 0);
	do {
		err_clear(&err);
		switch (stream_line(c->stream, SMTP_REPLY_LINE_MAX, &line, &err)) {
		case STREAM_END:
			smtp_client_lost(c, state, &err, ret);
			return false;
		case STREAM_TOO_LONG:
			return out_of_step(c, state, "sent a reply with a line without end", ret);
		case STREAM_BARE:
			return out_of_step(c, state, "sent a reply with a bare CR or LF", ret);
		case STREAM_LINE:
			break;
		}
		parsed = smtp_reply_add(&c->reply, line);
	} while (parsed == PARSE_MORE);
	if (parsed != PARSE_DONE)
		return out_of_step(c, state, "sent what is no SMTP reply", ret);
	record_add(c->record, EVENT_RECEIVED, "%u %s%s%.*s", c->reply.code, c->reply.enhanced,
		*c->reply.enhanced ? " " : "", STR_ARG(smtp_client_reply_text(c)));
	if (c->reply.code == CLOSING_CHANNEL) { /* may come at any time (RFC 5321 3.8) */
		c->closing = true;
		smtp_client_refused(c, state, ret);
		return false;
	}
	/* From here on every reply would count for the wrong command. */
	if (c->early)
		return out_of_step(c, state, "sent a reply before the command it should answer", ret);
	if (c->unanswered)
		c->unanswered--;
	return true;
}
