/* bounce: the message that tells a sender what became of his message: a delivery status
 * notification (RFC 3464) in a multipart/report (RFC 6522), its first part in plain words.
 * Pure: everything comes in one struct. */
#ifndef MAIL_BOUNCE_H
#define MAIL_BOUNCE_H

#include "base/buf.h"
#include "base/str.h"

enum bounce_action {
	BOUNCE_FAILED,  /* given up or refused */
	BOUNCE_DELAYED, /* not yet delivered, will be tried until give_up_ms */
	BOUNCE_RELAYED, /* handed to a server that makes no notifications (NOTIFY=SUCCESS) */
};

/* Texts are those of recipient_result (ask/ask_mail.h); bytes that may not stand in a header are
 * dealt with here. */
struct bounce_recipient {
	enum bounce_action action;
	struct str address; /* without <> */
	struct str orcpt;   /* RFC 3461 4.2: "rfc822;" and xtext, or empty */
	uint16_t code;      /* 0: the peer said nothing */
	struct str enhanced;
	struct str text;
	struct str command;
	struct str cause; /* id, see mail/cause.h */
	struct str remote_host;
	struct str remote_address;
	struct str tls;
	uint32_t attempts;
	int64_t last_ms;    /* the last attempt; 0: none was made */
	int64_t give_up_ms; /* BOUNCE_DELAYED: how long it will be tried */
};

struct bounce {
	struct str hostname; /* server.hostname */
	struct str id;       /* queue id of the bounce: its Message-ID and boundary */
	int64_t now_ms;
	/* The message it speaks of. */
	struct str sender; /* to whom the bounce goes */
	struct str queue_id;
	struct str envid; /* xtext, or empty */
	int64_t arrived_ms;
	struct str prefix, body; /* together the message as it was accepted */
	/* RET=FULL: return the whole message, if it is small and has no line or byte that MIME forbids
	 * (over 998, NUL); else its headers. */
	bool full;
	const struct bounce_recipient *recipients;
	size_t recipient_count;
};

enum {
	BOUNCE_FULL_MAX = 64 * 1024,    /* larger messages come back as headers */
	BOUNCE_HEADERS_MAX = 32 * 1024, /* beyond, the rest of the headers is left out */
	BOUNCE_RECIPIENTS = 1000,       /* in one bounce; for more the caller makes several */
	BOUNCE_MAX = 4 * 1024 * 1024,   /* room for all of that: the maximum of `out` */
};

/* Writes the whole message, CRLF at each line's end, into `out` (emptied first; its maximum is at
 * least BOUNCE_MAX). *ret_has_8bit: it must travel as 8BITMIME, since the message it returns does.
 * False with nothing written if the sender is the null reverse-path, for a bounce never causes
 * another (RFC 5321 6.1), or if there are no recipients or more than BOUNCE_RECIPIENTS. */
bool bounce_write(const struct bounce *b, struct buf *out, bool *ret_has_8bit);

#endif
