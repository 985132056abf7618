/* route: where mail for a domain goes next. Pure: the caller brings the connectors and domains.
 * The first that fits wins:
 *
 *   1. a connector for exactly this domain
 *   2. the route of the domain, if it is one of ours and has one
 *   3. the connector for all domains ("*")
 *   4. the address itself, if the domain is an address literal (RFC 5321 4.1.3)
 *   5. the domain's MX hosts (RFC 5321 5.1)
 *
 * A domain of ours without a route goes the common way (3, 5) too: as a gateway we accept for it
 * and its lower MX hosts take it; if we are ourselves its best MX, the relay reports route.loop. */
#ifndef MAIL_ROUTE_H
#define MAIL_ROUTE_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

/* Where to and how. Slices belong to whoever made it. */
struct route {
	struct str connector; /* its name, or empty: route by DNS or by domain */
	struct str domain;    /* the recipients' domain, lower case */
	struct str host;      /* empty: MX of `domain`; else this host's or IP's addresses (no MX) */
	uint16_t port;
	enum tls_level tls;
	struct str sni;   /* name sent and checked; empty: the host */
	struct str helo;  /* empty: server.hostname */
	struct str trust; /* PEM anchors of the connector; empty: the trust store */
};

struct route_connector {
	struct str name;
	struct str host; /* name or IP address, without brackets */
	uint16_t port;
	struct str for_domain; /* "*": all domains that have no connector or route of their own */
	bool has_tls;          /* false: relay.tls */
	enum tls_level tls;
	struct str sni, helo, trust; /* as in struct route */
};

struct route_domain { /* a hosted domain */
	struct str name;
	struct str host; /* empty: it has no route */
	uint16_t port;
};

struct route_table {
	const struct route_connector *connectors;
	size_t connector_count;
	const struct route_domain *domains;
	size_t domain_count;
};

/* `domain` in lower case, or an address literal in brackets. The route's slices are those of the
 * arguments. */
struct route route_find(const struct route_table *t, const struct conf *c, struct str domain);
/* The hosted domain of that name, in any case; NULL if it is none of ours. */
const struct route_domain *route_find_domain(const struct route_table *t, struct str name);
/* Adds the name of the destination: "connector NAME", "host HOST:PORT" or "mx DOMAIN". What has the
 * same key waits in the same queue and may share a transaction. A connection that is used again must
 * be alike in more: TLS level, names and trust (role/relay_deliver.c). */
void route_key(const struct route *r, struct buf *out);

struct route_target {
	struct str host; /* as written, without brackets */
	uint16_t port;
};
/* target = ( host-name / IPv4 / "[" IPv6 "]" ) [ ":" port ]
 * Without a port it is `default_port`. ret->host is a slice of `text`; underscores in names are let
 * pass, since such hosts exist. -1 with *err, which quotes the text and says what would be right. */
int route_target_parse(
	struct str text, uint16_t default_port, struct route_target *ret, struct err *err);
/* "host:port", "[v6]:port". */
void route_target_format(const struct route_target *t, struct buf *out);

#endif
