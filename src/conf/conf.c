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

bool conf_networks_match(const struct conf_networks *n, const struct ip *ip)
{
	for (size_t i = 0; i < n->n; i++)
		if (ip_network_has(&n->at[i], ip))
			return true;
	return false;
}

static bool collide(const struct conf_address *a, const struct conf_address *b)
{
	return a->port == b->port && ip_is_v4(&a->ip) == ip_is_v4(&b->ip) &&
		(ip_is_any(&a->ip) || ip_is_any(&b->ip) || ip_eq(&a->ip, &b->ip));
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
	if (c->certificate_count > CONF_CERTIFICATES_MAX)
		return err_say(err, "%zu certificates in use are too many; at most %d",
			c->certificate_count, CONF_CERTIFICATES_MAX);
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
