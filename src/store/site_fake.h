/* site_fake: a site without a site.db. Included by tests and fuzzers only. */
#ifndef STORE_SITE_FAKE_H
#define STORE_SITE_FAKE_H

#include "conf/settings.h"
#include "store/site.h"

/* One hosted domain, example.org; "smart" is the connector for example.net. */
static inline struct site *site_fake(void)
{
	static const struct route_connector connectors[] = {{.name = {"smart", 5},
		.host = {"192.0.2.25", 10},
		.port = 25,
		.for_domain = {"example.net", 11}}};
	static const struct route_domain domains[] = {{.name = {"example.org", 11}}};
	struct arena *arena = arena_new();
	struct site *s = arena_alloc(arena, sizeof *s);
	s->arena = arena;
	s->holders = 1;
	s->conf = conf_new();
	s->conf->hostname = STR("mx.example.org");
	s->routes = (struct route_table){
		.connectors = connectors, .connector_count = 1, .domains = domains, .domain_count = 1};
	return s;
}

#endif
