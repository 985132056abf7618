#include "cli/cli.h"
#include "cli/table.h"

static struct str way(struct cli *c, const json_t *domain)
{
	struct str route = text_of(c->arena, domain, "route");
	struct str connector = text_of(c->arena, domain, "connector");
	if (connector.n)
		return arena_fmt(c->arena, "connector %.*s", STR_ARG(connector));
	return route.n ? route : STR("the connector for all, else its MX");
}

int cli_domain_add(struct cli *c)
{
	json_t *j;
	int status = cli_ask_shown(c, "domain.add",
		cli_args("name", c->arguments[0], "route", cli_value(c, "--route"), NULL), NULL, &j);
	if (!j)
		return status;
	json_t *domain = json_object_get(j, "domain");
	printf("Mail for %.*s is accepted from anyone and goes to: %.*s\n",
		STR_ARG(text_of(c->arena, domain, "name")), STR_ARG(way(c, domain)));
	cli_show_change(c, j);
	json_decref(j);
	return status;
}

int cli_domain_list(struct cli *c)
{
	json_t *j, *d;
	size_t i;
	struct table t;
	int status = cli_ask_shown(c, "domain.list", json_object(), NULL, &j);
	if (!j)
		return status;
	json_t *list = json_object_get(j, "domains");
	table_init(&t, c->arena, "DOMAIN|GOES TO");
	json_array_foreach(list, i, d)
	{
		table_add(&t, text_of(c->arena, d, "name"));
		table_add(&t, way(c, d));
	}
	if (json_array_size(list))
		table_print(&t, stdout);
	else
		printf("No domains yet: mail is accepted only from relay.networks.\n"
			   "Add one with: letterlock domain add example.org --route HOST:PORT\n");
	json_decref(j);
	return status;
}

int cli_domain_remove(struct cli *c)
{
	json_t *j;
	int status =
		cli_ask_shown(c, "domain.remove", cli_args("name", c->arguments[0], NULL), NULL, &j);
	if (!j)
		return status;
	printf("Removed %.*s: new mail for it is refused, mail in the queue is still delivered.\n",
		STR_ARG(text_of(c->arena, j, "removed")));
	cli_show_change(c, j);
	json_decref(j);
	return status;
}
