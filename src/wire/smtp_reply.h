/* smtp_reply: what a server says (RFC 5321 4.2), for the client. */
#ifndef WIRE_SMTP_REPLY_H
#define WIRE_SMTP_REPLY_H

#include "base/buf.h"
#include "wire/enhanced.h"

enum {
	SMTP_REPLY_LINE_MAX = 2048, /* bytes without CRLF that are read; RFC 5321 4.5.3.1.5 says 510 */
	SMTP_REPLY_LINES = 200,
	SMTP_REPLY_TEXT_MAX = 8192, /* of all lines; what is beyond is dropped */
};

struct smtp_reply {
	unsigned code;                   /* 200 to 599 */
	char enhanced[ENHANCED_MAX + 1]; /* of the first line, empty if there is none */
	struct buf text; /* lines without codes, between them LF; any byte but CR and LF may occur */
	unsigned lines;
};

/* Owns no memory before the first line. */
void smtp_reply_init(struct smtp_reply *r);
/* Frees the text. */
void smtp_reply_done(struct smtp_reply *r);
/* Forgets the last reply but keeps the memory. */
void smtp_reply_clear(struct smtp_reply *r);
/* Takes one line without its CRLF. PARSE_DONE: the reply is complete. PARSE_MORE: another line
 * follows. PARSE_BAD: no reply, or one whose lines have different codes, or too many of them: the
 * session cannot go on. */
enum parse smtp_reply_add(struct smtp_reply *r, struct str line);
/* All lines joined by " / " for people: control characters and bytes above 127 become '?'. Adds at
 * most `max` bytes to *out. */
void smtp_reply_describe(const struct smtp_reply *r, size_t max, struct buf *out);

/* What the answer to EHLO offers (RFC 5321 4.1.1.1). */
struct smtp_extensions {
	bool pipelining;            /* RFC 2920 */
	bool eightbitmime;          /* RFC 6152 */
	bool starttls;              /* RFC 3207 */
	bool dsn;                   /* RFC 3461 */
	bool enhanced_status_codes; /* RFC 2034 */
	bool chunking;              /* RFC 3030 */
	bool smtputf8;              /* RFC 6531 */
	bool size;                  /* RFC 1870 */
	uint64_t size_max;          /* bytes; 0: no fixed limit */
	struct str auth;            /* mechanisms, as written (RFC 4954); empty: not offered */
};
/* Slices point into the text of the reply. The first line is the greeting and is skipped. */
void smtp_extensions_parse(const struct smtp_reply *r, struct smtp_extensions *ret);

#endif
