/* ip: IP addresses as text and as the kernel has them, and networks that hold them. No zone ids
 * ("%eth0"), no short forms ("127.1"), no leading zeros. Parsers leave *ret untouched when they
 * answer false. */
#ifndef WIRE_IP_H
#define WIRE_IP_H

#include <sys/socket.h>

#include "base/str.h"

/* IPv4 addresses live in the last four bytes of a v4-mapped IPv6 address (RFC 4291 2.5.5.2), so one
 * address has one value however it was written. */
struct ip {
	uint8_t bytes[16];
};

enum {
	IP_TEXT = 46,
	IP_PORT_TEXT = IP_TEXT + 8,
	IP_LITERAL_TEXT = IP_TEXT + 8,
	IP_NETWORK_TEXT = IP_TEXT + 4,
};

/* The whole of `s` is an address: "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1". */
bool ip_parse(struct str s, struct ip *ret);
/* An IPv4 address, however it was written. */
bool ip_is_v4(const struct ip *ip);
/* 0.0.0.0 or ::, on which one listens to be reached at every address. */
bool ip_is_any(const struct ip *ip);
/* From the 4 or 16 bytes of the net, in its order. */
struct ip ip_from_v4(const void *bytes);
struct ip ip_from_v6(const void *bytes);
/* Those bytes again, as a slice of *ip. */
struct str ip_bytes(const struct ip *ip);
/* Text into dst, NUL-terminated, v4-mapped ones in dotted form; dst is returned. */
char *ip_format(const struct ip *ip, char dst[IP_TEXT]);
/* The text inside an SMTP address literal, with its brackets: [192.0.2.1], [IPv6:2001:db8::1]
 * (RFC 5321 4.1.3). The whole of `s`. */
bool ip_literal_parse(struct str s, struct ip *ret);
/* The same form from an address. Returns dst. */
char *ip_literal_format(const struct ip *ip, char dst[IP_LITERAL_TEXT]);
/* The same address, however it was written. */
bool ip_eq(const struct ip *a, const struct ip *b);

/* An address with its port: "192.0.2.1:25", "[2001:db8::1]:25" (RFC 3986 3.2.2). Returns dst. */
char *ip_port_format(const struct ip *ip, uint16_t port, char dst[IP_PORT_TEXT]);
/* False for what is neither IPv4 nor IPv6, a local socket for one. */
bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *ret, uint16_t *ret_port);
/* Returns the length of what was filled in. */
socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *ret);

struct ip_network {
	struct ip ip;  /* bits beyond the prefix are zero */
	unsigned bits; /* 0 to 128; an IPv4 prefix counts 96 more */
};
/* Why a text is no network. */
enum ip_network_fault {
	IP_NETWORK_GOOD,
	IP_NETWORK_NO_ADDRESS,
	IP_NETWORK_BAD_PREFIX, /* no number, or more bits than the address has */
	IP_NETWORK_HOST_BITS,
};
/* "192.0.2.0/24", "2001:db8::/32", or a single address. Host bits must be zero: a typing error in a
 * list of networks must not silently open more than meant. With IP_NETWORK_HOST_BITS *ret is the
 * network around the address, for a proposal. */
enum ip_network_fault ip_network_parse(struct str s, struct ip_network *ret);
/* As ip_network_parse() reads it, a single address without a prefix. Returns dst. */
char *ip_network_format(const struct ip_network *network, char dst[IP_NETWORK_TEXT]);
/* The same addresses, however they were written. */
bool ip_network_eq(const struct ip_network *a, const struct ip_network *b);
/* `ip` is in the network. An IPv4 address is in no IPv6 network shorter than /96: "::/0" means every
 * IPv6 address and no other. */
bool ip_network_has(const struct ip_network *network, const struct ip *ip);

#endif
