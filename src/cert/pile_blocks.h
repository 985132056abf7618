/* pile_blocks: what lies in a pile, before anything is made of it. Only pile*.c use it. */
#ifndef CERT_PILE_BLOCKS_H
#define CERT_PILE_BLOCKS_H

#include <openssl/x509.h>

#include "base/vec.h"
#include "cert/pile.h"

enum { PILE_CERTIFICATES_MAX = 64, PILE_KEYS_MAX = 8, PILE_BLOCKS_MAX = 200 };

struct pile_certificate {
	X509 *c;
	struct str file;
	unsigned number; /* in the pile, from 0, duplicates not counted */
	bool used;       /* part of the chain, or its root */
};

struct pile_key {
	EVP_PKEY *key;
	struct str file;
};

struct pile_blocks {
	struct arena *arena;
	struct vec certificates; /* struct pile_certificate, each once */
	struct vec keys;         /* struct pile_key, each once */
	struct buf findings;
};

/* Empty; findings and names will live in `arena`. */
void pile_blocks_init(struct pile_blocks *b, struct arena *arena);
/* Frees certificates and keys. */
void pile_blocks_done(struct pile_blocks *b);
/* Adds what is in one file: certificates and keys, each once; other blocks are findings. 0, or -1
 * with *err: a block is damaged, the file holds nothing known, or there is more than the limits
 * above allow. */
int pile_blocks_add(
	struct pile_blocks *b, const struct pile_part *part, struct str passphrase, struct err *err);
/* Number `i`, below .certificates.n or .keys.n. */
struct pile_certificate *pile_blocks_certificate(const struct pile_blocks *b, size_t i);
struct pile_key *pile_blocks_key(const struct pile_blocks *b, size_t i);
/* One finding more, a line. */
void pile_finding(struct pile_blocks *b, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The subject's name, short enough for a message. */
struct str pile_subject(const struct pile_blocks *b, const X509 *c);

#endif
