/* Dialogues of the client session on a memory stream: what the server says is a script, what the
 * client says is compared byte for byte, at every way of cutting the input. STARTTLS, which needs a
 * peer that answers, is tested in smtp_client_tls_test.c. */
#include "smtp/smtp_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/clock.h"
#include "conf/settings.h"

#define HELLO "EHLO client.example\r\n"
#define GREETING "220 mx.example ESMTP\r\n"
#define PLAIN GREETING "250 mx.example\r\n"
#define PIPELINED GREETING "250-mx.example\r\n250 PIPELINING\r\n"
#define MAIL "MAIL FROM:<a@client.example>\r\n"
#define RCPT1 "RCPT TO:<r1@x.example>\r\n"
#define RCPT2 "RCPT TO:<r2@x.example>\r\n"
#define RCPT3 "RCPT TO:<r3@x.example>\r\n"
#define DATA "DATA\r\n"
#define MESSAGE "Received: here\r\nSubject: dots\r\n\r\n..\r\n..dot\r\nend.\r\n.\r\n"
#define QUIT "QUIT\r\n"

/* 16 and 32 bytes. */
static const struct str prefix = {"Received: here\r\n", 16};
static const struct str body = {"Subject: dots\r\n\r\n.\r\n.dot\r\nend.\r\n", 32};

struct wanted {
	enum delivery outcome;
	unsigned code;
	const char *enhanced, *cause, *command;
	const char *text; /* part of it */
};

struct dialogue {
	const char *name;
	const char *server, *client;
	uint32_t recipients;
	enum smtp_sent sent;
	struct wanted wanted[3];
};

#define OK                                                       \
	{                                                            \
		DELIVERY_DONE, 250, "2.0.0", "", "end of data", "queued" \
	}

static const struct dialogue dialogues[] = {
	{"one by one", PLAIN "250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
		HELLO MAIL RCPT1 DATA MESSAGE QUIT, 1, SMTP_SENT_OPEN, {OK}},
	{"pipelined", PIPELINED "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 2.6.0 queued\r\n",
		HELLO MAIL RCPT1 RCPT2 DATA MESSAGE QUIT, 2, SMTP_SENT_OPEN,
		{{DELIVERY_DONE, 250, "2.6.0", "", "end of data", "queued"},
			{DELIVERY_DONE, 250, "2.6.0", "", "end of data", "queued"}}},
	{"EHLO is not known",
		GREETING "502 what\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
		HELLO "HELO client.example\r\n" MAIL RCPT1 DATA MESSAGE QUIT, 1, SMTP_SENT_OPEN, {OK}},
	{"one of three recipients refused for good, one for now, one by one",
		PLAIN "250 ok\r\n550 5.1.1 no such user\r\n450 4.2.0 greylisted\r\n250 ok\r\n"
			  "354 go\r\n250 queued\r\n",
		HELLO MAIL RCPT1 RCPT2 RCPT3 DATA MESSAGE QUIT, 3, SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 550, "5.1.1", "reply.no-mailbox", "RCPT TO", "no such user"},
			{DELIVERY_TEMP, 450, "4.2.0", "reply.temporary", "RCPT TO", "greylisted"}, OK}},
	{"the same, pipelined",
		PIPELINED "250 ok\r\n550 5.1.1 no such user\r\n450 4.2.0 greylisted\r\n250 ok\r\n"
				  "354 go\r\n250 queued\r\n",
		HELLO MAIL RCPT1 RCPT2 RCPT3 DATA MESSAGE QUIT, 3, SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 550, "5.1.1", "reply.no-mailbox", "RCPT TO", "no such user"},
			{DELIVERY_TEMP, 450, "4.2.0", "reply.temporary", "RCPT TO", "greylisted"}, OK}},
	{"the only recipient refused, one by one", PLAIN "250 ok\r\n550 5.1.1 no such user\r\n",
		HELLO MAIL RCPT1 QUIT, 1, SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 550, "5.1.1", "reply.no-mailbox", "RCPT TO", "no such user"}}},
	{"the only recipient refused, pipelined, and DATA too",
		PIPELINED "250 ok\r\n550 5.1.1 no such user\r\n554 no valid recipients\r\n",
		HELLO MAIL RCPT1 DATA QUIT, 1, SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 550, "5.1.1", "reply.no-mailbox", "RCPT TO", "no such user"}}},
	{"nobody is left but DATA is taken: an empty message (RFC 2920 3.1)",
		PIPELINED "250 ok\r\n550 5.1.1 no such user\r\n354 go\r\n250 queued\r\n",
		HELLO MAIL RCPT1 DATA ".\r\n" QUIT, 1, SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 550, "5.1.1", "reply.no-mailbox", "RCPT TO", "no such user"}}},
	{"MAIL refused, one by one", PLAIN "550 5.7.1 not from you\r\n", HELLO MAIL QUIT, 2,
		SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 550, "5.7.1", "reply.policy", "MAIL FROM", "not from you"},
			{DELIVERY_PERM, 550, "5.7.1", "reply.policy", "MAIL FROM", "not from you"}}},
	{"MAIL refused, pipelined",
		PIPELINED "451 4.3.0 later\r\n503 MAIL first\r\n503 MAIL first\r\n503 MAIL first\r\n",
		HELLO MAIL RCPT1 RCPT2 DATA QUIT, 2, SMTP_SENT_OPEN,
		{{DELIVERY_TEMP, 451, "4.3.0", "reply.temporary", "MAIL FROM", "later"},
			{DELIVERY_TEMP, 451, "4.3.0", "reply.temporary", "MAIL FROM", "later"}}},
	{"MAIL refused, pipelined, and DATA taken all the same",
		PIPELINED "550 5.7.1 no\r\n250 ok\r\n354 go\r\n250 queued\r\n",
		HELLO MAIL RCPT1 DATA ".\r\n" QUIT, 1, SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 550, "5.7.1", "reply.policy", "MAIL FROM", "no"}}},
	{"DATA refused", PLAIN "250 ok\r\n250 ok\r\n451 4.3.1 disk full\r\n",
		HELLO MAIL RCPT1 DATA QUIT, 1, SMTP_SENT_OPEN,
		{{DELIVERY_TEMP, 451, "4.3.1", "reply.temporary", "DATA", "disk full"}}},
	{"the message refused, in two lines",
		PLAIN "250 ok\r\n250 ok\r\n354 go\r\n554-5.7.1 spam\r\n554 5.7.1 really\r\n",
		HELLO MAIL RCPT1 DATA MESSAGE QUIT, 1, SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 554, "5.7.1", "reply.policy", "end of data", "spam / really"}}},
	{"too many recipients with the wrong code (RFC 5321 4.5.3.1.10)",
		PLAIN "250 ok\r\n250 ok\r\n552 too many recipients\r\n354 go\r\n250 queued\r\n",
		HELLO MAIL RCPT1 RCPT2 DATA MESSAGE QUIT, 2, SMTP_SENT_OPEN,
		{OK, {DELIVERY_TEMP, 552, NULL, "reply.temporary", "RCPT TO", "too many"}}},
	{"an enhanced code of another class counts for nothing", PLAIN "250 ok\r\n450 5.1.1 later\r\n",
		HELLO MAIL RCPT1 QUIT, 1, SMTP_SENT_OPEN,
		{{DELIVERY_TEMP, 450, NULL, NULL, "RCPT TO", "later"}}},
	{"421 to RCPT, one by one", PLAIN "250 ok\r\n250 ok\r\n421 4.3.2 going down\r\n",
		HELLO MAIL RCPT1 RCPT2, 3, SMTP_SENT_CLOSED,
		{{DELIVERY_TEMP, 421, "4.3.2", "reply.temporary", "RCPT TO", "going down"},
			{DELIVERY_TEMP, 421, "4.3.2", "reply.temporary", "RCPT TO", "going down"},
			{DELIVERY_TEMP, 421, "4.3.2", "reply.temporary", "RCPT TO", "going down"}}},
	{"421 to RCPT after a refusal, pipelined", PIPELINED "250 ok\r\n550 5.1.1 no\r\n421 bye\r\n",
		HELLO MAIL RCPT1 RCPT2 DATA, 2, SMTP_SENT_CLOSED,
		{{DELIVERY_PERM, 550, "5.1.1", "reply.no-mailbox", "RCPT TO", "no"},
			{DELIVERY_TEMP, 421, NULL, "reply.temporary", "RCPT TO", "bye"}}},
	{"421 to the end of data", PLAIN "250 ok\r\n250 ok\r\n354 go\r\n421 bye\r\n",
		HELLO MAIL RCPT1 DATA MESSAGE, 1, SMTP_SENT_CLOSED,
		{{DELIVERY_TEMP, 421, NULL, "reply.temporary", "end of data", "bye"}}},
	{"gone after MAIL", PLAIN, HELLO MAIL, 1, SMTP_SENT_CLOSED,
		{{DELIVERY_TEMP, 0, "4.4.2", "peer.dropped", "MAIL FROM",
			"while waiting for the reply to MAIL"}}},
	{"gone after the recipients", PLAIN "250 ok\r\n250 ok\r\n", HELLO MAIL RCPT1 DATA, 1,
		SMTP_SENT_CLOSED, {{DELIVERY_TEMP, 0, "4.4.2", "peer.dropped", "DATA", "reply to DATA"}}},
	{"gone before the reply to the end of data", PLAIN "250 ok\r\n250 ok\r\n354 go\r\n250 que",
		HELLO MAIL RCPT1 DATA MESSAGE, 1, SMTP_SENT_CLOSED,
		{{DELIVERY_TEMP, 0, "4.4.2", "peer.dropped", "end of data", "may be sent more than once"}}},
	{"what is no reply", PLAIN "hello\r\n", HELLO MAIL, 1, SMTP_SENT_CLOSED,
		{{DELIVERY_TEMP, 0, "4.5.0", "peer.protocol", "MAIL FROM", "no SMTP reply"}}},
	{"a reply whose lines disagree", PLAIN "250-ok\r\n550 no\r\n", HELLO MAIL, 1, SMTP_SENT_CLOSED,
		{{DELIVERY_TEMP, 0, "4.5.0", "peer.protocol", "MAIL FROM", "no SMTP reply"}}},
	{"a bare LF", PLAIN "250 ok\n250 ok\r\n", HELLO MAIL, 1, SMTP_SENT_CLOSED,
		{{DELIVERY_TEMP, 0, "4.5.0", "peer.protocol", "MAIL FROM", "bare CR or LF"}}},
	{"354 to MAIL", PLAIN "354 go\r\n", HELLO MAIL QUIT, 1, SMTP_SENT_OPEN,
		{{DELIVERY_TEMP, 354, NULL, "peer.protocol", "MAIL FROM", "go"}}},
	{"too large for the server", GREETING "250-mx.example\r\n250 SIZE 47\r\n", HELLO QUIT, 1,
		SMTP_SENT_OPEN,
		{{DELIVERY_PERM, 0, "5.3.4", "reply.size", "MAIL FROM",
			"48 bytes, mx.example [192.0.2.1:25] takes at most 47"}}},
	{"just right",
		GREETING "250-mx.example\r\n250 SIZE 48\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
		HELLO "MAIL FROM:<a@client.example> SIZE=48\r\n" RCPT1 DATA MESSAGE QUIT, 1, SMTP_SENT_OPEN,
		{OK}},
	{"SIZE without a limit",
		GREETING "250-mx.example\r\n250 SIZE\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
		HELLO "MAIL FROM:<a@client.example> SIZE=48\r\n" RCPT1 DATA MESSAGE QUIT, 1, SMTP_SENT_OPEN,
		{OK}},
	{"control characters in a reply", PLAIN "550 5.7.1 \33[2J\200no\r\n", HELLO MAIL QUIT, 1,
		SMTP_SENT_OPEN, {{DELIVERY_PERM, 550, "5.7.1", "reply.policy", "MAIL FROM", "?[2J?no"}}},
};

/* ---- running one ---- */

struct session {
	struct arena *arena;
	struct conf *conf;
	struct buf output;
	struct record *record;
	struct smtp_client *client;
	struct smtp_failure failure;
	struct ask_deliver message;
	struct recipient_result results[250];
};

static struct session *session_new(uint32_t recipients)
{
	struct arena *arena = arena_new();
	struct session *s = arena_alloc(arena, sizeof *s);
	s->arena = arena;
	s->conf = conf_new();
	s->conf->hostname = STR("client.example");
	buf_init(&s->output, 1024 * 1024);
	s->record = record_new(arena, RECORD_ATTEMPT, STR("x.example"));
	s->message = (struct ask_deliver){.queue_id = 1, .prefix = prefix, .body_size = body.n};
	s->message.envelope.sender = STR("a@client.example");
	s->message.envelope.recipient_count = recipients;
	s->message.envelope.recipients =
		arena_alloc(arena, recipients * sizeof *s->message.envelope.recipients);
	for (uint32_t i = 0; i < recipients; i++)
		s->message.envelope.recipients[i].address = arena_fmt(arena, "r%u@x.example", i + 1);
	return s;
}

static void session_open(struct session *s, const char *server, size_t piece)
{
	struct smtp_target target = {
		.host = STR("mx.example"), .address = STR("192.0.2.1:25"), .tls = TLS_OFF};
	struct stream *stream = stream_new_memory(str_from_c(server), piece, &s->output);
	s->client = smtp_client_open(stream, &target, s->conf, s->record, s->arena, &s->failure);
}

static enum smtp_sent session_send(struct session *s)
{
	return smtp_client_send(s->client, &s->message, body, 0, s->record, s->arena, s->results);
}

static void session_free(struct session *s)
{
	smtp_client_close(s->client);
	s->client = NULL;
	buf_done(&s->output);
	conf_drop(s->conf);
	arena_free(s->arena);
}

/* The bytes said after the session was closed. */
static void session_said(struct session *s, const char *wanted)
{
	smtp_client_close(s->client);
	s->client = NULL;
	assert_string_equal(buf_c(&s->output), wanted);
}

static void same(const char *what, const char *dialogue, struct str have, const char *want)
{
	if (want && !str_eq(have, str_from_c(want)))
		fail_msg("%s: %s is \"%.*s\", wanted \"%s\"", dialogue, what, STR_ARG(have), want);
}

static void check_result(
	const char *name, const struct recipient_result *have, const struct wanted *want)
{
	same("enhanced", name, have->enhanced, want->enhanced);
	same("cause", name, have->cause, want->cause);
	same("command", name, have->command, want->command);
	same("host", name, have->remote_host, "mx.example");
	same("address", name, have->remote_address, "192.0.2.1:25");
	same("tls", name, have->tls, "in clear: the TLS level is off");
	if (have->outcome != want->outcome || have->code != want->code)
		fail_msg("%s: outcome %d code %u", name, have->outcome, have->code);
	if (!memmem(have->text.p, have->text.n, want->text, strlen(want->text)))
		fail_msg("%s: text \"%.*s\"", name, STR_ARG(have->text));
}

static void all_dialogues(void **state)
{
	(void)state;
	static const size_t pieces[] = {0, 1, 2, 3, 7, 64};
	for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++)
		for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
			const struct dialogue *d = &dialogues[i];
			struct session *s = session_new(d->recipients);
			session_open(s, d->server, pieces[k]);
			if (!s->client)
				fail_msg("%s: not opened: %.*s", d->name, STR_ARG(s->failure.text));
			enum smtp_sent sent = session_send(s);
			if (sent != d->sent)
				fail_msg("%s: sent is %d", d->name, sent);
			for (uint32_t r = 0; r < d->recipients; r++)
				check_result(d->name, &s->results[r], &d->wanted[r]);
			smtp_client_close(s->client);
			s->client = NULL;
			if (strcmp(buf_c(&s->output), d->client) != 0)
				fail_msg("%s: said\n%s", d->name, buf_c(&s->output));
			session_free(s);
		}
}

/* ---- sessions that do not come about ---- */

static void refused_at_the_door(void **state)
{
	(void)state;
	static const struct {
		const char *server, *client;
		struct wanted wanted;
	} rows[] = {
		{"", "",
			{DELIVERY_TEMP, 0, "4.4.2", "peer.dropped", "greeting", "waiting for the greeting"}},
		{"554 5.7.1 go away\r\n", "QUIT\r\n",
			{DELIVERY_TEMP, 554, "4.3.2", "peer.greeting", "greeting", "go away"}},
		{"450 busy\r\n", "QUIT\r\n",
			{DELIVERY_TEMP, 450, NULL, "peer.greeting", "greeting", "busy"}},
		{"421 busy\r\n", "", {DELIVERY_TEMP, 421, NULL, "peer.greeting", "greeting", "busy"}},
		{"250 strange\r\n", "QUIT\r\n",
			{DELIVERY_TEMP, 250, NULL, "peer.protocol", "greeting", "strange"}},
		{"HTTP/1.1 400 Bad Request\r\n", "",
			{DELIVERY_TEMP, 0, "4.5.0", "peer.protocol", "greeting", "no SMTP reply"}},
		{GREETING, HELLO, {DELIVERY_TEMP, 0, NULL, "peer.dropped", "EHLO", "reply to EHLO"}},
		{GREETING "451 later\r\n", HELLO "QUIT\r\n",
			{DELIVERY_TEMP, 451, NULL, "peer.greeting", "EHLO", "later"}},
		{GREETING "550 no\r\n550 never\r\n", HELLO "HELO client.example\r\nQUIT\r\n",
			{DELIVERY_TEMP, 550, NULL, "peer.greeting", "HELO", "never"}},
		{GREETING "250-a\r\n250-b\r\n", HELLO,
			{DELIVERY_TEMP, 0, NULL, "peer.dropped", "EHLO", "reply to EHLO"}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct session *s = session_new(1);
		session_open(s, rows[i].server, 3);
		assert_null(s->client);
		const struct smtp_failure *f = &s->failure;
		struct recipient_result as_result = {.outcome = f->outcome,
			.code = f->code,
			.enhanced = f->enhanced,
			.text = f->text,
			.command = f->command,
			.cause = f->cause,
			.remote_host = STR("mx.example"),
			.remote_address = STR("192.0.2.1:25"),
			.tls = STR("in clear: the TLS level is off")};
		check_result(rows[i].server, &as_result, &rows[i].wanted);
		assert_string_equal(buf_c(&s->output), rows[i].client);
		session_free(s);
	}
}

static void levels_that_insist_on_tls(void **state)
{
	(void)state;
	for (enum tls_level level = TLS_ENCRYPT; level <= TLS_VERIFY; level++) {
		struct session *s = session_new(1);
		struct smtp_target target = {
			.host = STR("mx.example"), .address = STR("192.0.2.1:25"), .tls = level};
		struct stream *stream = stream_new_memory(STR(PLAIN), 0, &s->output);
		assert_null(smtp_client_open(stream, &target, s->conf, s->record, s->arena, &s->failure));
		assert_int_equal(s->failure.outcome, DELIVERY_TEMP);
		assert_string_equal(s->failure.cause.p, "tls.not-offered");
		assert_string_equal(buf_c(&s->output), HELLO QUIT);
		assert_false(s->failure.retry_in_clear);
		session_free(s);
	}
}

static void starttls_is_refused(void **state)
{
	(void)state;
	static const char offered[] =
		GREETING "250-mx.example\r\n250 STARTTLS\r\n454 4.7.0 not now\r\n";
	for (enum tls_level level = TLS_MAY; level <= TLS_VERIFY; level++) {
		struct session *s = session_new(1);
		struct smtp_target target = {
			.host = STR("mx.example"), .address = STR("192.0.2.1:25"), .tls = level};
		struct stream *stream = stream_new_memory(str_from_c(offered), 0, &s->output);
		s->client = smtp_client_open(stream, &target, s->conf, s->record, s->arena, &s->failure);
		if (level == TLS_MAY) {
			assert_non_null(s->client);
			assert_string_equal(
				smtp_client_tls(s->client).p, "in clear: STARTTLS was refused with 454");
		} else {
			assert_null(s->client);
			assert_string_equal(s->failure.cause.p, "tls.refused");
			assert_int_equal(s->failure.code, 454);
			assert_int_equal(s->failure.outcome, DELIVERY_TEMP);
		}
		session_said(s, HELLO "STARTTLS\r\n" QUIT);
		session_free(s);
	}
}

/* ---- several messages, many recipients ---- */

static void the_next_message_on_the_same_connection(void **state)
{
	(void)state;
	struct session *s = session_new(1);
	session_open(s,
		PLAIN "250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"
			  "250 ok\r\n550 no such user\r\n"
			  "250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
		5);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(session_send(s), SMTP_SENT_OPEN);
		assert_int_equal(s->results[0].outcome, i == 1 ? DELIVERY_PERM : DELIVERY_DONE);
	}
	/* RSET only where a transaction was left open. */
	session_said(
		s, HELLO MAIL RCPT1 DATA MESSAGE MAIL RCPT1 "RSET\r\n" MAIL RCPT1 DATA MESSAGE QUIT);
	session_free(s);
}

static void an_idle_connection_that_died_is_stale(void **state)
{
	(void)state;
	static const char *const ends[] = {"", "421 idle too long\r\n", "250 o", "nonsense\r\n"};
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct session *s = session_new(1);
		struct str script =
			arena_fmt(s->arena, PLAIN "250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n%s", ends[i]);
		session_open(s, script.p, 0);
		assert_int_equal(session_send(s), SMTP_SENT_OPEN);
		assert_int_equal(session_send(s), SMTP_SENT_STALE);
		session_free(s);
	}
}

static void once_mail_is_answered_it_is_not_stale(void **state)
{
	(void)state;
	struct session *s = session_new(1);
	session_open(s, PLAIN "250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n250 ok\r\n", 0);
	assert_int_equal(session_send(s), SMTP_SENT_OPEN);
	assert_int_equal(session_send(s), SMTP_SENT_CLOSED);
	assert_int_equal(s->results[0].outcome, DELIVERY_TEMP);
	session_free(s);
}

/* 250 recipients are three transactions; in the second one the server goes away. */
static void many_recipients(void **state)
{
	(void)state;
	for (int whole = 0; whole < 2; whole++) {
		struct session *s = session_new(250);
		struct buf script;
		buf_init(&script, 65536);
		buf_add_c(&script, PIPELINED);
		for (int t = 0; t < 3; t++) {
			for (int i = 0; i < 1 + (t < 2 ? 100 : 50); i++)
				buf_add_c(&script, "250 ok\r\n");
			buf_add_c(&script, "354 go\r\n");
			buf_add_c(&script, t == 1 && !whole ? "421 bye\r\n" : "250 queued\r\n");
		}
		session_open(s, buf_c(&script), 0);
		assert_int_equal(session_send(s), whole ? SMTP_SENT_OPEN : SMTP_SENT_CLOSED);
		for (int i = 0; i < 250; i++)
			assert_int_equal(
				s->results[i].outcome, whole || i < 100 ? DELIVERY_DONE : DELIVERY_TEMP);
		assert_string_equal(s->results[249].cause.p, whole ? "" : "peer.dropped");
		buf_done(&script);
		session_free(s);
	}
}

/* ---- what goes along ---- */

static bool recorded(const struct session *s, enum record_event_kind kind, const char *text)
{
	for (uint32_t i = 0; i < s->record->event_count; i++)
		if (s->record->events[i].kind == kind &&
			memmem(s->record->events[i].text.p, s->record->events[i].text.n, text, strlen(text)))
			return true;
	return false;
}

static void parameters(void **state)
{
	(void)state;
	static const struct {
		const char *offers, *mail, *rcpt;
		const char *note;
	} rows[] = {
		{"250-8BITMIME\r\n250 DSN", " BODY=8BITMIME RET=HDRS ENVID=QQ314159",
			" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;r1@x.example", NULL},
		{"250 8BITMIME", " BODY=8BITMIME", "", "DSN is not offered"},
		{"250 DSN", " RET=HDRS ENVID=QQ314159", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;r1@x.example",
			"8BITMIME is not offered"},
		{"250 SMTPUTF8", "", "", "8BITMIME is not offered"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct session *s = session_new(1);
		s->message.has_8bit = true;
		s->message.envelope.ret = RET_HDRS;
		s->message.envelope.envid = STR("QQ314159");
		s->message.envelope.recipients[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
		s->message.envelope.recipients[0].orcpt = STR("rfc822;r1@x.example");
		struct str script = arena_fmt(s->arena,
			GREETING "250-mx.example\r\n%s\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n",
			rows[i].offers);
		struct str said = arena_fmt(s->arena,
			HELLO
			"MAIL FROM:<a@client.example>%s\r\nRCPT TO:<r1@x.example>%s\r\n" DATA MESSAGE QUIT,
			rows[i].mail, rows[i].rcpt);
		session_open(s, script.p, 0);
		assert_int_equal(session_send(s), SMTP_SENT_OPEN);
		assert_int_equal(s->results[0].dsn, rows[i].rcpt[0] != 0);
		if (rows[i].note)
			assert_true(recorded(s, EVENT_NOTE, rows[i].note));
		session_said(s, said.p);
		session_free(s);
	}
}

static void the_null_sender_and_never(void **state)
{
	(void)state;
	struct session *s = session_new(1);
	s->message.envelope.sender = STR("");
	s->message.envelope.recipients[0].notify = NOTIFY_NEVER;
	session_open(
		s, GREETING "250-mx.example\r\n250 DSN\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n", 0);
	assert_int_equal(session_send(s), SMTP_SENT_OPEN);
	session_said(
		s, HELLO "MAIL FROM:<>\r\nRCPT TO:<r1@x.example> NOTIFY=NEVER\r\n" DATA MESSAGE QUIT);
	session_free(s);
}

static void line_ends_that_cannot_be_sent(void **state)
{
	(void)state;
	static const struct str bodies[] = {
		{"a\nb\r\n", 5}, {"a\rb\r\n", 5}, {"\n", 1}, {"a\r", 2}, {"a\r\r\n", 4}, {"\n\r\n", 3}};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct session *s = session_new(1);
		session_open(s, PLAIN, 0);
		enum smtp_sent sent =
			smtp_client_send(s->client, &s->message, bodies[i], 0, s->record, s->arena, s->results);
		assert_int_equal(sent, SMTP_SENT_OPEN);
		assert_int_equal(s->results[0].outcome, DELIVERY_PERM);
		assert_string_equal(s->results[0].cause.p, "local.line-ends");
		session_said(s, HELLO QUIT);
		session_free(s);
	}
}

static void the_record_tells_the_dialogue(void **state)
{
	(void)state;
	struct session *s = session_new(1);
	session_open(s, dialogues[0].server, 0);
	session_send(s);
	assert_true(recorded(s, EVENT_RECEIVED, "220 mx.example ESMTP"));
	assert_true(recorded(s, EVENT_SENT, "EHLO client.example"));
	assert_true(recorded(s, EVENT_NOTE, "in clear: the TLS level is off"));
	assert_true(recorded(s, EVENT_SENT, "MAIL FROM:<a@client.example>"));
	assert_true(recorded(s, EVENT_SENT, "message of 48 bytes"));
	assert_true(recorded(s, EVENT_RECEIVED, "250 queued"));
	session_free(s);
}

/* A reply without end: the session ends at a bound, not at the server's pleasure. */
static void huge_replies(void **state)
{
	(void)state;
	struct session *s = session_new(1);
	struct buf script;
	buf_init(&script, 4 * 1024 * 1024);
	buf_add_c(&script, PLAIN);
	for (int i = 0; i < 20000; i++)
		buf_add_c(&script, "250-and another line of it, and it goes on and on\r\n");
	session_open(s, buf_c(&script), 0);
	assert_int_equal(session_send(s), SMTP_SENT_CLOSED);
	assert_string_equal(s->results[0].cause.p, "peer.protocol");
	session_free(s);

	s = session_new(1);
	buf_clear(&script);
	buf_add_c(&script, PLAIN "250 ");
	for (int i = 0; i < 100000; i++)
		buf_add_c(&script, "aaaaaaaaaaaaaaaa");
	session_open(s, buf_c(&script), 0);
	assert_int_equal(session_send(s), SMTP_SENT_CLOSED);
	assert_true(s->results[0].text.n < 1200);
	session_free(s);
	buf_done(&script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_dialogues),
		cmocka_unit_test(refused_at_the_door),
		cmocka_unit_test(levels_that_insist_on_tls),
		cmocka_unit_test(starttls_is_refused),
		cmocka_unit_test(the_next_message_on_the_same_connection),
		cmocka_unit_test(an_idle_connection_that_died_is_stale),
		cmocka_unit_test(once_mail_is_answered_it_is_not_stale),
		cmocka_unit_test(many_recipients),
		cmocka_unit_test(parameters),
		cmocka_unit_test(the_null_sender_and_never),
		cmocka_unit_test(line_ends_that_cannot_be_sent),
		cmocka_unit_test(the_record_tells_the_dialogue),
		cmocka_unit_test(huge_replies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
