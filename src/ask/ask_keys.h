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

/* What a certificate says of itself. Roles that may not parse one keep these facts beside it. All
 * texts are printable ASCII on one line. */
struct certificate_facts {
	struct str names;      /* subjectAltName DNS names, lower case, separated by blanks */
	struct str subject;    /* as openssl prints it, ASCII: "C = DE, CN = mx.example.org" */
	struct str issuer;     /* the same */
	struct str thumbprint; /* SHA-256 of the certificate, hex */
	struct str key_id;     /* SHA-256 of its SubjectPublicKeyInfo, hex */
	struct str key_type;   /* "p256", "rsa2048", "ed25519", … */
	int64_t not_before_ms, not_after_ms; /* since 1970, UTC */
	bool self_signed;
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
	uint32_t days;   /* 0: the default of cert/keys.h */
};
struct ask_self_sign_answer {
	struct str certificate_pem;
	struct certificate_facts facts;
};

/* ---- ASK_PILE: fd 0 is all files of the pile, one after the other, in the order of `files`. */
enum { PILE_FILES_MAX = 64, PILE_BYTES_MAX = 1024 * 1024 };
struct pile_file {
	struct str name; /* as the caller knows it: messages name it */
	uint64_t size;   /* bytes */
};
struct ask_pile {
	struct str passphrase;
	struct pile_file *files; /* none: the whole descriptor is one file */
	uint32_t file_count;
};
struct ask_pile_answer {
	struct certificate_facts facts; /* of the leaf; key_id must be what ASK_KEY_PUT answers */
	struct str summary;             /* one line for the caller: subject, issuer, until when */
	struct str findings;            /* what was mended or is worth knowing, a line each, or empty */
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
