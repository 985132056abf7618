#include "store/admin_verbs.h"

#include "base/buf.h"
#include "wire/domain_name.h"

enum { TARGET_MAX = 300 /* host and port */, SMTP_PORT = 25 };

/* Lower case, in the call's arena; false after a refusal. */
static bool domain_argument(struct admin_call *c, const char *field, struct str *ret)
{
	struct str given = domain_name_trim_dot(str_trim(admin_text(c, field)));
	if (!domain_name_ok(given)) {
		admin_refuse(c, 400, "bad-value", field,
			"\"%.*s\" is not a domain name: letters, digits and hyphens in parts separated by "
			"dots, such as example.org",
			STR_ARG(str_take(given, 80)));
		return false;
	}
	*ret = arena_lower(c->arena, given);
	return true;
}

static json_t *domain_json(const struct admin_call *c, const struct route_domain *d)
{
	struct buf route;
	buf_init(&route, TARGET_MAX);
	if (d->host.n)
		route_target_format(&(struct route_target){d->host, d->port}, &route);
	json_t *j = json_pack("{s:o, s:o}", "name", admin_json(d->name), "route",
		route.n ? admin_json(buf_str(&route)) : json_null());
	buf_done(&route);
	/* A connector made for exactly this domain comes before the route (mail/route.h). */
	const struct route_table *t = &c->admin->site->routes;
	for (size_t i = 0; i < t->connector_count; i++)
		if (str_eq(t->connectors[i].for_domain, d->name))
			json_object_set_new(j, "connector", admin_json(t->connectors[i].name));
	return j;
}

json_t *admin_domain_add(struct admin_call *c)
{
	struct route_domain d = {0};
	struct route_target target = {0};
	struct err err = {0};
	if (!domain_argument(c, "name", &d.name))
		return NULL;
	if (admin_given(c, "route")) {
		if (route_target_parse(admin_text(c, "route"), SMTP_PORT, &target, &err) < 0)
			return admin_refuse_err(c, "bad-value", "route", &err);
		d.host = target.host;
		d.port = target.port;
	}
	if (admin_begin(c) < 0)
		return NULL;
	if (site_domain(c->admin->site, d.name))
		return admin_abandon(c,
			admin_refuse(c, 409, "exists", "name",
				"the domain %.*s is there already; to change it "
				"remove it first",
				STR_ARG(d.name)));
	if (site_put_domain(c->admin->db, &d, &err) < 0)
		return admin_abandon(c, admin_refuse_err(c, "refused", NULL, &err));
	json_t *answer = admin_finish(c);
	if (answer)
		json_object_set_new(answer, "domain", domain_json(c, site_domain(c->admin->site, d.name)));
	return answer;
}

json_t *admin_domain_list(struct admin_call *c)
{
	const struct route_table *t = &c->admin->site->routes;
	json_t *list = json_array();
	for (size_t i = 0; i < t->domain_count; i++)
		json_array_append_new(list, domain_json(c, &t->domains[i]));
	return json_pack("{s:o}", "domains", list);
}

json_t *admin_domain_remove(struct admin_call *c)
{
	struct str name;
	struct err err = {0};
	if (!domain_argument(c, "name", &name) || admin_begin(c) < 0)
		return NULL;
	int r = site_remove_domain(c->admin->db, name, &err);
	if (r < 0)
		return admin_abandon(c, admin_refuse_err(c, "refused", NULL, &err));
	if (r == 0)
		return admin_abandon(
			c, admin_refuse(c, 404, "not-found", "name", "there is no domain %.*s", STR_ARG(name)));
	json_t *answer = admin_finish(c);
	if (answer)
		json_object_set_new(answer, "removed", admin_json(name));
	return answer;
}
