/* provider: private keys that are elsewhere. A built-in OpenSSL provider, "letterlock", whose keys
 * hold a public half and the key's name; signing asks the role `keys` (ASK_SIGN). It has no
 * operation that uses a private half but signing, and cannot export one it does not have.
 *
 * Signing waits for the answer: in a fiber the others run on. Nothing else in here waits, no lock of
 * OpenSSL is held meanwhile, and the thread's error queue is emptied before (fiber.h, F1). */
#ifndef CERT_PROVIDER_H
#define CERT_PROVIDER_H

#include <openssl/evp.h>

#include "base/err.h"
#include "io/ask.h"

/* Loads the provider. Later calls do nothing; ends the process if OpenSSL refuses it. */
void provider_load(void);

/* The private key that belongs to `public_key` (RSA, EC or Ed25519) and that `keys` knows by its
 * key id. *link is read at each signature and may change or be NULL; the pointer must outlive the
 * key. NULL with *err. Free with EVP_PKEY_free(). */
EVP_PKEY *provider_key(const EVP_PKEY *public_key, struct ask_link **link, struct err *err);

#endif
