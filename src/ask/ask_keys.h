/* ask_keys: the questions about private keys and certificates (kinds in questions.h). */
#ifndef ASK_ASK_KEYS_H
#define ASK_ASK_KEYS_H

#include "io/xfer.h"

/* ---- ASK_SIGN: the whole text to be signed; keys looks at its form before it signs. */
enum { SIGN_TEXT_MAX = 8192 };
struct ask_sign {
	struct str key_id;
	struct str digest; /* "SHA256", … ; empty for Ed25519 */
	bool pss;
	int64_t salt_length; /* RSA_PSS_SALTLEN_… or bytes */
	struct str text;
};
struct ask_sign_answer {
	struct str signature;
};

/* ---- keys */
struct ask_key_make {
	struct str type; /* "p256", "rsa2048", "rsa3072", "rsa4096", "ed25519" */
};
struct ask_key_answer {
	struct str key_id; /* hex SHA-256 of the SubjectPublicKeyInfo */
	struct str spki;   /* DER */
};
struct ask_self_sign {
	struct str key_id;
	struct str name; /* host name: CN and subjectAltName */
	uint32_t days;
};
struct ask_self_sign_answer {
	struct str certificate_pem;
	struct str thumbprint; /* hex SHA-256 of the certificate's DER form */
	int64_t not_after_ms;  /* wall clock */
};

/* ---- ASK_PILE */
struct ask_pile {
	struct str passphrase;
};
struct ask_pile_answer {
	struct str names; /* subjectAltName DNS names of the leaf, separated by blanks */
	struct str key_id;
	struct str summary; /* one line for the caller: subject, issuer, until when */
	bool self_signed;
	struct str thumbprint; /* hex SHA-256 of the leaf's DER form */
	int64_t not_after_ms;  /* of the leaf, wall clock */
};

void xfer_ask_sign(struct xfer *x, void *v);             /* struct ask_sign */
void xfer_ask_sign_answer(struct xfer *x, void *v);      /* struct ask_sign_answer */
void xfer_ask_key_make(struct xfer *x, void *v);         /* struct ask_key_make */
void xfer_ask_key_answer(struct xfer *x, void *v);       /* struct ask_key_answer */
void xfer_ask_self_sign(struct xfer *x, void *v);        /* struct ask_self_sign */
void xfer_ask_self_sign_answer(struct xfer *x, void *v); /* struct ask_self_sign_answer */
void xfer_ask_pile(struct xfer *x, void *v);             /* struct ask_pile */
void xfer_ask_pile_answer(struct xfer *x, void *v);      /* struct ask_pile_answer */

#endif
