/* domain_name: host and domain names as text (RFC 1123 2.1, RFC 5321 4.1.2). */
#ifndef WIRE_DOMAIN_NAME_H
#define WIRE_DOMAIN_NAME_H

#include "base/str.h"

enum { DOMAIN_LABEL_MAX = 63, DOMAIN_NAME_MAX = 253 };

/* The whole of `s` is a name of letters, digits and hyphens: labels of 1 to 63 bytes that neither
 * begin nor end with a hyphen, at most 253 bytes, no dot at the end. One label is enough. */
bool domain_name_ok(struct str s);
/* As above, and underscores may stand anywhere: names found in the DNS (_25._tcp.mx.example). */
bool domain_name_dns_ok(struct str s);
/* The last label is a number: such a name would be taken for an IPv4 address, and no top-level domain
 * is one (RFC 1123 2.1). */
bool domain_name_ends_in_number(struct str s);
/* Without one dot at the end, as the DNS writes its names. */
struct str domain_name_trim_dot(struct str s);
/* Equal without regard to case and one dot at the end. */
bool domain_name_eq(struct str a, struct str b);

#endif
