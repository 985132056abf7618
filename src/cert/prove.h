/* prove: whether `keys` can sign for a certificate, before peers are let try. */
#ifndef CERT_PROVE_H
#define CERT_PROVE_H

#include <stdbool.h>

#include "ask/ask_keys.h"
#include "io/ask.h"

struct evp_pkey_st; /* EVP_PKEY */

/* Has `keys` sign a text that has the form of a TLS 1.3 handshake with the private half of
 * `public_key`, and verifies the signature. 0; or -1 with *err: ERR_PERM if it has no such key or one
 * that is damaged, ERR_TEMP if it could not be asked. `keys` may be NULL. */
int prove_key(struct evp_pkey_st *public_key, struct ask_link *keys, struct err *err);

/* Whether this is the answer to that question, verified with the public half alone, as a peer would. */
bool prove_signature(
	struct evp_pkey_st *public_key, const struct ask_sign *question, struct str signature);

#endif
