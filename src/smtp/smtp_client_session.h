/* smtp_client_session: what the parts of a client session share. Included by smtp_client*.c only.
 *
 * Memory: `arena` lives as long as the connection; texts of one call (results, failures) go to
 * `texts`, which is the caller's. An idle session owns neither reply nor buffer. */
#ifndef SMTP_SMTP_CLIENT_SESSION_H
#define SMTP_SMTP_CLIENT_SESSION_H

#include "mail/reply_cause.h"
#include "smtp/smtp_client.h"
#include "wire/smtp_reply.h"

/* What the session is doing; the table in smtp_client_reply.c has the words and the patience. */
enum smtp_client_state {
	SMTP_GREETING,
	SMTP_EHLO,
	SMTP_HELO,
	SMTP_STARTTLS,
	SMTP_HANDSHAKE,
	SMTP_RSET,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BODY,
	SMTP_END_OF_DATA,
};

struct smtp_client {
	struct arena *arena;
	struct stream *stream;
	struct conf *conf;
	struct str host, address, name, helo; /* name: what the certificate must show */
	enum tls_level tls_level;
	struct str tls; /* as results tell it */
	struct smtp_extensions offers;
	bool in_transaction; /* the server may still hold sender and recipients: RSET before MAIL */
	bool closing;        /* it said 421, or the session is out of step: no more commands */
	unsigned messages;   /* carried, or tried */
	unsigned unanswered; /* commands whose replies are still to come */
	bool early;          /* what is read next was there before the command it should answer */

	int64_t until_ms;      /* steady clock: no wait goes beyond; 0: no limit */
	struct record *record; /* of the attempt that is going on */
	struct arena *texts;
	struct smtp_reply reply; /* the last one */
};

/* ---- smtp_client_reply.c */

/* Before something is sent that has a reply: looks whether the server spoke too early. */
void smtp_client_expect(struct smtp_client *c);
/* Sends one command line, which has a reply, and notes it in the record. */
void smtp_client_put(struct smtp_client *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Sets how long the peer may take for what comes now, however it trickles; `extra_ms` more. */
void smtp_client_patience(struct smtp_client *c, enum smtp_client_state state, int64_t extra_ms);
/* Reads one reply into c->reply. False, with the session closing and *ret filled, if none came, or
 * one that cannot be an answer because it was there first, or it was 421. */
bool smtp_client_reply(
	struct smtp_client *c, enum smtp_client_state state, struct smtp_failure *ret);
/* The last reply as a failure: it refuses, or it is none that fits. */
void smtp_client_refused(
	struct smtp_client *c, enum smtp_client_state state, struct smtp_failure *ret);
/* The connection died while doing that. */
void smtp_client_lost(struct smtp_client *c, enum smtp_client_state state, const struct err *err,
	struct smtp_failure *ret);
/* A failure found by ourselves; the enhanced code is that of the cause. */
void smtp_client_fail(struct smtp_client *c, enum smtp_client_state state, enum delivery outcome,
	const char *cause, struct smtp_failure *ret, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));
/* The last reply's text, and its enhanced code or the one that stands for it ("2.0.0"). */
struct str smtp_client_reply_text(struct smtp_client *c);
const char *smtp_client_command_name(enum smtp_client_state state);

/* ---- smtp_client_tls.c */

/* STARTTLS as the level says. True: go on, in clear or encrypted; *ret_started tells which. */
bool smtp_client_start_tls(struct smtp_client *c, const struct smtp_target *target,
	bool *ret_started, struct smtp_failure *ret);

#endif
