/* ip: IP addresses as text, and networks that hold them. No zone ids ("%eth0"), no short forms
 * ("127.1"), no leading zeros. */
#ifndef WIRE_IP_H
#define WIRE_IP_H

#include "base/str.h"

/* IPv4 addresses live in the last four bytes of a v4-mapped IPv6 address (RFC 4291 2.5.5.2), so one
 * address has one value however it was written. */
struct ip {
	uint8_t bytes[16];
};

enum { IP_TEXT = 46 };

/* The whole of `s` is an address: "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1". */
bool ip_parse(struct str s, struct ip *ret);
bool ip_is_v4(const struct ip *ip);
/* Text into dst, NUL-terminated, v4-mapped ones in dotted form; dst is returned. */
char *ip_format(const struct ip *ip, char dst[IP_TEXT]);
/* The text inside an SMTP address literal, with its brackets: [192.0.2.1], [IPv6:2001:db8::1]
 * (RFC 5321 4.1.3). The whole of `s`. */
bool ip_literal_parse(struct str s, struct ip *ret);
char *ip_literal_format(const struct ip *ip, char dst[IP_TEXT + 8]);
bool ip_eq(const struct ip *a, const struct ip *b);

struct ip_network {
	struct ip ip;  /* bits beyond the prefix are zero */
	unsigned bits; /* 0 to 128; an IPv4 prefix counts 96 more */
};
/* "192.0.2.0/24", "2001:db8::/32", or a single address. Host bits must be zero: a typing error in a
 * list of networks must not silently open more than meant. */
bool ip_network_parse(struct str s, struct ip_network *ret);
bool ip_network_has(const struct ip_network *network, const struct ip *ip);

#endif
