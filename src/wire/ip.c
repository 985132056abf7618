#include "wire/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool ip_parse(struct str s, struct ip *ret)
{
	char text[IP_TEXT];
	struct ip ip;
	if (s.n >= sizeof(text) || str_find(s, 0) >= 0)
		return false;
	str_to_c(s, text, sizeof(text));
	if (inet_pton(AF_INET, text, ip.bytes + 12) == 1)
		memcpy(ip.bytes, v4_prefix, sizeof(v4_prefix));
	else if (inet_pton(AF_INET6, text, ip.bytes) != 1)
		return false;
	*ret = ip;
	return true;
}

bool ip_is_v4(const struct ip *ip)
{
	return memcmp(ip->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool ip_is_any(const struct ip *ip)
{
	static const struct ip any_v6, any_v4 = {{[10] = 0xff, [11] = 0xff}};
	return ip_eq(ip, &any_v6) || ip_eq(ip, &any_v4);
}

struct ip ip_from_v4(const void *bytes)
{
	struct ip ip;
	memcpy(ip.bytes, v4_prefix, sizeof(v4_prefix));
	memcpy(ip.bytes + 12, bytes, 4);
	return ip;
}

struct ip ip_from_v6(const void *bytes)
{
	struct ip ip;
	memcpy(ip.bytes, bytes, sizeof(ip.bytes));
	return ip;
}

struct str ip_bytes(const struct ip *ip)
{
	const char *bytes = (const char *)ip->bytes;
	return ip_is_v4(ip) ? str_make(bytes + 12, 4) : str_make(bytes, 16);
}

char *ip_format(const struct ip *ip, char dst[IP_TEXT])
{
	if (ip_is_v4(ip))
		inet_ntop(AF_INET, ip->bytes + 12, dst, IP_TEXT);
	else
		inet_ntop(AF_INET6, ip->bytes, dst, IP_TEXT);
	return dst;
}

/* address-literal = "[" ( IPv4-address-literal / "IPv6:" IPv6-addr ) "]"        RFC 5321 4.1.3 */
bool ip_literal_parse(struct str s, struct ip *ret)
{
	if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return false;
	struct str text = str_make(s.p + 1, s.n - 2);
	bool tagged = str_starts_nocase(text, STR("IPv6:"));
	if (tagged)
		text = str_skip(text, 5);
	/* Without the tag it is an IPv4 address, with it an IPv6 one: only that has colons. */
	return (str_find(text, ':') >= 0) == tagged && ip_parse(text, ret);
}

char *ip_literal_format(const struct ip *ip, char dst[IP_LITERAL_TEXT])
{
	char text[IP_TEXT];
	size_t n = 0;
	dst[n++] = '[';
	if (!ip_is_v4(ip)) {
		memcpy(dst + n, "IPv6:", 5);
		n += 5;
	}
	size_t text_n = strlen(ip_format(ip, text));
	memcpy(dst + n, text, text_n);
	n += text_n;
	dst[n++] = ']';
	dst[n] = 0;
	return dst;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

char *ip_port_format(const struct ip *ip, uint16_t port, char dst[IP_PORT_TEXT])
{
	char text[IP_TEXT];
	snprintf(dst, IP_PORT_TEXT, ip_is_v4(ip) ? "%s:%u" : "[%s]:%u", ip_format(ip, text), port);
	return dst;
}

bool ip_from_sockaddr(const struct sockaddr *sa, struct ip *ret, uint16_t *ret_port)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
		*ret = ip_from_v4(&v4->sin_addr);
		*ret_port = ntohs(v4->sin_port);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
		*ret = ip_from_v6(&v6->sin6_addr);
		*ret_port = ntohs(v6->sin6_port);
	} else {
		return false;
	}
	return true;
}

socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *ret)
{
	*ret = (struct sockaddr_storage){0};
	if (ip_is_v4(ip)) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, ip->bytes + 12, 4);
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, ip->bytes, 16);
	return sizeof(*v6);
}

/* The address with all bits behind the first `bits` cleared. */
static struct ip masked(const struct ip *ip, unsigned bits)
{
	struct ip ret = *ip;
	for (unsigned i = 0; i < sizeof(ret.bytes); i++) {
		unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
		if (kept < 8)
			ret.bytes[i] &= (uint8_t)(0xff00u >> kept);
	}
	return ret;
}

enum ip_network_fault ip_network_parse(struct str s, struct ip_network *ret)
{
	struct ip ip;
	struct str text;
	struct str bits_text = s;
	uint64_t bits;
	if (!str_split(&bits_text, '/', &text) || !ip_parse(text, &ip))
		return IP_NETWORK_NO_ADDRESS;
	/* "::ffff:192.0.2.0/120" is an IPv6 text, so its prefix is counted as one. */
	bool v4 = str_find(text, ':') < 0;
	unsigned max = v4 ? 32 : 128;
	if (!bits_text.p)
		bits = max;
	else if (bits_text.n > 3 || !str_to_u64(bits_text, max, &bits))
		return IP_NETWORK_BAD_PREFIX;
	ret->bits = (unsigned)bits + (v4 ? 96 : 0);
	ret->ip = masked(&ip, ret->bits);
	return ip_eq(&ret->ip, &ip) ? IP_NETWORK_GOOD : IP_NETWORK_HOST_BITS;
}

char *ip_network_format(const struct ip_network *network, char dst[IP_NETWORK_TEXT])
{
	char text[IP_TEXT];
	ip_format(&network->ip, text);
	if (network->bits == 128)
		snprintf(dst, IP_NETWORK_TEXT, "%s", text);
	else
		snprintf(
			dst, IP_NETWORK_TEXT, "%s/%u", text, network->bits - (ip_is_v4(&network->ip) ? 96 : 0));
	return dst;
}

bool ip_network_eq(const struct ip_network *a, const struct ip_network *b)
{
	return a->bits == b->bits && ip_eq(&a->ip, &b->ip);
}

bool ip_network_has(const struct ip_network *network, const struct ip *ip)
{
	/* "::/0" means every IPv6 address; that IPv4 is held inside IPv6 is our affair alone. */
	if (network->bits < 96 && ip_is_v4(ip))
		return false;
	struct ip first = masked(ip, network->bits);
	return ip_eq(&first, &network->ip);
}
