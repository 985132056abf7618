/* parse: what a parser says. Every parser under wire/ takes a cursor `struct str *at` into input
 * that somebody else owns, gives results as slices of that input, and moves the cursor behind what
 * it read only on success: on anything but PARSE_DONE both *at and *ret are untouched.
 *
 * Parsers read as much as the grammar allows and leave the rest to the caller. One that must have
 * the whole of a slice is called with the slice itself and returns bool. */
#ifndef WIRE_PARSE_H
#define WIRE_PARSE_H

#include "base/str.h"

enum parse {
	PARSE_DONE,
	PARSE_MORE, /* a good beginning, but the input ends too early */
	PARSE_BAD,  /* no continuation could make it good */
};

#endif
