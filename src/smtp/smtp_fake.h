/* smtp_fake: answers a server session's questions from a table and remembers what was accepted, for
 * tests and the fuzzer. The domain example.org is hosted here, nothing else is. (size: one fake, whole.) */
#ifndef SMTP_SMTP_FAKE_H
#define SMTP_SMTP_FAKE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "smtp/smtp_server.h"

struct smtp_fake {
	struct conf conf;
	struct smtp_server server;
	/* How the questions are answered. */
	enum err_kind rcpt_error, accept_error, spool_error;
	uint16_t rcpt_code; /* 0: by domain */
	enum rcpt_scope rcpt_scope;
	bool stops_at_rcpt, stop; /* for server.stop */
	bool low;                 /* no mail is taken */
	uint64_t room;            /* 0: without end */
	/* What was seen. */
	unsigned asked, accepted, recorded, spooled;
	uint64_t room_taken; /* now */
	struct arena *arena;
	struct str body, prefix, sender, recipients, message_id, tls, helo;
	struct envelope envelope; /* of the last one; only numbers and enums are good afterwards */
	struct envelope_recipient first;
	bool has_8bit;
	uint64_t session_id, record_id;
	char record[32 * 1024]; /* events of the last record, one a line */
};

static inline int smtp_fake_fail(enum err_kind kind, struct err *err)
{
	return kind == ERR_PERM ? err_perm(err, "never", "fake: never")
		: kind == ERR_FULL  ? err_full(err, "fake: full")
							: err_temp(err, "away", "fake: away");
}

static inline int smtp_fake_rcpt(void *arg, const struct ask_rcpt *q, struct arena *arena,
	struct ask_rcpt_answer *ret, struct err *err)
{
	struct smtp_fake *f = arg;
	f->asked++;
	f->stop |= f->stops_at_rcpt;
	if (f->rcpt_error != ERR_NONE)
		return smtp_fake_fail(f->rcpt_error, err);
	if (f->rcpt_code) {
		*ret = (struct ask_rcpt_answer){f->rcpt_code, f->rcpt_scope, STR("nonsense")};
	} else if (str_ends_nocase(q->recipient, STR("@example.org"))) {
		*ret = (struct ask_rcpt_answer){250, f->rcpt_scope, STR("2.1.5 ok")};
	} else {
		*ret = (struct ask_rcpt_answer){
			550, RCPT_ONE, arena_fmt(arena, "5.7.1 relaying denied: %.*s", STR_ARG(q->recipient))};
	}
	return 0;
}

static inline struct str smtp_fake_read(struct arena *arena, const struct body *body)
{
	if (body->spool)
		return STR("(in the spool)");
	if (body->fd < 0)
		return arena_dup(arena, body->bytes);
	char *p = arena_alloc(arena, body->size + 1);
	ssize_t n = pread(body->fd, p, body->size + 1, 0);
	return str_make(p, n < 0 ? 0 : (size_t)n);
}

static inline int smtp_fake_accept(void *arg, const struct ask_accept *q, struct err *err)
{
	struct smtp_fake *f = arg;
	if (f->accept_error != ERR_NONE)
		return smtp_fake_fail(f->accept_error, err);
	f->accepted++;
	f->body = smtp_fake_read(f->arena, &q->body);
	f->prefix = arena_dup(f->arena, q->prefix);
	f->sender = arena_dup(f->arena, q->envelope.sender);
	f->message_id = arena_dup(f->arena, q->message_id);
	f->tls = arena_dup(f->arena, q->tls);
	f->helo = arena_dup(f->arena, q->helo);
	f->has_8bit = q->has_8bit;
	f->session_id = q->session_id;
	f->envelope = q->envelope;
	f->envelope.envid = arena_dup(f->arena, q->envelope.envid);
	f->first = q->envelope.recipients[0];
	f->first.orcpt = arena_dup(f->arena, f->first.orcpt);
	f->recipients = STR("");
	for (uint32_t i = 0; i < q->envelope.recipient_count; i++)
		f->recipients = arena_fmt(f->arena, "%.*s%s%.*s", STR_ARG(f->recipients), i ? " " : "",
			STR_ARG(q->envelope.recipients[i].address));
	return 0;
}

static inline int smtp_fake_spool(void *arg, int *ret_fd, uint64_t *ret_spool, struct err *err)
{
	struct smtp_fake *f = arg;
	if (f->spool_error != ERR_NONE)
		return smtp_fake_fail(f->spool_error, err);
	FILE *file = tmpfile();
	*ret_fd = dup(fileno(file));
	fclose(file);
	*ret_spool = ++f->spooled;
	return 0;
}

static inline bool smtp_fake_take_room(void *arg, uint64_t bytes)
{
	struct smtp_fake *f = arg;
	if (f->low || (f->room && f->room_taken + bytes > f->room))
		return false;
	f->room_taken += bytes;
	return true;
}

static inline void smtp_fake_give_room(void *arg, uint64_t bytes)
{
	struct smtp_fake *f = arg;
	if (bytes > f->room_taken)
		abort();
	f->room_taken -= bytes;
}

static inline void smtp_fake_record(void *arg, struct record *r)
{
	struct smtp_fake *f = arg;
	size_t n = 0;
	f->recorded++;
	f->record_id = r->id;
	f->record[0] = 0;
	for (uint32_t i = 0; i < r->event_count && n < sizeof f->record; i++)
		n += (size_t)snprintf(f->record + n, sizeof f->record - n, "%s %.*s\n",
			record_event_name(r->events[i].kind), STR_ARG(r->events[i].text));
}

static const struct smtp_questions smtp_fake_questions = {
	.rcpt = smtp_fake_rcpt,
	.accept = smtp_fake_accept,
	.open_spool = smtp_fake_spool,
	.take_room = smtp_fake_take_room,
	.give_room = smtp_fake_give_room,
	.record = smtp_fake_record,
};

static inline struct smtp_fake *smtp_fake_new(void)
{
	struct smtp_fake *f = mem_new(sizeof *f);
	f->arena = arena_new();
	f->conf = (struct conf){
		.hostname = STR("mx.example.org"),
		.smtp_tls = TLS_INBOUND_AVAILABLE,
		.submission_tls = TLS_INBOUND_AVAILABLE,
		.smtp_max_size = 1000 * 1000,
		.smtp_max_recipients = 3,
		.smtp_max_hops = 5,
		.smtp_max_errors = 10,
		.smtp_max_messages = 1000,
		.smtp_max_session_recipients = 10000,
		.smtp_max_commands = 1000,
		.smtp_timeout_ms = 5000,
		.smtp_data_timeout_ms = 5000,
		.smtp_session_ms = 20000,
	};
	f->server = (struct smtp_server){
		.conf = &f->conf,
		.listener = LISTENER_SMTP,
		.client = STR("192.0.2.1"),
		.client_port = STR("4711"),
		.questions = &smtp_fake_questions,
		.arg = f,
	};
	return f;
}

static inline void smtp_fake_free(struct smtp_fake *f)
{
	arena_free(f->arena);
	free(f);
}

#endif
