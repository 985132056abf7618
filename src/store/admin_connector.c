#include "store/admin_verbs.h"

#include "base/buf.h"
#include "wire/domain_name.h"
#include "wire/ip.h"

/* A connector's anchors travel with each attempt: room for all authorities of a system, not more. */
enum {
	TARGET_MAX = 300 /* host and port */,
	SMTP_PORT = 25,
	TRUST_MAX = 384 * 1024,
	NAME_MAX_BYTES = 63
};

static const struct str begin_certificate = {"-----BEGIN CERTIFICATE-----", 27};

/* Occurrences of `what`. */
static unsigned count(struct str in, struct str what)
{
	unsigned n = 0;
	for (const char *at; (at = memmem(in.p, in.n, what.p, what.n)); n++)
		in = str_skip(in, (size_t)(at - in.p) + what.n);
	return n;
}

/* Letters, digits, dots, hyphens and underscores, so that a name is one word on every screen. */
static bool name_ok(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) && !strchr("._-", name.p[i]))
			return false;
	return name.n > 0 && name.n <= NAME_MAX_BYTES && name.p[0] != '-';
}

static bool host_name_argument(struct admin_call *c, const char *field, struct str *ret)
{
	*ret = arena_lower(c->arena, domain_name_trim_dot(admin_text(c, field)));
	if (!admin_given(c, field) || domain_name_ok(*ret))
		return true;
	admin_refuse(c, 400, "bad-value", field, "\"%.*s\" is not a host name, such as mx.example.org",
		STR_ARG(str_take(*ret, 80)));
	return false;
}

static bool trust_argument(struct admin_call *c, struct str *ret)
{
	*ret = admin_text(c, "trust");
	if (!admin_given(c, "trust"))
		return true;
	if (ret->n > TRUST_MAX)
		admin_refuse(c, 400, "bad-value", "trust",
			"%zu bytes of trust anchors are more than the %d a connector can carry; give only the "
			"authorities this next hop needs",
			ret->n, TRUST_MAX);
	else if (count(*ret, STR("PRIVATE KEY-----")))
		admin_refuse(c, 400, "bad-value", "trust",
			"there is a private key among the trust anchors; give certificates only");
	else if (!count(*ret, begin_certificate))
		admin_refuse(c, 400, "bad-value", "trust",
			"there is no certificate in it; give one or more in PEM (-----BEGIN CERTIFICATE-----)");
	else
		return true;
	return false;
}

/* The connector the arguments describe; false after a refusal. */
static bool take_arguments(struct admin_call *c, struct route_connector *ret)
{
	struct route_target target;
	struct err err = {0};
	ret->name = arena_lower(c->arena, admin_text(c, "name"));
	if (!name_ok(ret->name)) {
		admin_refuse(c, 400, "bad-value", "name",
			"a connector's name is 1 to %d letters, digits, dots, hyphens or underscores",
			NAME_MAX_BYTES);
		return false;
	}
	if (route_target_parse(admin_text(c, "host"), SMTP_PORT, &target, &err) < 0) {
		admin_refuse_err(c, "bad-value", "host", &err);
		return false;
	}
	ret->host = target.host;
	ret->port = target.port;
	ret->for_domain = admin_given(c, "for")
		? arena_lower(c->arena, domain_name_trim_dot(admin_text(c, "for")))
		: STR("*");
	if (!str_eq(ret->for_domain, STR("*")) && !domain_name_ok(ret->for_domain)) {
		admin_refuse(c, 400, "bad-value", "for",
			"\"%.*s\" is neither a domain name nor \"*\" (all domains)",
			STR_ARG(str_take(ret->for_domain, 80)));
		return false;
	}
	ret->has_tls = admin_given(c, "tls");
	if (ret->has_tls && !tls_level_parse(admin_text(c, "tls"), &ret->tls)) {
		admin_refuse(c, 400, "bad-value", "tls",
			"\"%.*s\" is none of off (never), may (if offered), encrypt (must), verify (must, "
			"with a certificate that is good)",
			STR_ARG(str_take(admin_text(c, "tls"), 40)));
		return false;
	}
	return host_name_argument(c, "helo", &ret->helo) && host_name_argument(c, "sni", &ret->sni) &&
		trust_argument(c, &ret->trust);
}

/* Two connectors for one domain would leave the choice to chance. */
static const struct route_connector *rival(const struct site *s, struct str for_domain)
{
	for (size_t i = 0; i < s->routes.connector_count; i++)
		if (str_eq(s->routes.connectors[i].for_domain, for_domain))
			return &s->routes.connectors[i];
	return NULL;
}

static json_t *connector_json(const struct admin_call *c, const struct route_connector *k)
{
	struct ip ip;
	enum tls_level level = k->has_tls ? k->tls : c->admin->site->conf->relay_tls;
	struct str checked = k->sni.n ? k->sni : ip_parse(k->host, &ip) ? STR("") : k->host;
	struct buf target;
	buf_init(&target, TARGET_MAX);
	route_target_format(&(struct route_target){k->host, k->port}, &target);
	json_t *j = json_pack("{s:o, s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:i}", "name",
		admin_json(k->name), "host", admin_json(buf_str(&target)), "for", admin_json(k->for_domain),
		"tls", tls_level_name(level), "tls_origin", k->has_tls ? "connector" : "relay.tls", "helo",
		k->helo.n ? admin_json(k->helo) : json_null(), "sni",
		k->sni.n ? admin_json(k->sni) : json_null(), "name_checked",
		checked.n ? admin_json(checked) : json_null(), "anchors",
		(int)count(k->trust, begin_certificate));
	buf_done(&target);
	return j;
}

json_t *admin_connector_add(struct admin_call *c)
{
	struct route_connector k = {0};
	struct err err = {0};
	const struct route_connector *other;
	if (!take_arguments(c, &k) || admin_begin(c) < 0)
		return NULL;
	if (site_connector(c->admin->site, k.name))
		return admin_abandon(c,
			admin_refuse(c, 409, "exists", "name",
				"there is a connector %.*s already; to change it remove it first",
				STR_ARG(k.name)));
	if ((other = rival(c->admin->site, k.for_domain)))
		return admin_abandon(c,
			admin_refuse(c, 409, "exists", "for",
				"the connector %.*s is for %.*s already; remove it first, or give this one another "
				"domain with --for",
				STR_ARG(other->name), STR_ARG(k.for_domain)));
	if (site_put_connector(c->admin->db, &k, &err) < 0)
		return admin_abandon(c, admin_refuse_err(c, "refused", NULL, &err));
	json_t *answer = admin_finish(c);
	if (answer)
		json_object_set_new(
			answer, "connector", connector_json(c, site_connector(c->admin->site, k.name)));
	return answer;
}

json_t *admin_connector_list(struct admin_call *c)
{
	const struct route_table *t = &c->admin->site->routes;
	json_t *list = json_array();
	for (size_t i = 0; i < t->connector_count; i++)
		json_array_append_new(list, connector_json(c, &t->connectors[i]));
	return json_pack("{s:o}", "connectors", list);
}

json_t *admin_connector_show(struct admin_call *c)
{
	struct str name = admin_text(c, "name");
	const struct route_connector *k = site_connector(c->admin->site, name);
	if (!k)
		return admin_refuse(c, 404, "not-found", "name", "there is no connector \"%.*s\"",
			STR_ARG(str_take(name, 80)));
	json_t *j = connector_json(c, k);
	json_object_set_new(j, "trust", k->trust.n ? admin_json(k->trust) : json_null());
	return j;
}

json_t *admin_connector_remove(struct admin_call *c)
{
	struct str name = arena_lower(c->arena, admin_text(c, "name"));
	struct err err = {0};
	if (admin_begin(c) < 0)
		return NULL;
	int r = site_remove_connector(c->admin->db, name, &err);
	if (r < 0)
		return admin_abandon(c, admin_refuse_err(c, "refused", NULL, &err));
	if (r == 0)
		return admin_abandon(c,
			admin_refuse(c, 404, "not-found", "name", "there is no connector \"%.*s\"",
				STR_ARG(str_take(name, 80))));
	json_t *answer = admin_finish(c);
	if (answer)
		json_object_set_new(answer, "removed", admin_json(name));
	return answer;
}
