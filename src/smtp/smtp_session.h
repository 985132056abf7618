/* smtp_session: what the commands of a server session share. Included by smtp_server*.c only.
 *
 * Memory: `arena` lives as long as the session, `record_arena` as long as one of its records,
 * `transaction.arena` from MAIL to the end of the message (or RSET), `command_arena` for one command.
 * A session that waits for a command owns nothing else. */
#ifndef SMTP_SMTP_SESSION_H
#define SMTP_SMTP_SESSION_H

#include "base/map.h"
#include "smtp/smtp_server.h"
#include "wire/smtp_command.h"

enum {
	SMTP_HELLO_MAX = 255, /* a domain name (RFC 5321 4.5.3.1.2) */
	SMTP_REPLY_MAX = 512, /* with its CRLF (RFC 5321 4.5.3.1.5) */
	RECORD_SPLIT = 16,    /* messages in one record: some ten events each */
};

struct smtp_transaction {
	struct arena *arena;
	bool open; /* MAIL was accepted */
	struct envelope envelope;
	uint32_t recipient_room; /* of envelope.recipients */
	struct map *seen;        /* recipients so far, domains in lower case */
	uint64_t room;           /* bytes set aside for the message */
};

struct smtp_session {
	struct stream *stream;
	const struct smtp_server *server;
	const struct conf *conf;
	struct arena *arena;
	struct arena *command_arena;
	struct arena *record_arena;
	struct record *record;
	char hello[SMTP_HELLO_MAX + 1];        /* EHLO's or HELO's argument; empty: not yet said */
	bool extended;                         /* EHLO, not HELO */
	struct str tls;                        /* "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: in clear */
	bool any_recipient;                    /* the store said so */
	char open_domain[SMTP_DOMAIN_MAX + 1]; /* all its recipients, lower case; or empty */
	struct str command;                    /* the line at work, as the record shows it */
	bool auth_tried;                       /* what follows may be a password */
	bool record_wanted;                    /* it carried mail or a refusal */
	uint64_t commands, messages, recipients;
	bool quiet;                /* its beginning is not in the log: there were too many like it */
	uint64_t refusals, errors; /* 4yz and 5yz; 5yz */
	const char *ended;         /* why the session is over, for the log; NULL: it goes on */
	struct smtp_transaction transaction;
};

/* ---- smtp_server.c */

/* One reply line "CODE ENHANCED text"; `enhanced` "" leaves it out. Characters that no reply may
 * hold become '?', the text is cut to a line. Notes it in the record; 4yz and 5yz are logged as
 * refusals, 5yz are counted as errors. */
void smtp_reply(struct smtp_session *c, unsigned code, const char *enhanced, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The reply to what a parser refused. */
void smtp_reply_fault(struct smtp_session *c, const struct smtp_fault *fault);
/* Ends the session after this command; `why` is a literal for the log. */
void smtp_end(struct smtp_session *c, const char *why);
/* The peer went away or waited too long: says 421 if it may still listen, and ends. */
void smtp_lost(struct smtp_session *c, const struct err *err);
/* Forgets sender, recipients and hello (RFC 3207 4.2). */
void smtp_forget_hello(struct smtp_session *c);
/* Forgets sender and recipients. */
void smtp_reset_transaction(struct smtp_session *c);

/* ---- smtp_server_tls.c */
bool smtp_tls_offered(const struct smtp_session *c);
bool smtp_tls_missing(const struct smtp_session *c);
/* Notes protocol and cipher of a stream that is TLS now. */
void smtp_tls_started(struct smtp_session *c);
void smtp_command_starttls(struct smtp_session *c, struct str argument);

/* ---- smtp_server_mail.c */
void smtp_command_mail(struct smtp_session *c, struct str argument);
void smtp_command_rcpt(struct smtp_session *c, struct str argument);

/* ---- smtp_server_data.c */
void smtp_command_data(struct smtp_session *c, struct str argument);

#endif
