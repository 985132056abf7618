#include "conf/conf.h"

#include <stdlib.h>

struct conf *conf_hold(struct conf *c)
{
	c->holders++;
	return c;
}

void conf_drop(struct conf *c)
{
	if (c && --c->holders == 0) {
		arena_free(c->arena);
		free(c);
	}
}

static const char *const level_names[] = {"off", "may", "encrypt", "verify"};

const char *tls_level_name(enum tls_level level)
{
	return level_names[level];
}

bool tls_level_parse(struct str s, enum tls_level *ret)
{
	for (unsigned i = TLS_OFF; i <= TLS_VERIFY; i++)
		if (str_eq_nocase(s, str_from_c(level_names[i]))) {
			*ret = (enum tls_level)i;
			return true;
		}
	return false;
}

/* The bytes of an address, an IPv4 mapped in IPv6 as IPv4; its family, or 0. */
static int address_bytes(const struct sockaddr *sa, unsigned char bytes[16])
{
	if (sa->sa_family == AF_INET) {
		memcpy(bytes, &((const struct sockaddr_in *)sa)->sin_addr, 4);
		return AF_INET;
	}
	if (sa->sa_family != AF_INET6)
		return 0;
	const struct in6_addr *in6 = &((const struct sockaddr_in6 *)sa)->sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(in6)) {
		memcpy(bytes, in6->s6_addr + 12, 4);
		return AF_INET;
	}
	memcpy(bytes, in6->s6_addr, 16);
	return AF_INET6;
}

static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned bytes = bits / 8, rest = bits % 8;
	if (memcmp(a, b, bytes) != 0)
		return false;
	return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

bool conf_networks_match(const struct conf_networks *n, const struct sockaddr *sa)
{
	unsigned char bytes[16];
	int family = address_bytes(sa, bytes);
	for (size_t i = 0; family && i < n->n; i++)
		if (n->at[i].family == family && same_prefix(n->at[i].bytes, bytes, n->at[i].bits))
			return true;
	return false;
}

static bool is_wildcard(const struct conf_address *a)
{
	static const unsigned char zero[16];
	unsigned char bytes[16];
	int family = address_bytes((const struct sockaddr *)&a->sa, bytes);
	return memcmp(bytes, zero, family == AF_INET ? 4 : 16) == 0;
}

/* sin_port and sin6_port stand at the same place. */
static bool collide(const struct conf_address *a, const struct conf_address *b)
{
	return a->sa.ss_family == b->sa.ss_family &&
		((const struct sockaddr_in *)&a->sa)->sin_port ==
		((const struct sockaddr_in *)&b->sa)->sin_port &&
		(is_wildcard(a) || is_wildcard(b) || str_eq(a->text, b->text));
}

struct listener_list {
	const char *name;
	const struct conf_addresses *list;
};

static int check_address(const struct conf_address *a, const char *name,
	const struct listener_list *before, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < before[i].list->n; k++) {
			const struct conf_address *other = &before[i].list->at[k];
			if (other == a)
				return 0;
			if (collide(other, a))
				return err_say(err, "%s: %.*s collides with %.*s of %s; choose another port", name,
					STR_ARG(a->text), STR_ARG(other->text), before[i].name);
		}
	return 0;
}

int conf_check(const struct conf *c, struct err *err)
{
	const struct listener_list listeners[] = {
		{"listen.smtp", &c->listen_smtp},
		{"listen.submission", &c->listen_submission},
		{"listen.submissions", &c->listen_submissions},
		{"listen.https", &c->listen_https},
	};
	for (size_t i = 0; i < sizeof listeners / sizeof listeners[0]; i++)
		for (size_t k = 0; k < listeners[i].list->n; k++)
			if (check_address(
					&listeners[i].list->at[k], listeners[i].name, listeners, i + 1, err) != 0)
				return -1;
	return 0;
}
