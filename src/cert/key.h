/* key: private keys and their public halves: read from any usual form, judged, named, written. */
#ifndef CERT_KEY_H
#define CERT_KEY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct evp_pkey_st; /* EVP_PKEY */

enum { KEY_ID_TEXT = 65, KEY_TYPE_TEXT = 24, KEY_FILE_MAX = 64 * 1024 };

/* The key's name: SHA-256 of its SubjectPublicKeyInfo (DER) in lower-case hex. Returns dst. */
char *key_id(const struct evp_pkey_st *key, char dst[KEY_ID_TEXT]);
/* True if `s` has the form of a key id, so that it is safe as the name of a file. */
bool key_id_valid(struct str s);
/* "p256", "p384", "p521", "rsa2048", "ed25519", or what OpenSSL calls it. Returns dst. */
char *key_type(const struct evp_pkey_st *key, char dst[KEY_TYPE_TEXT]);

/* Reads one private key: PEM or DER, PKCS#8 (plain, or encrypted if `passphrase` is not empty),
 * PKCS#1, SEC1. NULL with *err: says whether a passphrase is missing or wrong, or what is damaged.
 * Free with EVP_PKEY_free(), which wipes it. */
struct evp_pkey_st *key_read(struct str bytes, struct str passphrase, struct err *err);
/* 0 if we use keys of this kind: RSA of 2048 to 4096 bits, P-256, P-384, P-521, Ed25519. -1 with
 * *err: why not, and what to do. The public half is enough. */
int key_check(const struct evp_pkey_st *key, struct err *err);
/* Adds the private key as unencrypted PKCS#8 PEM. The caller wipes `out`. 0, or -1 with *err. */
int key_write(const struct evp_pkey_st *key, struct buf *out, struct err *err);
/* Frees the buffer's memory after overwriting it. */
void key_wipe(struct buf *b);

#endif
