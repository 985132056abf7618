/* smtp_client: one SMTP session as client (RFC 5321, 2920, 3207, 3461, 6152, 1870). A connection is
 * opened once, may carry several messages (smtp_client_send) and is closed with QUIT. What was said
 * goes to the record of the attempt. */
#ifndef SMTP_SMTP_CLIENT_H
#define SMTP_SMTP_CLIENT_H

#include "ask/ask_mail.h"
#include "ask/record.h"
#include "conf/conf.h"
#include "io/stream.h"

struct smtp_client;

struct smtp_target {
	struct str host;    /* name to check and to send as SNI unless `sni` is set */
	struct str address; /* "192.0.2.1:25", for record and results */
	struct str sni;
	struct str helo;
	enum tls_level tls;
	/* Context for may (unverified) or verify; NULL with TLS_OFF. */
	struct ssl_ctx_st *tls_ctx;
};

/* Why a session or a message failed, as recipient_result says it. */
struct smtp_failure {
	enum delivery outcome;
	uint16_t code;
	struct str enhanced, text, command, cause;
	/* TLS_MAY and the handshake failed: try again in clear on a new connection. */
	bool retry_without_tls;
};

/* Takes the connected stream over: greeting, EHLO (HELO if refused), STARTTLS by level and its
 * verification, EHLO again. NULL with *ret_failure (texts in `arena`); the stream is closed then. */
struct smtp_client *smtp_client_open(struct stream *s, const struct smtp_target *target,
	const struct conf *conf, struct record *r, struct arena *arena,
	struct smtp_failure *ret_failure);
/* Sends one message; fills one result per recipient of the envelope (texts in `arena`). Returns true
 * if the connection can carry another message. */
bool smtp_client_send(struct smtp_client *c, const struct ask_deliver *message, struct str body,
	struct record *r, struct arena *arena, struct recipient_result *results);
/* QUIT and close; NULL is allowed. */
void smtp_client_close(struct smtp_client *c);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384 verified", or "" in clear. */
struct str smtp_client_tls(const struct smtp_client *c);

#endif
