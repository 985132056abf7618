/* smtp_server_data: DATA, from 354 to the reply that makes the message ours or leaves it with the
 * client (RFC 5321 4.1.1.4).
 *
 *   D1  250 is said only after questions->accept() said that the message is durable (P1).
 *   D2  Whatever is wrong with a message, it is read to its true end first, so that the session
 *       never takes content for commands. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "smtp/smtp_session.h"
#include "wire/message_notes.h"
#include "wire/message_write.h"
#include "wire/smtp_data.h"

enum { PREFIX_MAX = 8 * 1024 };

/* One message on its way through DATA. */
struct letter {
	uint64_t id;
	char id_text[ID_TEXT];
	struct smtp_data machine;
	struct message_notes notes;
	struct body_writer *writer;
	struct body body;
	struct err write_error;
};

/* ---- reading ----------------------------------------------------------------------------------- */

static bool too_large(const struct smtp_session *c, const struct letter *l)
{
	return l->notes.size > c->conf->smtp_max_size;
}

/* More than MAIL said, or MAIL said nothing: is there room? */
static bool room_grows(struct smtp_session *c, struct letter *l)
{
	struct smtp_transaction *t = &c->transaction;
	uint64_t more = l->notes.size > t->room ? l->notes.size - t->room : 0;
	if (more && !c->server->questions->take_room(c->server->arg, more)) {
		err_full(&l->write_error, "the message grew beyond what the disk has room for");
		return false;
	}
	t->room += more;
	return true;
}

/* A run of content. What will be refused anyhow is counted, but not kept. */
static void take_content(struct smtp_session *c, struct letter *l, struct str run)
{
	message_notes_add(&l->notes, run);
	if (l->machine.bare || too_large(c, l) || l->write_error.kind != ERR_NONE || !room_grows(c, l))
		return;
	body_writer_add(l->writer, run, &l->write_error);
}

/* Up to the end of data; -1 if the peer is lost before it. */
static int read_content(struct smtp_session *c, struct letter *l)
{
	for (;;) {
		struct str input, run;
		struct err err;
		err_clear(&err);
		if (stream_peek(c->stream, &input, &err) != 0) {
			smtp_lost(c, &err);
			return -1;
		}
		struct str at = input;
		enum parse read = PARSE_MORE;
		while (at.n > 0 && read != PARSE_DONE) {
			read = smtp_data_read(&l->machine, &at, &run);
			take_content(c, l, run);
		}
		stream_skip(c->stream, input.n - at.n);
		if (read == PARSE_DONE)
			return 0;
	}
}

/* ---- judging ----------------------------------------------------------------------------------- */

/* What is wrong with the message itself; answers and returns false. */
static bool content_acceptable(struct smtp_session *c, const struct letter *l)
{
	if (l->machine.bare)
		smtp_reply(c, 550, "5.6.0", "Bare CR or LF in the message: end lines with CR LF");
	else if (too_large(c, l))
		smtp_reply(c, 552, "5.3.4", "Message too large: at most %" PRIu64 " bytes are taken here",
			c->conf->smtp_max_size);
	else if (l->notes.received >= c->conf->smtp_max_hops)
		smtp_reply(c, 554, "5.4.6",
			"Mail loop: %" PRIu32 " Received lines, at most %" PRIu64 " are taken",
			l->notes.received, c->conf->smtp_max_hops);
	else
		return true;
	return false;
}

/* A message that could not be kept stays with the client. */
static void refuse_unkept(struct smtp_session *c, const struct err *err)
{
	record_add(c->record, EVENT_ERROR, "%s", err->log);
	if (err->kind == ERR_PERM)
		smtp_reply(c, 554, "5.3.0", "%s", err->peer);
	else if (err->kind == ERR_FULL)
		smtp_reply(c, 452, "4.3.1", "No room for the message now, try again later");
	else
		smtp_reply(c, 451, "4.3.0", "Not kept: %s, try again later", err->peer);
}

static bool body_kept(struct smtp_session *c, struct letter *l)
{
	struct body_writer *writer = l->writer;
	l->writer = NULL;
	if (l->write_error.kind != ERR_NONE)
		body_writer_free(writer); /* it holds less than the message */
	else if (body_writer_finish(writer, &l->body, &l->write_error) == 0)
		return true;
	log_error("smtp.body", "error=\"%s\"", l->write_error.log);
	refuse_unkept(c, &l->write_error);
	return false;
}

/* ---- what we put in front ---------------------------------------------------------------------- */

static const char *protocol_name(const struct smtp_session *c)
{
	if (!c->extended)
		return "SMTP";
	return c->tls.n ? "ESMTPS" : "ESMTP"; /* RFC 3848 */
}

/* Received, and on submission what the client left out (RFC 6409 8.2 and 8.3; elsewhere RFC 5321
 * 6.4 asks to leave mail alone). Gives the message's Message-ID in *ret_message_id. */
static struct str build_prefix(
	struct smtp_session *c, const struct letter *l, struct str *ret_message_id)
{
	struct smtp_transaction *t = &c->transaction;
	char date[CLOCK_TEXT];
	struct message_received received = {
		.helo = str_from_c(c->hello),
		.client = c->server->client,
		.by = c->conf->hostname,
		.protocol = str_from_c(protocol_name(c)),
		.tls = c->tls,
		.id = str_from_c(l->id_text),
		.date = str_from_c(clock_rfc5322(clock_wall_ms(), date)),
	};
	if (t->envelope.recipient_count == 1)
		received.recipient = t->envelope.recipients[0].address;
	struct buf out;
	buf_init(&out, PREFIX_MAX);
	message_received(&out, &received);
	*ret_message_id = message_notes_id(&l->notes);
	if (c->server->listener != LISTENER_SMTP) {
		if (!l->notes.has_date)
			message_field_raw(&out, "Date", received.date);
		if (!l->notes.has_message_id) {
			*ret_message_id =
				arena_fmt(t->arena, "<%s@%.*s>", l->id_text, STR_ARG(c->conf->hostname));
			message_field_raw(&out, "Message-ID", *ret_message_id);
		}
	}
	/* No header section then: its first line must not become part of our last field. */
	if (l->notes.begins_folded)
		buf_add_c(&out, "\r\n");
	struct str prefix = arena_dup(t->arena, buf_str(&out));
	buf_done(&out);
	return prefix;
}

/* ---- handing over ------------------------------------------------------------------------------ */

static void hand_over(struct smtp_session *c, struct letter *l)
{
	struct smtp_transaction *t = &c->transaction;
	struct str message_id;
	struct str prefix = build_prefix(c, l, &message_id);
	struct ask_accept question = {
		.queue_id = l->id,
		.session_id = c->record->id,
		.envelope = t->envelope,
		.prefix = prefix,
		.body = l->body,
		.message_id = message_id,
		.listener = c->server->listener,
		.client = c->server->client,
		.helo = str_from_c(c->hello),
		.tls = c->tls,
		.has_8bit = l->notes.has_8bit,
		.longest_line =
			(uint32_t)(l->notes.longest_line < UINT32_MAX ? l->notes.longest_line : UINT32_MAX),
	};
	struct err err;
	err_clear(&err);
	if (c->server->questions->accept(c->server->arg, &question, &err) != 0) {
		refuse_unkept(c, &err);
		return;
	}
	record_message(c->record, l->id);
	c->messages++;
	log_info("smtp.accept",
		"client=%.*s from=<%.*s> recipients=%" PRIu32 " size=%" PRIu64 " tls=\"%.*s\" msgid=%.*s",
		STR_ARG(c->server->client), STR_ARG(t->envelope.sender), t->envelope.recipient_count,
		l->body.size, STR_ARG(c->tls), STR_ARG(message_id));
	smtp_reply(c, 250, "2.0.0", "<%s> accepted", l->id_text);
}

static void letter_begin(struct smtp_session *c, struct letter *l)
{
	l->id = id_make();
	id_format(l->id, l->id_text);
	str_to_c(str_from_c(l->id_text), log_context()->message, sizeof log_context()->message);
	smtp_data_init(&l->machine);
	message_notes_init(&l->notes);
	l->writer = body_writer_new(c->server->questions->open_spool, c->server->arg);
	l->body.fd = -1;
}

static void letter_done(struct letter *l)
{
	body_writer_free(l->writer);
	body_done(&l->body);
	log_context()->message[0] = 0;
}

void smtp_command_data(struct smtp_session *c, struct str argument)
{
	(void)argument;
	if (c->transaction.envelope.recipient_count == 0) {
		smtp_reply(c, 554, "5.5.1", "No valid recipients");
		return;
	}
	struct letter l = {0};
	letter_begin(c, &l);
	smtp_reply(c, 354, "", "Send the message, end it with a dot alone on a line");
	stream_set_timeout(c->stream, (int64_t)c->conf->smtp_data_timeout_ms);
	stream_set_pace(c->stream, c->conf->smtp_data_rate * c->conf->smtp_data_timeout_ms / 1000,
		(int64_t)c->conf->smtp_data_timeout_ms);
	int read = read_content(c, &l);
	stream_set_pace(c->stream, 0, 0);
	stream_set_timeout(c->stream, (int64_t)c->conf->smtp_timeout_ms);
	c->command = STR("end of data");
	if (read == 0) {
		message_notes_end(&l.notes);
		record_add(c->record, EVENT_RECEIVED, "(message %s: %" PRIu64 " bytes%s%s)", l.id_text,
			l.notes.size, l.notes.has_8bit ? ", 8-bit" : "", l.notes.has_nul ? ", NUL" : "");
		if (content_acceptable(c, &l) && body_kept(c, &l))
			hand_over(c, &l);
	}
	letter_done(&l);
	smtp_reset_transaction(c);
}
