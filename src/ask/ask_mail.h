/* ask_mail: the questions a message raises on its way (kinds in questions.h). */
#ifndef ASK_ASK_MAIL_H
#define ASK_ASK_MAIL_H

#include "ask/envelope.h"
#include "conf/conf.h"
#include "io/body.h"
#include "mail/route.h"

/* ---- ASK_RCPT. The answer is a reply for the peer: code 250 lets it pass. A 250 may hold for more
 * recipients of the same session, so that not each of them costs a question; ASK_ACCEPT looks at all
 * of them once more. */
enum listener { LISTENER_SMTP, LISTENER_SUBMISSION, LISTENER_SUBMISSIONS, LISTENER_LAST = 2 };
struct ask_rcpt {
	enum listener listener;
	struct str client; /* IP address as text, without port */
	struct str sender;
	struct str recipient;
};
enum rcpt_scope { RCPT_ONE, RCPT_DOMAIN, RCPT_ALL, RCPT_SCOPE_LAST = RCPT_ALL };
struct ask_rcpt_answer {
	uint16_t code;
	enum rcpt_scope scope; /* of a 250 */
	struct str text;       /* with enhanced status code: "5.7.1 relaying denied: …" */
};

/* ---- ASK_ACCEPT. Success means on disk and synced (P1). If store goes away before it answers, edge
 * asks the next one again: what was kept the first time is not kept twice. */
struct ask_accept {
	uint64_t
		queue_id; /* made by edge with id_make(); another message with the same id is refused */
	bool again;   /* asked before, the answer was lost */
	uint64_t session_id;
	struct envelope envelope;
	struct str
		prefix; /* header lines put in front of the body: Received, and on submission Date … */
	struct body body;      /* its descriptor travels beside */
	struct str message_id; /* with its <>, or empty */
	enum listener listener;
	struct str client; /* "192.0.2.1" */
	struct str helo;
	struct str tls;        /* "TLSv1.3 TLS_AES_256_GCM_SHA384", or empty */
	bool has_8bit;         /* bytes above 127 in the content */
	uint32_t longest_line; /* bytes without CRLF */
};

/* ---- ASK_SPOOL */
struct ask_spool_answer {
	uint64_t spool; /* for struct body */
};

/* ---- ASK_ROOM. So that an edge can refuse mail at MAIL without asking. The store remains the judge: its
 * answer to ASK_ACCEPT may be ERR_FULL all the same. */
struct ask_room {
	uint64_t bytes; /* the largest message, and all that this edge has in its hands together */
	bool low;       /* no mail is taken now, of whatever size */
};

/* ---- ASK_ADMIN. One ask for all verbs; who may is decided by store. */
struct ask_admin {
	struct str verb; /* "queue.list" */
	struct str args; /* a JSON object, as the client sent it */
};
struct ask_admin_answer {
	uint16_t status; /* HTTP: 200, 400, 403, 404, 409, 500, 503 */
	struct str json; /* empty if fd 0 carries it */
};

/* ---- ASK_DELIVER */
struct ask_deliver {
	uint64_t queue_id;
	struct envelope envelope; /* only the recipients of this attempt */
	struct str prefix;
	uint64_t body_size;
	struct str body; /* up to BODY_PACKET_MAX bytes; else a descriptor travels beside */
	bool has_8bit;
	struct route route;
};
enum delivery { DELIVERY_DONE, DELIVERY_TEMP, DELIVERY_PERM, DELIVERY_LAST = DELIVERY_PERM };
struct recipient_result {
	enum delivery outcome;
	uint16_t code;          /* the peer's reply code, 0: it said nothing */
	struct str enhanced;    /* "5.1.1", the peer's or ours */
	struct str text;        /* the peer's reply, all lines joined by " / ", or our own sentence */
	struct str command;     /* the command it answered: "RCPT TO", "end of data" */
	struct str cause;       /* id of a row in mail/cause.c; empty if delivered */
	struct str remote_host; /* "mx1.example.org" */
	struct str remote_address; /* "192.0.2.1:25" */
	struct str tls;            /* "TLSv1.3 … verified" as in the record, or why not */
	bool dsn; /* delivered: the peer took over who wants to be notified (RFC 3461 5.2.1) */
};
struct ask_deliver_answer {
	struct recipient_result *results; /* in the order of the envelope's recipients */
	uint32_t result_count;
	struct str record; /* packed struct record */
};

void xfer_ask_rcpt(struct xfer *x, void *v);           /* struct ask_rcpt */
void xfer_ask_rcpt_answer(struct xfer *x, void *v);    /* struct ask_rcpt_answer */
void xfer_ask_accept(struct xfer *x, void *v);         /* struct ask_accept */
void xfer_ask_spool_answer(struct xfer *x, void *v);   /* struct ask_spool_answer */
void xfer_ask_room(struct xfer *x, void *v);           /* struct ask_room */
void xfer_ask_admin(struct xfer *x, void *v);          /* struct ask_admin */
void xfer_ask_admin_answer(struct xfer *x, void *v);   /* struct ask_admin_answer */
void xfer_ask_deliver(struct xfer *x, void *v);        /* struct ask_deliver */
void xfer_ask_deliver_answer(struct xfer *x, void *v); /* struct ask_deliver_answer */

#endif
