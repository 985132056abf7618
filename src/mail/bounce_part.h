/* bounce_part: the parts that bounce.c puts together. Private to src/mail/bounce*.c. */
#ifndef MAIL_BOUNCE_PART_H
#define MAIL_BOUNCE_PART_H

#include "mail/bounce.h"

/* What a bounce says of all its recipients together: the gravest. */
enum bounce_action bounce_gravest(const struct bounce *b);
/* Why and how, and what to do: plain ASCII text with CRLF. `subject` of the original, `returned`:
 * what follows ("The headers of your message are"). */
void bounce_words(
	const struct bounce *b, struct str subject, const char *returned, struct buf *out);
/* message/delivery-status (RFC 3464 2). */
void bounce_status(const struct bounce *b, struct buf *out);

#endif
