#include "cli/cli.h"
#include "cli/table.h"

/* An empty value is a value: show that it is one. */
static struct str shown(struct str value)
{
	return value.n ? value : STR("(empty)");
}

int cli_config_set(struct cli *c)
{
	json_t *j;
	int status = cli_ask_shown(c, "config.set",
		cli_args("key", c->arguments[0], "value", c->arguments[1], NULL), NULL, &j);
	if (!j)
		return status;
	struct str old = text_of(c->arena, j, "old"), new = text_of(c->arena, j, "new");
	struct str note = text_of(c->arena, j, "note");
	if (json_is_true(json_object_get(j, "changed"))) {
		printf("%s: %.*s -> %.*s\n", c->arguments[0], STR_ARG(shown(old)), STR_ARG(shown(new)));
		printf("Takes effect %.*s.\n", STR_ARG(text_of(c->arena, j, "effect")));
		cli_show_change(c, j);
	} else {
		printf("%s is %.*s already.\n", c->arguments[0], STR_ARG(shown(new)));
	}
	if (note.n)
		printf("Note: %.*s\n", STR_ARG(note));
	json_decref(j);
	return status;
}

/* Who changed it, or where the value comes from. */
static struct str origin(struct cli *c, const json_t *j)
{
	struct str by = text_of(c->arena, j, "changed_by");
	if (!json_object_get(j, "revision"))
		return STR("default");
	return arena_fmt(c->arena, "%.*s, %.*s, revision %.*s", STR_ARG(by),
		STR_ARG(text_time(c->arena, text_of(c->arena, j, "changed_at"))),
		STR_ARG(text_of(c->arena, j, "revision")));
}

int cli_config_get(struct cli *c)
{
	json_t *j;
	int status = cli_ask_shown(c, "config.get", cli_args("key", c->arguments[0], NULL), NULL, &j);
	if (!j)
		return status;
	style_begin(stdout, STYLE_BOLD);
	printf("%.*s = %.*s\n", STR_ARG(text_of(c->arena, j, "key")),
		STR_ARG(text_of(c->arena, j, "value")));
	style_end(stdout);
	printf("  set by   %.*s\n", STR_ARG(origin(c, j)));
	printf("  default  %.*s\n", STR_ARG(shown(text_of(c->arena, j, "default"))));
	printf("  type     %.*s; a change takes effect %.*s\n", STR_ARG(text_of(c->arena, j, "type")),
		STR_ARG(text_of(c->arena, j, "effect")));
	printf("  ");
	text_wrap(stdout, 2, 2, text_of(c->arena, j, "text"));
	json_decref(j);
	return status;
}

static void show_findings(struct cli *c, const json_t *findings)
{
	size_t i;
	json_t *f;
	json_array_foreach((json_t *)findings, i, f)
	{
		style_begin(stdout, STYLE_BAD);
		printf("Not used: %.*s = %.*s (%.*s)\n", STR_ARG(text_of(c->arena, f, "key")),
			STR_ARG(text_of(c->arena, f, "value")), STR_ARG(text_of(c->arena, f, "text")));
		style_end(stdout);
	}
}

int cli_config_list(struct cli *c)
{
	json_t *j, *s;
	size_t i;
	struct table t;
	json_t *args = json_object();
	if (cli_value(c, "--changed"))
		json_object_set_new(args, "changed", json_true());
	int status = cli_ask_shown(c, "config.list", args, NULL, &j);
	if (!j)
		return status;
	table_init(&t, c->arena, "SETTING|VALUE|SET BY");
	json_array_foreach(json_object_get(j, "settings"), i, s)
	{
		table_add(&t, text_of(c->arena, s, "key"));
		table_add(&t, text_of(c->arena, s, "value"));
		table_add(&t, origin(c, s));
	}
	table_print(&t, stdout);
	show_findings(c, json_object_get(j, "findings"));
	json_decref(j);
	return status;
}
