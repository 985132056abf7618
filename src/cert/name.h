/* name: host names as certificates write them (RFC 9525, which follows RFC 6125). */
#ifndef CERT_NAME_H
#define CERT_NAME_H

#include "wire/ip.h"

/* True if `host` is an address literal: "192.0.2.1", "2001:db8::1", and both in brackets, with
 * "IPv6:" (RFC 5321 4.1.3) or without. */
bool name_is_address(struct str host, struct ip *ret);

/* True if `presented`, a dNSName of a certificate, fits the host name `host`. ASCII case and one dot
 * at the end of `host` do not count. "*" stands for one label, only as the whole left-most one, and
 * only above at least two more ("*.example.org", never "*.org", "a*.example.org" or "*"). */
bool name_matches(struct str presented, struct str host);

#endif
