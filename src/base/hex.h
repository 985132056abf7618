/* hex: bytes as lower-case hexadecimal digits, two each: names of keys, thumbprints. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include "base/str.h"

/* Writes 2 * n digits and a NUL into dst, which is returned. */
char *hex_format(const void *bytes, size_t n, char *dst);
/* `s` is what hex_format() makes of `n` bytes. */
bool hex_ok(struct str s, size_t n);

#endif
