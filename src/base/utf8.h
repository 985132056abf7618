/* utf8: the one judge of what is UTF-8 (RFC 3629 4): no overlong forms, no surrogates, nothing above
 * U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/str.h"

/* The bytes of the well-formed character at the front of `s`, 1 to 4; 0 if there is none. `s` is not
 * empty. */
size_t utf8_length(struct str s);

#endif
