/* smtp_client: one SMTP session as client (RFC 5321, 1870, 2920, 3207, 3461, 6152). A connection is
 * opened once, may carry several messages and is closed with QUIT. What was said goes to the record
 * of the attempt that is going on. Knows its stream and its settings; nothing of DNS or sockets.
 *
 * Replies are hostile: a line has a longest length, a reply a most of lines, and a deadline that
 * no trickle moves; their text is cut and cleaned before it goes anywhere. */
#ifndef SMTP_SMTP_CLIENT_H
#define SMTP_SMTP_CLIENT_H

#include "ask/ask_mail.h"
#include "ask/record.h"
#include "conf/conf.h"
#include "io/stream.h"

struct smtp_client;

struct smtp_target {
	struct str host;    /* "mx1.example.org", or an address without brackets */
	struct str address; /* "192.0.2.1:25", for record and results */
	struct str sni;     /* name to send as SNI and to check; empty: `host` */
	struct str helo;    /* empty: server.hostname */
	enum tls_level tls;
	/* From tls_client_context() for this level; NULL with TLS_OFF. */
	struct ssl_ctx_st *tls_ctx;
	/* Steady clock: when opening must be over, however the peer drags it out; 0: no limit. */
	int64_t until_ms;
	/* TLS_MAY and TLS_MAY only: the handshake failed on the connection before, so no STARTTLS. */
	bool in_clear;
};

/* Why a session or a message failed, as struct recipient_result says it. */
struct smtp_failure {
	enum delivery outcome;
	uint16_t code;
	struct str enhanced, text, command, cause;
	/* TLS_MAY and the handshake failed: connect again with target.in_clear. */
	bool retry_in_clear;
	struct str tls; /* why there is no TLS, or what it was */
};

/* Takes the connected stream over: greeting, EHLO (HELO if refused), STARTTLS by level and its
 * verification, EHLO again. NULL with *ret_failure (texts in `arena`); the stream is closed then.
 * The client copies what it keeps of `target`; `conf` is held. */
struct smtp_client *smtp_client_open(struct stream *s, const struct smtp_target *target,
	struct conf *conf, struct record *r, struct arena *arena, struct smtp_failure *ret_failure);

enum smtp_sent {
	SMTP_SENT_OPEN,   /* the results stand, the connection can carry another message */
	SMTP_SENT_CLOSED, /* the results stand, the connection is of no more use */
	SMTP_SENT_STALE,  /* the idle connection had died before MAIL was answered: the message did not
					   * leave and the results mean nothing; try again on a fresh one */
};
/* Sends one message: transactions of at most SMTP_CLIENT_RECIPIENTS recipients each. Fills one result
 * per recipient of the envelope, all fields (texts in `arena`, or literals). `body` is the content
 * without the prefix; both together are sent with the dots it takes. `until_ms` as in smtp_target. */
enum smtp_sent smtp_client_send(struct smtp_client *c, const struct ask_deliver *message,
	struct str body, int64_t until_ms, struct record *r, struct arena *arena,
	struct recipient_result *results);
/* RFC 5321 4.5.3.1.8: every server takes a hundred. */
enum { SMTP_CLIENT_RECIPIENTS = 100 };

/* Sends QUIT, waits for no reply, and closes. NULL is allowed. */
void smtp_client_close(struct smtp_client *c);
/* Facts of the connection, slices of the client: host and address of the target, and TLS as results
 * tell it: "TLSv1.3 TLS_AES_256_GCM_SHA384 verified", or in words why not. */
struct str smtp_client_host(const struct smtp_client *c);
struct str smtp_client_address(const struct smtp_client *c);
struct str smtp_client_tls(const struct smtp_client *c);

#endif
