/* smtp_server: the loop of a session, its table of verbs, its replies and limits, and the commands
 * that need no message. MAIL and RCPT stand in smtp_server_mail.c, DATA in smtp_server_data.c,
 * STARTTLS in smtp_server_tls.c. */
#include "smtp/smtp_server.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/log_thin.h"
#include "cert/tls.h"
#include "smtp/smtp_session.h"

/* ---- replies ----------------------------------------------------------------------------------- */

/* A refusal is worth a record and a log line, but a stranger shall not fill the disk with them; a
 * permanent one is the client's error. */
static void note_refusal(struct smtp_session *c, unsigned code, const char *text)
{
	enum { LOGGED = 50 }; /* of one session */
	static struct log_thin thin;
	c->record_wanted = true;
	if (c->server->refused)
		meter_add(c->server->refused, 1, clock_tick_ms());
	if (code >= 500)
		c->errors++;
	if (++c->refusals > LOGGED || !log_thin_may(&thin, "smtp.refuse", clock_steady_ms()))
		return;
	log_info("smtp.refuse", "client=%.*s command=\"%.*s\" reply=\"%s\"", STR_ARG(c->server->client),
		STR_ARG(str_take(c->command, 200)), text);
}

void smtp_reply(struct smtp_session *c, unsigned code, const char *enhanced, const char *fmt, ...)
{
	char line[SMTP_REPLY_MAX];
	const size_t room = sizeof line - 2; /* for CRLF, the first of which takes the NUL's place */
	size_t n = (size_t)snprintf(line, room, "%03u %s%s", code, enhanced, *enhanced ? " " : "");
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line + n, room - n, fmt, ap);
	va_end(ap);
	for (n = 0; line[n]; n++)
		if (!ascii_is_print(line[n]))
			line[n] = '?';
	record_add(c->record, EVENT_SENT, "%s", line);
	if (code >= 400)
		note_refusal(c, code, line);
	line[n] = '\r';
	line[n + 1] = '\n';
	stream_put(c->stream, str_make(line, n + 2));
}

void smtp_reply_fault(struct smtp_session *c, const struct smtp_fault *fault)
{
	smtp_reply(c, fault->code, fault->enhanced, "%s%s%.*s", fault->text, fault->what.n ? ": " : "",
		STR_ARG(fault->what));
}

void smtp_end(struct smtp_session *c, const char *why)
{
	if (!c->ended)
		c->ended = why;
}

static bool stopping(const struct smtp_session *c)
{
	return c->server->stop && *c->server->stop;
}

/* RFC 5321 3.8: 421 may come at any time. */
static void say_stopping(struct smtp_session *c)
{
	smtp_reply(
		c, 421, "4.3.2", "%.*s is stopping, try again in a minute", STR_ARG(c->conf->hostname));
	smtp_end(c, "service stops");
}

void smtp_lost(struct smtp_session *c, const struct err *err)
{
	if (stopping(c)) {
		say_stopping(c);
		return;
	}
	record_add(c->record, EVENT_ERROR, "%s", err->log);
	if (stream_timed_out(c->stream)) {
		smtp_reply(c, 421, "4.4.2", "Waited too long, closing");
		smtp_end(c, "time is over");
	}
	smtp_end(c, "client went away");
}

/* ---- state ------------------------------------------------------------------------------------- */

void smtp_reset_transaction(struct smtp_session *c)
{
	struct arena *arena = c->transaction.arena;
	c->server->questions->give_room(c->server->arg, c->transaction.room);
	arena_reset(arena);
	c->transaction = (struct smtp_transaction){.arena = arena};
}

void smtp_forget_hello(struct smtp_session *c)
{
	c->hello[0] = c->open_domain[0] = 0;
	c->extended = c->any_recipient = false;
	smtp_reset_transaction(c);
}

/* The client's own end, after which it waits for ours. */
static const char quit[] = "quit";

/* ---- commands ---------------------------------------------------------------------------------- */

/* RFC 5321 4.1.4: a new hello also forgets the transaction. */
static bool take_hello(struct smtp_session *c, struct str argument)
{
	struct str name;
	bool literal;
	struct smtp_fault fault;
	if (!smtp_helo_argument(argument, &name, &literal, &fault)) {
		smtp_reply_fault(c, &fault);
		return false;
	}
	smtp_forget_hello(c);
	str_to_c(name, c->hello, sizeof c->hello);
	return true;
}

static void command_helo(struct smtp_session *c, struct str argument)
{
	if (take_hello(c, argument))
		smtp_reply(c, 250, "", "%.*s", STR_ARG(c->conf->hostname));
}

/* RFC 5321 4.1.1.1; SIZE: RFC 1870, STARTTLS: RFC 3207, DSN: RFC 3461 */
static void command_ehlo(struct smtp_session *c, struct str argument)
{
	if (!take_hello(c, argument))
		return;
	c->extended = true;
	bool starttls = smtp_tls_offered(c);
	stream_putf(c->stream,
		"250-%.*s\r\n250-PIPELINING\r\n250-SIZE %" PRIu64 "\r\n250-8BITMIME\r\n%s"
		"250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n",
		STR_ARG(c->conf->hostname), c->conf->smtp_max_size, starttls ? "250-STARTTLS\r\n" : "");
	record_add(c->record, EVENT_SENT,
		"250 %.*s PIPELINING SIZE %" PRIu64 " 8BITMIME%s DSN ENHANCEDSTATUSCODES",
		STR_ARG(c->conf->hostname), c->conf->smtp_max_size, starttls ? " STARTTLS" : "");
}

static void command_rset(struct smtp_session *c, struct str argument)
{
	(void)argument;
	smtp_reset_transaction(c);
	smtp_reply(c, 250, "2.0.0", "Forgotten");
}

static void command_noop(struct smtp_session *c, struct str argument)
{
	(void)argument;
	smtp_reply(c, 250, "2.0.0", "Done nothing");
}

static void command_quit(struct smtp_session *c, struct str argument)
{
	(void)argument;
	smtp_reply(c, 221, "2.0.0", "%.*s closes the connection", STR_ARG(c->conf->hostname));
	smtp_end(c, quit);
}

/* RFC 5321 3.5.3 and 7.3: 252 gives no addresses away. */
static void command_vrfy(struct smtp_session *c, struct str argument)
{
	(void)argument;
	smtp_reply(c, 252, "2.0.0", "Not verified here; RCPT tells whether mail is accepted");
}

static void command_unimplemented(struct smtp_session *c, struct str argument)
{
	(void)argument;
	smtp_reply(c, 502, "5.5.1", "Not offered here; EHLO lists what is");
}

static void command_unknown(struct smtp_session *c, struct str argument)
{
	(void)argument;
	smtp_reply(c, 500, "5.5.2", "Not a command known here; HELP lists them");
}

static void command_help(struct smtp_session *c, struct str argument)
{
	(void)argument;
	smtp_reply(c, 214, "2.0.0",
		"Commands: EHLO HELO STARTTLS MAIL RCPT DATA RSET NOOP QUIT VRFY HELP (RFC 5321)");
}

/* ---- the table --------------------------------------------------------------------------------- */

/* Rules that hold for several verbs. */
enum verb_flags {
	NEEDS_TLS = 1,   /* where TLS is required, only after STARTTLS (RFC 3207 section 4) */
	NEEDS_HELLO = 2, /* only after EHLO or HELO */
	NEEDS_MAIL = 4,  /* only inside a transaction */
	NO_ARGUMENT = 8,
	SECRET = 16, /* its argument may be a password: not recorded */
};

struct verb {
	void (*run)(struct smtp_session *c, struct str argument);
	unsigned flags;
};

static const struct verb verbs[VERB_COUNT] = {
	[VERB_EHLO] = {command_ehlo, 0},
	[VERB_HELO] = {command_helo, 0},
	[VERB_STARTTLS] = {smtp_command_starttls, NEEDS_HELLO | NO_ARGUMENT},
	[VERB_MAIL] = {smtp_command_mail, NEEDS_TLS | NEEDS_HELLO},
	[VERB_RCPT] = {smtp_command_rcpt, NEEDS_TLS | NEEDS_HELLO | NEEDS_MAIL},
	[VERB_DATA] = {smtp_command_data, NEEDS_TLS | NEEDS_HELLO | NEEDS_MAIL | NO_ARGUMENT},
	[VERB_RSET] = {command_rset, NO_ARGUMENT},
	[VERB_NOOP] = {command_noop, 0},
	[VERB_QUIT] = {command_quit, NO_ARGUMENT},
	[VERB_VRFY] = {command_vrfy, NEEDS_TLS},
	[VERB_HELP] = {command_help, NEEDS_TLS},
	[VERB_EXPN] = {command_unimplemented, NEEDS_TLS},
	[VERB_BDAT] = {command_unimplemented, NEEDS_TLS},
	[VERB_AUTH] = {command_unimplemented, NEEDS_TLS | SECRET},
	[VERB_TURN] = {command_unimplemented, NEEDS_TLS},
	[VERB_UNKNOWN] = {command_unknown, 0},
};

/* Checks the verb's flags; on a broken rule answers and returns false. */
static bool rules_hold(struct smtp_session *c, const struct smtp_command *command)
{
	const unsigned flags = verbs[command->verb].flags;
	struct smtp_fault fault;
	if ((flags & NEEDS_TLS) && smtp_tls_missing(c))
		smtp_reply(c, 530, "5.7.0", "Must issue a STARTTLS command first");
	else if ((flags & NEEDS_HELLO) && !c->hello[0])
		smtp_reply(c, 503, "5.5.1", "Say EHLO first");
	else if ((flags & NEEDS_MAIL) && !c->transaction.open)
		smtp_reply(c, 503, "5.5.1", "Say MAIL first");
	else if ((flags & NO_ARGUMENT) && !smtp_no_argument(command->argument, &fault))
		smtp_reply_fault(c, &fault);
	else
		return true;
	return false;
}

/* ---- the loop ---------------------------------------------------------------------------------- */

/* What the record shows of a line. An unknown line may be anything, even a password that a client
 * sent after a refused AUTH. */
static struct str shown_command(
	struct smtp_session *c, const struct smtp_command *command, struct str line)
{
	if (verbs[command->verb].flags & SECRET) {
		c->auth_tried = true;
		return arena_fmt(
			c->command_arena, "%s (%zu bytes not shown)", smtp_verb_name(command->verb), line.n);
	}
	if (command->verb == VERB_UNKNOWN)
		return c->auth_tried ? STR("(not shown)") : str_take(command->name, 20);
	return line;
}

static void run_command(struct smtp_session *c, struct str line)
{
	struct smtp_command command;
	smtp_command_split(line, &command);
	/* A copy: the line itself goes with the next read, which some commands do. */
	c->command = arena_dup(c->command_arena, shown_command(c, &command, line));
	record_add(c->record, EVENT_RECEIVED, "%.*s", STR_ARG(c->command));
	if (rules_hold(c, &command))
		verbs[command.verb].run(c, command.argument);
}

static void malformed_line(struct smtp_session *c, const char *what)
{
	c->command = str_from_c(what);
	record_add(c->record, EVENT_RECEIVED, "(%s)", what);
}

static void next_command(struct smtp_session *c)
{
	struct str line;
	struct err err;
	err_clear(&err);
	c->command = STR("");
	if (stopping(c)) {
		say_stopping(c);
		return;
	}
	if (c->server->idle)
		*c->server->idle = true;
	enum stream_line read = stream_line(c->stream, SMTP_COMMAND_MAX, &line, &err);
	if (c->server->idle)
		*c->server->idle = false;

	if (read == STREAM_END) {
		smtp_lost(c, &err);
	} else if (read == STREAM_TOO_LONG) {
		malformed_line(c, "line too long");
		smtp_reply(c, 500, "5.5.2", "Line too long: at most %d bytes", SMTP_COMMAND_MAX);
	} else if (read == STREAM_BARE) {
		malformed_line(c, "bare CR or LF");
		smtp_reply(c, 500, "5.5.2", "Bare CR or LF: end lines with CR LF");
	} else {
		run_command(c, line);
	}
	c->commands++;
}

static void check_limits(struct smtp_session *c)
{
	if (c->ended)
		return;
	if (c->errors >= c->conf->smtp_max_errors) {
		smtp_reply(c, 421, "4.7.0", "Too many errors, closing");
		smtp_end(c, "too many errors");
	} else if (c->commands >= c->conf->smtp_max_commands) {
		smtp_reply(c, 421, "4.7.0", "Too many commands in one session, connect again");
		smtp_end(c, "too many commands");
	}
}

static const char *listener_name(enum listener listener)
{
	static const char *const names[] = {"smtp", "submission", "submissions"};
	return names[listener];
}

static void record_begin(struct smtp_session *c)
{
	char peer[80];
	snprintf(peer, sizeof peer, "%.*s:%.*s", STR_ARG(c->server->client),
		STR_ARG(c->server->client_port));
	c->record = record_new(c->record_arena, RECORD_SESSION, str_from_c(peer));
	record_add(c->record, EVENT_CONNECT, "%s %s", peer, listener_name(c->server->listener));
}

static void record_end(struct smtp_session *c, const char *why)
{
	record_add(c->record, EVENT_NOTE, "%s", why);
	if (c->record_wanted)
		c->server->questions->record(c->server->arg, c->record);
	c->record_wanted = false;
	arena_reset(c->record_arena);
}

/* A record tells of few messages, so that none loses its story to those that came later. */
static void split_record(struct smtp_session *c)
{
	char before[ID_TEXT];
	if (c->record->message_count < RECORD_SPLIT)
		return;
	id_format(c->record->id, before);
	record_end(c, "the session goes on in another record");
	record_begin(c);
	record_add(c->record, EVENT_NOTE, "goes on from record %s", before);
	if (c->tls.n)
		tls_describe(stream_ssl(c->stream), c->record);
}

static void log_begin(struct smtp_session *c)
{
	static struct log_thin thin;
	c->quiet = !log_thin_may(&thin, "smtp.connect", clock_steady_ms());
	if (!c->quiet)
		log_info("smtp.connect", "client=%.*s:%.*s listener=%s", STR_ARG(c->server->client),
			STR_ARG(c->server->client_port), listener_name(c->server->listener));
}

static void session_begin(
	struct smtp_session *c, struct stream *s, const struct smtp_server *server)
{
	*c = (struct smtp_session){
		.stream = s,
		.server = server,
		.conf = server->conf,
		.arena = arena_new(),
		.command_arena = arena_new(),
		.record_arena = arena_new(),
		.transaction.arena = arena_new(),
	};
	record_begin(c);
	id_format(c->record->id, log_context()->session);
	stream_set_timeout(s, (int64_t)c->conf->smtp_timeout_ms);
	stream_set_deadline(s, clock_steady_ms() + (int64_t)c->conf->smtp_session_ms);
	stream_set_line_timeout(s, (int64_t)c->conf->smtp_line_ms);
	log_begin(c);
	if (stream_ssl(s))
		smtp_tls_started(c);
}

static void session_end(struct smtp_session *c)
{
	struct err err;
	err_clear(&err);
	if (c->ended == quit)
		stream_flush(c->stream, &err);
	else
		stream_linger(c->stream);
	if (!c->quiet || c->messages)
		log_info("smtp.close",
			"client=%.*s why=\"%s\" messages=%" PRIu64 " commands=%" PRIu64 " refusals=%" PRIu64
			" errors=%" PRIu64,
			STR_ARG(c->server->client), c->ended, c->messages, c->commands, c->refusals, c->errors);
	record_end(c, c->ended);
	smtp_reset_transaction(c);
	arena_free(c->record_arena);
	arena_free(c->command_arena);
	arena_free(c->transaction.arena);
	arena_free(c->arena);
	log_context()->session[0] = 0;
}

void smtp_serve(struct stream *s, const struct smtp_server *server)
{
	struct smtp_session c;
	session_begin(&c, s, server);
	smtp_reply(&c, 220, "", "%.*s ESMTP Letterlock", STR_ARG(c.conf->hostname));
	while (!c.ended) {
		next_command(&c);
		check_limits(&c);
		split_record(&c);
		arena_reset(c.command_arena);
	}
	session_end(&c);
}
