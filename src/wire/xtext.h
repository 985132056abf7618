/* xtext: text in MAIL and RCPT parameters (RFC 3461 4). */
#ifndef WIRE_XTEXT_H
#define WIRE_XTEXT_H

#include "base/buf.h"

/* xtext = *( xchar / hexchar ); the whole of `s`. Empty is good. */
bool xtext_ok(struct str s);
/* xtext that stands for blanks and printable ASCII only: safe to show and to write in a header. */
bool xtext_printable(struct str s);
/* Adds the decoded bytes to *out; false, with nothing added, if `s` is no xtext or *out is full.
 * What comes out may hold any byte, CR, LF and NUL too. */
bool xtext_decode(struct str s, struct buf *out);
/* Adds `s`, any bytes, as xtext, at most three times as long; false if *out is full, which then
 * holds a part of it. */
bool xtext_encode(struct str s, struct buf *out);

#endif
