/* smtp_data: the content of DATA, in both directions (RFC 5321 4.5.2).
 *
 * Only CR LF "." CR LF ends a message. A CR without LF or a LF without CR is content, never a line
 * end and never part of the terminator; it is remembered in `bare`, and a message with one must be
 * refused (RFC 5321 2.3.8): other servers disagree about where its lines end, which is how mail is
 * smuggled. The machine still runs to the true end, so that the session stays in step.
 *
 *   LINE   at the start of a line; so it is at the very start (the CRLF of "DATA" counts)
 *   TEXT   inside a line
 *   CR     after a CR in a line
 *   DOT    after a "." at the start of a line: dropped, whatever follows
 *   DOT_CR after ".CR" at the start of a line: the end if LF follows */
#ifndef WIRE_SMTP_DATA_H
#define WIRE_SMTP_DATA_H

#include "wire/parse.h"

enum smtp_data_state {
	SMTP_DATA_LINE,
	SMTP_DATA_TEXT,
	SMTP_DATA_CR,
	SMTP_DATA_DOT,
	SMTP_DATA_DOT_CR,
	SMTP_DATA_END,
};

struct smtp_data {
	enum smtp_data_state state;
	bool bare; /* a bare CR or LF was seen: refuse the message */
};

/* Before the first byte behind "DATA" CRLF. */
void smtp_data_init(struct smtp_data *d);
/* Takes bytes from *at (which moves) and gives the next run of content without stuffing, as long as
 * possible, in *ret; it may be empty. Unlike other parsers it moves the cursor on PARSE_MORE too.
 * PARSE_DONE: the end was read, *ret is the last run, *at stands behind the terminator. PARSE_MORE:
 * call again, with new input once *at is empty. Never PARSE_BAD. */
enum parse smtp_data_read(struct smtp_data *d, struct str *at, struct str *ret);

/* The sender's side: content becomes what is written after "354". */
struct smtp_stuff {
	bool line_start;
	bool after_cr;
};

/* Before the first byte of the content. */
void smtp_stuff_init(struct smtp_stuff *s);
/* Takes bytes from *at (which moves) and gives the next run to be written in *ret: a slice of the
 * input or a dot. False when *at is used up. */
bool smtp_stuff_write(struct smtp_stuff *s, struct str *at, struct str *ret);
/* What ends the message: ".CRLF", with a CRLF before it if the content did not end with one. */
struct str smtp_stuff_end(const struct smtp_stuff *s);

#endif
