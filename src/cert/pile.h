/* pile: any heap of certificate files in, one served chain with its key out (rows C1 to C9). Pure but
 * for the clock, which it asks for the time. Everything in a pile may be hostile.
 *
 * Steps  open every file, sort its blocks (pile_blocks.c); find the one key and the leaf it belongs
 *        to; order the chain by signature, as names can lie; judge it; write it
 * What was mended is a finding, what cannot be served an error; both name file and certificate and
 * say what to do. */
#ifndef CERT_PILE_H
#define CERT_PILE_H

#include "ask/ask_keys.h"
#include "base/buf.h"
#include "base/err.h"

struct pile_part {
	struct str name; /* of the file, for findings */
	struct str bytes;
};

struct pile {
	struct certificate_facts facts; /* of the leaf; all slices in the arena that was given */
	struct str chain;               /* PEM: the leaf, then each issuer; a root is left out */
	struct buf key;                 /* PEM, PKCS#8, unencrypted; pile_done() wipes it */
	struct str summary;             /* one line */
	struct str findings;            /* a line each, or empty */
};

/* Reads PEM: certificates, and one private key (PKCS#8, PKCS#1, SEC1; encrypted with `passphrase`).
 * The leaf is the certificate of the key; of several the one that ends last. -1 with *err if
 *
 *   a block is damaged, or a file holds nothing known
 *   there is no key, no certificate, no certificate of the key, or two complete pairs
 *   a certificate of the chain has expired, is not valid yet, is weak, or the leaf is not for TLS
 *
 * On failure *ret is empty. At most PILE_FILES_MAX files. */
int pile_read(const struct pile_part *parts, size_t n, struct str passphrase, struct arena *arena,
	struct pile *ret, struct err *err);
/* Wipes and frees the key; all else is the arena's. */
void pile_done(struct pile *p);

#endif
