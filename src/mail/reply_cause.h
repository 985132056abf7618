/* reply_cause: what an SMTP server means by its reply: try again or not, and which cause. */
#ifndef MAIL_REPLY_CAUSE_H
#define MAIL_REPLY_CAUSE_H

#include "mail/cause.h"

enum reply_command {
	REPLY_TO_GREETING, /* the first reply, to no command */
	REPLY_TO_EHLO,     /* or HELO */
	REPLY_TO_STARTTLS,
	REPLY_TO_MAIL,
	REPLY_TO_RCPT,
	REPLY_TO_DATA, /* DATA and the end of data */
};

struct reply_verdict {
	bool permanent;
	const struct cause *cause;
};

/* For a reply that refuses. 4yz is temporary, 5yz permanent (RFC 5321 4.2.1), save that
 *   - what is refused before MAIL is temporary: it speaks of this host and this hour, not of the
 *     message; another host may take it, and an administrator has time to mend the matter;
 *   - 552 to RCPT is temporary (4.5.3.1.10: too many recipients) unless its enhanced code says that
 *     the mailbox or the size is meant;
 *   - a code that is neither 4yz nor 5yz is peer.protocol, temporary.
 * `enhanced` is "5.1.1" (RFC 3463), or empty: then `text` is looked at for one at its start. */
struct reply_verdict reply_cause(
	enum reply_command command, uint16_t code, struct str enhanced, struct str text);

#endif
