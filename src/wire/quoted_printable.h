/* quoted_printable: any bytes as short lines of printable ASCII (RFC 2045 6.7). */
#ifndef WIRE_QUOTED_PRINTABLE_H
#define WIRE_QUOTED_PRINTABLE_H

#include "base/buf.h"

enum { QUOTED_PRINTABLE_LINE = 76 }; /* the longest line, without CRLF */

/* Adds the encoded text, at most about three times as long; CRLF in it is a line's end and stays, a
 * bare CR or LF is encoded. What does not fit sets out->overflow. */
void quoted_printable_encode(struct str text, struct buf *out);

#endif
