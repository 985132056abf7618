/* pem: finds the blocks of a PEM text (RFC 7468, and the older form with headers), whatever editors,
 * mail programs and operating systems did to it. Pure. */
#ifndef CERT_PEM_H
#define CERT_PEM_H

#include "base/arena.h"
#include "base/str.h"

enum pem_found {
	PEM_END,    /* no further block */
	PEM_BLOCK,  /* *ret is filled */
	PEM_BROKEN, /* a block begins but does not end with its own END line; *ret has the label */
};

struct pem_block {
	struct str label; /* "CERTIFICATE"; points into the input */
	struct str text;  /* the whole block with clean line ends, in the arena: for OpenSSL */
};

/* The next block of *rest, which moves behind it. Tolerated: CRLF and CR line ends, blanks at both
 * ends of lines, empty lines, a byte order mark, any text between blocks, no line end at the end. */
enum pem_found pem_next(struct str *rest, struct arena *arena, struct pem_block *ret);

#endif
