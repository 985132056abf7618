/* certificate: what stands in an X.509 certificate (RFC 5280), as plain facts. Pure: bytes in, facts
 * out. */
#ifndef CERT_CERTIFICATE_H
#define CERT_CERTIFICATE_H

#include <openssl/x509.h>

#include "ask/ask_keys.h"
#include "base/err.h"

enum { THUMBPRINT_TEXT = 65, CERTIFICATE_NAME_MAX = 512, CHAIN_MAX = 20 };

/* The bytes of a string in a certificate, as a slice of it. */
struct str certificate_string(const ASN1_STRING *s);
/* A distinguished name as the openssl command prints it, in ASCII: "C = DE, CN = mx.example.org".
 * Cut at CERTIFICATE_NAME_MAX. Lives in `arena`. */
struct str certificate_name(const X509_NAME *name, struct arena *arena);
/* Milliseconds since 1970; 0 if the time is malformed. */
int64_t certificate_time_ms(const ASN1_TIME *t);
/* SHA-256 of the whole certificate in lower-case hex. Returns dst. */
char *certificate_thumbprint(const X509 *c, char dst[THUMBPRINT_TEXT]);
/* True if `c` was signed by itself: names, key identifiers and signature agree. */
bool certificate_self_signed(X509 *c);
/* True if `issuer` signed `c`: the names, key identifiers and usage allow it, and the signature fits
 * (two certificate authorities may have one name). */
bool certificate_issued_by(X509 *c, X509 *issuer);
/* A name of domain_name_dns_ok(), or such a one behind "*.". */
bool certificate_is_name(struct str s);
/* dNSName entries of subjectAltName in lower case, separated by blanks; what is no host name is left
 * out. If there is no subjectAltName at all: empty, the common name does not count (RFC 9525 2). */
struct str certificate_names(const X509 *c, struct arena *arena);
/* All facts; slices in `arena`. */
void certificate_facts(X509 *c, struct arena *arena, struct certificate_facts *ret);

/* All certificates of a PEM text in their order; text between them and other blocks are skipped.
 * NULL with *err: more than `max`, one that is damaged (its number is named), or none at all. Free
 * with certificate_free_list(). */
STACK_OF(X509) * certificate_read_list(struct str pem, int max, struct err *err);
/* Frees the certificates too. NULL is allowed. */
void certificate_free_list(STACK_OF(X509) * list);
/* Adds `c` as PEM. 0, or -1 with *err. */
int certificate_write(X509 *c, struct buf *out, struct err *err);

#endif
