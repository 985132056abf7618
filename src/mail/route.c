#include "mail/route.h"

#include "conf/value.h"
#include "wire/domain_name.h"
#include "wire/host_port.h"
#include "wire/ip.h"

static const struct route_connector *find_connector(const struct route_table *t, struct str domain)
{
	for (size_t i = 0; i < t->connector_count; i++)
		if (str_eq_nocase(t->connectors[i].for_domain, domain))
			return &t->connectors[i];
	return NULL;
}

const struct route_domain *route_find_domain(const struct route_table *t, struct str name)
{
	for (size_t i = 0; i < t->domain_count; i++)
		if (str_eq_nocase(t->domains[i].name, name))
			return &t->domains[i];
	return NULL;
}

static struct route by_connector(
	const struct route_connector *connector, const struct conf *c, struct str domain)
{
	return (struct route){
		.connector = connector->name,
		.domain = domain,
		.host = connector->host,
		.port = connector->port,
		.tls = connector->has_tls ? connector->tls : c->relay_tls,
		.sni = connector->sni,
		.helo = connector->helo,
		.trust = connector->trust,
	};
}

/* The address inside a literal, as text; empty for anything else, an unknown tag too. */
static struct str literal_address(struct str domain)
{
	struct ip ip;
	if (!ip_literal_parse(domain, &ip))
		return str_make("", 0);
	struct str inside = str_take(str_skip(domain, 1), domain.n - 2);
	return str_starts_nocase(inside, STR("IPv6:")) ? str_skip(inside, 5) : inside;
}

struct route route_find(const struct route_table *t, const struct conf *c, struct str domain)
{
	const struct route_connector *connector = find_connector(t, domain);
	const struct route_domain *own = route_find_domain(t, domain);
	struct route r = {.domain = domain, .port = (uint16_t)c->relay_port, .tls = c->relay_tls};

	if (connector)
		return by_connector(connector, c, domain);
	if (own && own->host.n) {
		r.host = own->host;
		r.port = own->port;
		return r;
	}
	connector = find_connector(t, STR("*"));
	if (connector)
		return by_connector(connector, c, domain);
	r.host = literal_address(domain);
	return r;
}

void route_key(const struct route *r, struct buf *out)
{
	if (r->connector.n) {
		buf_addf(out, "connector %.*s", STR_ARG(r->connector));
	} else if (r->host.n) {
		buf_add_c(out, "host ");
		route_target_format(&(struct route_target){r->host, r->port}, out);
	} else {
		buf_addf(out, "mx %.*s", STR_ARG(r->domain));
	}
}

/* ---- HOST:PORT ------------------------------------------------------------------------------ */

static bool is_host(struct str s, bool bracketed)
{
	struct ip ip;
	if (ip_parse(s, &ip))
		return bracketed == (str_find(s, ':') >= 0);
	return !bracketed && domain_name_dns_ok(s) && !domain_name_ends_in_number(s);
}

int route_target_parse(
	struct str text, uint16_t default_port, struct route_target *ret, struct err *err)
{
	char quoted[VALUE_QUOTE];
	struct str host, port_text;
	uint16_t port = default_port;
	if (!host_port_split(text, &host, &port_text) || !is_host(host, str_starts(text, STR("["))))
		return err_say(err,
			"%s is not HOST:PORT; write mail.example.org:%u, 192.0.2.1:%u or [2001:db8::1]:%u",
			value_quote(text, quoted), default_port, default_port, default_port);
	if (port_text.n && !port_parse(port_text, &port))
		return err_say(
			err, "%s has no good port; ports go from 1 to 65535", value_quote(text, quoted));
	*ret = (struct route_target){host, port};
	return 0;
}

void route_target_format(const struct route_target *t, struct buf *out)
{
	bool v6 = str_find(t->host, ':') >= 0;
	buf_addf(out, v6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(t->host), t->port);
}
