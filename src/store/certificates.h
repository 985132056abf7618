/* certificates: how a certificate comes into site.db: imported by an administrator, or made at the
 * first start. A private key passes by as a sealed descriptor, from import to keys; its bytes never
 * enter this process. */
#ifndef STORE_CERTIFICATES_H
#define STORE_CERTIFICATES_H

#include "ask/ask_keys.h"
#include "store/admin.h"

/* If no certificate serves server.hostname: has keys make a key and a self-signed one, adds it as a
 * change made by `who` and hands it out (C11). 1: done, 0: there is one, -1 with *err. */
int certificates_ensure(struct admin *a, struct str who, struct err *err);

/* Imports what `pile` (a sealed memfd: PEM chain and key) holds: an import worker reads it, keys
 * takes the key, the certificate serves its names from this change on. A pair that does not fit is
 * refused and everything stays as it was. 0 with *ret (in `arena`), or -1 with *err. */
int certificates_import(struct admin *a, int pile, struct ask_pile *question, struct str who,
	struct arena *arena, struct ask_pile_answer *ret, struct err *err);

#endif
