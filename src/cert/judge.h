/* judge: what a certificate that somebody presented is worth: chain, dates and name, each on its
 * own, so that one fault never hides another (T7). Knows no connection: tls.c asks it during the
 * handshake. */
#ifndef CERT_JUDGE_H
#define CERT_JUDGE_H

#include <openssl/x509.h>

#include "base/str.h"

/* Worst first. */
enum fault {
	FAULT_INVALID_CHAIN,
	FAULT_SELF_SIGNED,
	FAULT_UNTRUSTED_ROOT,
	FAULT_INCOMPLETE_CHAIN,
	FAULT_EXPIRED,
	FAULT_NOT_YET_VALID,
	FAULT_NAME_MISMATCH,
	FAULT_COUNT,
};
/* The id in mail/cause.c. */
const char *fault_cause(enum fault f);

enum { FAULT_TEXT = 256 };
struct judgement {
	bool has[FAULT_COUNT];
	char text[FAULT_COUNT][FAULT_TEXT]; /* a sentence fragment naming the certificate */
};

/* Verifies the chain that `ctx` was initialised with (X509_verify_cert), at the time of
 * base/clock.h, and adds all faults to *j; the name is not looked at. Returns true if there was
 * none. Uses the context's application data (X509_STORE_CTX_get_app_data) and callback. */
bool judge_chain(X509_STORE_CTX *ctx, struct judgement *j);
/* Adds FAULT_NAME_MISMATCH unless a subjectAltName of `leaf` fits `host` (tls.h has the rules). */
bool judge_name(const X509 *leaf, struct str host, struct judgement *j);

#endif
