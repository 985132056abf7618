/* enhanced: status codes as in "550 5.1.1 no such user" (RFC 3463, 2034). */
#ifndef WIRE_ENHANCED_H
#define WIRE_ENHANCED_H

#include "wire/parse.h"

enum { ENHANCED_MAX = 9 }; /* "5.123.123" */

/* status-code = ("2" / "4" / "5") "." 1*3DIGIT "." 1*3DIGIT, followed by a blank or the end. The
 * cursor moves behind the code, not behind the blank. */
enum parse enhanced_code(struct str *at, struct str *ret);

#endif
