#include "base/clock.h"
#include "cli/cli.h"
#include "cli/table.h"

static struct str span_of(struct cli *c, const json_t *fiber, const char *member)
{
	json_t *ms = json_object_get(fiber, member);
	return json_is_integer(ms) ? text_span(c->arena, json_integer_value(ms)) : STR("");
}

static void print_fibers(struct cli *c, const json_t *fibers)
{
	size_t i;
	json_t *f;
	struct table t;
	int64_t now = clock_wall_ms();
	table_init(&t, c->arena, "ROLE|>PID|FIBER|>AGE|>WAITS|>GIVES UP IN|WAITS FOR");
	json_array_foreach((json_t *)fibers, i, f)
	{
		struct str waits = text_of(c->arena, f, "waits");
		table_add(&t, text_of(c->arena, f, "role"));
		table_add(&t, text_of(c->arena, f, "pid"));
		table_add(&t, text_of(c->arena, f, "name"));
		table_add(&t, text_span(c->arena, now - text_time_ms(text_of(c->arena, f, "started"))));
		table_add(&t, span_of(c, f, "waiting_ms"));
		table_add(&t, span_of(c, f, "left_ms"));
		/* "for a command": the heading says "for" already */
		table_add(&t, str_starts(waits, STR("for ")) ? str_skip(waits, 4) : waits);
	}
	if (json_array_size(fibers))
		table_print(&t, stdout);
}

/* What the list does not say: how many there are, and who said nothing. */
static void print_roles(struct cli *c, const json_t *roles, size_t shown)
{
	size_t i;
	json_t *r;
	long long all = 0;
	json_array_foreach((json_t *)roles, i, r)
	{
		struct str error = text_of(c->arena, r, "error");
		all += json_integer_value(json_object_get(r, "fibers"));
		if (error.n) {
			style_begin(stdout, STYLE_BAD);
			printf("! %.*s (pid %.*s): %.*s", STR_ARG(text_of(c->arena, r, "role")),
				STR_ARG(text_of(c->arena, r, "pid")), STR_ARG(error));
			style_end(stdout);
			putchar('\n');
		}
	}
	printf("%lld fiber%s in %zu process%s", all, all == 1 ? "" : "s", json_array_size(roles),
		json_array_size(roles) == 1 ? "" : "es");
	printf((size_t)all > shown ? ", %zu of them shown\n" : "\n", shown);
}

int cli_fibers(struct cli *c)
{
	json_t *j;
	const char *role = c->argument_count ? c->arguments[0] : NULL;
	int status = cli_ask_shown(c, "fibers", cli_args("role", role, NULL), NULL, &j);
	if (!j)
		return status;
	json_t *fibers = json_object_get(j, "fibers");
	print_fibers(c, fibers);
	print_roles(c, json_object_get(j, "roles"), json_array_size(fibers));
	json_decref(j);
	return status;
}
