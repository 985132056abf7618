/* smtp_server: one SMTP session as server, from greeting to QUIT (RFC 5321). Reads top to bottom:
 * a table of verbs, a visible loop, one function per command. Knows its stream, its settings and
 * four questions; nothing of sockets, files or databases. */
#ifndef SMTP_SMTP_SERVER_H
#define SMTP_SMTP_SERVER_H

#include "ask/ask_mail.h"
#include "ask/record.h"
#include "base/meter.h"
#include "conf/conf.h"
#include "io/body.h"
#include "io/stream.h"

/* What the session asks. The edge role answers from its links, a test from a table. */
struct smtp_questions {
	/* 0 with *ret, or -1 with *err (temporary: the store is away). */
	int (*rcpt)(void *arg, const struct ask_rcpt *q, struct arena *arena,
		struct ask_rcpt_answer *ret, struct err *err);
	/* 0 when the message is durable. q->body stays the session's. */
	int (*accept)(void *arg, const struct ask_accept *q, struct err *err);
	body_spool_open *open_spool;
	/* Sets `bytes` aside for a message in hand; false: there is no room for them, or (with 0 too) for
	 * any mail now. Asks nobody and never waits. */
	bool (*take_room)(void *arg, uint64_t bytes);
	/* What was set aside: the message was kept, or given up. */
	void (*give_room)(void *arg, uint64_t bytes);
	void (*record)(void *arg, struct record *r);
};

struct smtp_server {
	const struct conf *conf;
	enum listener listener;
	struct str client; /* IP address as text */
	struct str client_port;
	/* NULL: no STARTTLS is offered, whatever the settings say. On LISTENER_SUBMISSIONS the stream
	 * is already TLS. */
	struct ssl_ctx_st *tls;
	const struct smtp_questions *questions;
	void *arg;        /* of the questions */
	const bool *stop; /* set to true: answer 421 at the next command and end; may be NULL */
	/* True while the session waits for a command, so that nothing is lost when the reading side of
	 * its socket is shut to end it; may be NULL. */
	bool *idle;
	struct meter *refused; /* counts replies 4yz and 5yz; may be NULL */
};

/* Runs the session until QUIT, the end of the stream or a limit. The stream stays the caller's. */
void smtp_serve(struct stream *s, const struct smtp_server *server);

#endif
