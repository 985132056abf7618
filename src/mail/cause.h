/* cause: the one reason why a message waits or came back. Stable ids with an owner and a next step,
 * the same in queue, trace, DSN, log and metrics. The table stands in cause.c, doc/CAUSES.md is made
 * from it; an id is never reused or renamed. */
#ifndef MAIL_CAUSE_H
#define MAIL_CAUSE_H

#include "base/buf.h"
#include "base/str.h"

enum cause_owner { OWNER_US, OWNER_THEM, OWNER_SENDER, OWNER_NETWORK };

struct cause {
	const char *id; /* "tls.untrusted-root" */
	enum cause_owner owner;
	const char *enhanced; /* RFC 3463 status without its class: "7.5" */
	const char *text;     /* what it means, one sentence */
	const char *next;     /* what the administrator does next, one sentence */
	const char *advice;   /* what the sender of the message can do, one sentence (bounces) */
};

extern const struct cause causes[];
extern const unsigned cause_count;
enum { CAUSES_MAX = 63 };

/* Never NULL: an unknown id gives the row "unknown". */
const struct cause *cause_find(struct str id);
/* "us", "them", "sender", "network": the word in JSON and in reports for programs. */
const char *cause_owner_name(enum cause_owner owner);
/* The whole table as Markdown: doc/CAUSES.md. */
void cause_manual(struct buf *out);

#endif
