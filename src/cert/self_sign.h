/* self_sign: a certificate signed by the key it certifies, so that TLS works from the first start
 * (C11). No peer trusts it unless told to. */
#ifndef CERT_SELF_SIGN_H
#define CERT_SELF_SIGN_H

#include "cert/certificate.h"

/* X.509 v3 for `name`, a host name or an address literal, in subjectAltName and, if it fits there
 * (64 bytes), as common name; for TLS servers only, no authority. Valid from an hour ago, for clocks
 * that are late, and for `days` from then. Random serial number. NULL with *err. Free with
 * X509_free(). */
X509 *self_sign(EVP_PKEY *key, struct str name, uint32_t days, struct err *err);

#endif
