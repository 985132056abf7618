/* smtp_command: what a client may say (RFC 5321 4.1.1). A line becomes a verb and its argument; the
 * arguments of HELO, MAIL and RCPT have parsers of their own, so that a session can first look
 * whether the verb is welcome at all.
 *
 * A parser that refuses fills a struct smtp_fault: all that a precise reply needs. */
#ifndef WIRE_SMTP_COMMAND_H
#define WIRE_SMTP_COMMAND_H

#include "wire/smtp_address.h"
#include "wire/smtp_param.h"

/* Longest command line without CRLF: 512 (RFC 5321 4.5.3.1.4), MAIL with SIZE 26, BODY 17, RET 9,
 * ENVID 107, AUTH 500; RCPT with NOTIFY 30, ORCPT 507; rounded up. */
enum { SMTP_COMMAND_MAX = 2046 };

enum smtp_verb {
	VERB_UNKNOWN,
	VERB_AUTH,
	VERB_BDAT,
	VERB_DATA,
	VERB_EHLO,
	VERB_EXPN,
	VERB_HELO,
	VERB_HELP,
	VERB_MAIL,
	VERB_NOOP,
	VERB_QUIT,
	VERB_RCPT,
	VERB_RSET,
	VERB_STARTTLS,
	VERB_TURN,
	VERB_VRFY,
	VERB_COUNT,
};

struct smtp_command {
	enum smtp_verb verb;
	struct str name;     /* the first word, as written */
	struct str argument; /* what follows it, without blanks at both ends */
};

struct smtp_fault {
	unsigned code;        /* 501, 553, 555 */
	const char *enhanced; /* "5.5.4" */
	const char *text;     /* "unknown MAIL parameter" */
	struct str what;      /* the word at fault: printable ASCII, at most 64 bytes; may be empty */
};

/* "MAIL", …; "?" for VERB_UNKNOWN. */
const char *smtp_verb_name(enum smtp_verb verb);
/* Never fails: what has no known verb is VERB_UNKNOWN. Case does not matter; blanks at the end of
 * the line are ignored (RFC 5321 4.1.1). The argument of MAIL begins with FROM:, that of RCPT with
 * TO:. */
void smtp_command_split(struct str line, struct smtp_command *ret);

/* HELO and EHLO: Domain / address-literal. Names that break the rules but harm nobody pass, as in
 * every server: at most SMTP_DOMAIN_MAX bytes of letters, digits, dots and what else an atom may
 * hold (RFC 5322 3.2.3: underscore, hyphen), in any order; so does an IPv6 literal without tag.
 * *ret is a slice of `argument`; *ret_literal says that it is an address literal. */
bool smtp_helo_argument(
	struct str argument, struct str *ret, bool *ret_literal, struct smtp_fault *ret_fault);

struct smtp_mail {
	struct mailbox sender;    /* null for "<>" */
	uint64_t size;            /* RFC 1870; 0: not given */
	enum body_type body_type; /* RFC 6152 */
	enum dsn_ret ret;         /* RFC 3461 4.3 */
	struct str envid;         /* RFC 3461 4.4, still xtext; empty: not given */
	struct str auth;          /* RFC 4954 5, still xtext, checked and otherwise ignored */
};
/* What follows MAIL: "FROM:" Reverse-path [ SP Mail-parameters ] (RFC 5321 4.1.1.2), blanks behind
 * the colon too. Slices of `argument`. False with *ret_fault, *ret untouched: no path, or a
 * parameter that is unknown, given twice or of a bad value. */
bool smtp_mail_argument(struct str argument, struct smtp_mail *ret, struct smtp_fault *ret_fault);

struct smtp_rcpt {
	struct mailbox recipient;
	uint8_t notify;   /* enum dsn_notify, or-ed; RFC 3461 4.1 */
	struct str orcpt; /* RFC 3461 4.2, with its type, still xtext; empty: not given */
};
/* What follows RCPT: "TO:" Forward-path [ SP Rcpt-parameters ] (RFC 5321 4.1.1.3); the rest as
 * above. */
bool smtp_rcpt_argument(struct str argument, struct smtp_rcpt *ret, struct smtp_fault *ret_fault);

/* For DATA, RSET, QUIT, STARTTLS: true if there is no argument, else false with *ret_fault (501). */
bool smtp_no_argument(struct str argument, struct smtp_fault *ret_fault);

#endif
