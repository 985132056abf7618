#include <stdlib.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/mail.h"
#include "cli/table.h"

enum { LIMIT_MAX = 1000, LIST_USUAL = 100, SUMMARY_USUAL = 20 };

static void add_rows(struct cli *c, struct table *t, const json_t *m, int64_t now)
{
	size_t i;
	json_t *r;
	struct str sender = text_of(c->arena, m, "sender");
	int64_t received = text_time_ms(text_of(c->arena, m, "received"));
	json_array_foreach(json_object_get(m, "recipients"), i, r)
	{
		table_add(t, text_of(c->arena, m, "id"));
		table_add(t, text_span(c->arena, now - received));
		table_add(t, text_size(c->arena, json_integer_value(json_object_get(m, "size"))));
		table_add(t, sender.n ? sender : STR("<>"));
		table_add(t, text_of(c->arena, r, "address"));
		table_add(t, text_of(c->arena, r, "state"));
		table_add(t, mail_next_try(c, r, now));
		table_add(t, mail_reason(c, r));
	}
}

static json_t *filters(const struct cli *c)
{
	return cli_args("domain", cli_value(c, "--domain"), "connector", cli_value(c, "--connector"),
		"destination", cli_value(c, "--destination"), "sender", cli_value(c, "--sender"), "cause",
		cli_value(c, "--cause"), "older", cli_value(c, "--older"), "younger",
		cli_value(c, "--younger"), "state", cli_value(c, "--state"), NULL);
}

/* Adds --limit; false after saying why it cannot be. */
static bool add_limit(const struct cli *c, json_t *args, uint64_t usual)
{
	const char *given = cli_value(c, "--limit");
	uint64_t limit = usual;
	if (given && (!str_to_u64(str_from_c(given), LIMIT_MAX, &limit) || limit == 0)) {
		fprintf(stderr, "letterlock: --limit takes a number from 1 to %d\n", LIMIT_MAX);
		json_decref(args);
		return false;
	}
	json_object_set_new(args, "limit", json_integer((json_int_t)limit));
	return true;
}

int cli_queue_list(struct cli *c)
{
	json_t *j, *m;
	size_t i;
	struct table t;
	json_t *args = filters(c);
	const char *after = cli_value(c, "--after");
	if (after)
		json_object_set_new(args, "after", json_string(after));
	bool filtered = json_object_size(args) > 0;
	if (!add_limit(c, args, LIST_USUAL))
		return CLI_USAGE;
	int status = cli_ask_shown(c, "queue.list", args, NULL, &j);
	if (!j)
		return status;
	json_t *list = json_object_get(j, "messages");
	int64_t now = clock_wall_ms();
	table_init(&t, c->arena, "ID|>AGE|>SIZE|SENDER|RECIPIENT|STATE|NEXT TRY|WHY");
	json_array_foreach(list, i, m) add_rows(c, &t, m, now);
	if (json_array_size(list))
		table_print(&t, stdout);
	else
		printf(filtered ? "Nothing like that is in the queue.\n" : "The queue is empty.\n");
	if (json_is_string(json_object_get(j, "more")))
		printf("There is more: add --after %.*s\n", STR_ARG(text_of(c->arena, j, "more")));
	json_decref(j);
	return status;
}

/* ---- summary */

/* "12,345": numbers of a queue at size are hard to read without. */
static struct str grouped(struct cli *c, const json_t *object, const char *member)
{
	long long n = json_integer_value(json_object_get(object, member));
	struct str s = STR("");
	for (; n >= 1000; n /= 1000)
		s = arena_fmt(c->arena, ",%03lld%.*s", n % 1000, STR_ARG(s));
	return arena_fmt(c->arena, "%lld%.*s", n, STR_ARG(s));
}

/* "all: …" or "1,234: …": the cause that most of those at a next hop have met. */
static struct str mostly(struct cli *c, const json_t *d)
{
	static const char *const members[] = {"ready", "active", "deferred", "held"};
	const json_t *trouble = json_object_get(d, "trouble");
	json_int_t all = 0, met = json_integer_value(json_object_get(d, "of_cause"));
	struct str id = text_of(c->arena, json_object_get(d, "cause"), "id");
	if (id.n == 0)
		return STR("");
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		all += json_integer_value(json_object_get(d, members[i]));
	struct str many = met == all ? STR("all") : grouped(c, d, "of_cause");
	struct str said = STR("");
	if (str_eq(id, text_of(c->arena, trouble, "cause")))
		said = text_of(c->arena, trouble, "text");
	return arena_fmt(c->arena, "%.*s: %.*s%s%.*s", STR_ARG(many), STR_ARG(id), said.n ? ": " : "",
		STR_ARG(said));
}

static void print_destinations(struct cli *c, const json_t *list)
{
	size_t i;
	json_t *d;
	struct table t;
	int64_t now = clock_wall_ms();
	table_init(&t, c->arena, "NEXT HOP|>READY|>ACTIVE|>DEFERRED|>HELD|TRIED AGAIN|MOSTLY");
	json_array_foreach(list, i, d)
	{
		int64_t until = text_time_ms(text_of(c->arena, d, "waits_until"));
		table_add(&t, text_of(c->arena, d, "destination"));
		table_add(&t, grouped(c, d, "ready"));
		table_add(&t, grouped(c, d, "active"));
		table_add(&t, grouped(c, d, "deferred"));
		table_add(&t, grouped(c, d, "held"));
		if (until)
			table_addf(&t, "in %.*s", STR_ARG(text_span(c->arena, until - now)));
		else
			table_add(&t, STR(""));
		table_add(&t, mostly(c, d));
	}
	table_print(&t, stdout);
}

static void print_causes(struct cli *c, const json_t *list)
{
	size_t i;
	json_t *row;
	struct table t;
	if (json_array_size(list) == 0)
		return;
	putchar('\n');
	table_init(&t, c->arena, ">RECIPIENTS|CAUSE|OWNER|WHAT IT MEANS");
	json_array_foreach(list, i, row)
	{
		const json_t *cause = json_object_get(row, "cause");
		table_add(&t, grouped(c, row, "recipients"));
		table_add(&t, text_of(c->arena, cause, "id"));
		table_add(&t, text_of(c->arena, cause, "owner"));
		table_add(&t, text_of(c->arena, cause, "text"));
	}
	table_print(&t, stdout);
}

int cli_queue_summary(struct cli *c)
{
	json_t *j, *args = json_object();
	if (!add_limit(c, args, SUMMARY_USUAL))
		return CLI_USAGE;
	int status = cli_ask_shown(c, "queue.summary", args, NULL, &j);
	if (!j)
		return status;
	json_t *list = json_object_get(j, "destinations");
	style_begin(stdout, STYLE_BOLD);
	printf("%.*s message%s", STR_ARG(grouped(c, j, "messages")),
		text_is(j, "messages", "1") ? "" : "s");
	style_end(stdout);
	printf("; recipients: %.*s ready, %.*s active, %.*s deferred, %.*s held\n",
		STR_ARG(grouped(c, j, "ready")), STR_ARG(grouped(c, j, "active")),
		STR_ARG(grouped(c, j, "deferred")), STR_ARG(grouped(c, j, "held")));
	if (json_array_size(list)) {
		putchar('\n');
		print_destinations(c, list);
		json_int_t all = json_integer_value(json_object_get(j, "destination_count"));
		if (all > (json_int_t)json_array_size(list))
			printf("… and %lld more next hops (--limit)\n",
				(long long)all - (long long)json_array_size(list));
		print_causes(c, json_object_get(j, "causes"));
	}
	json_decref(j);
	return status;
}

/* ---- show and change */

int cli_queue_show(struct cli *c)
{
	json_t *j;
	int status = cli_ask_shown(c, "queue.show", cli_args("id", c->arguments[0], NULL), NULL, &j);
	if (!j)
		return status;
	mail_print_message(c, j);
	mail_print_recipients(c, j, NULL);
	printf("The whole story: letterlock trace %s\n", c->arguments[0]);
	json_decref(j);
	return status;
}

/* "queue retry" asks "queue.retry". */
static const char *verb_of(const char *command)
{
	static const char *const verbs[] = {
		"queue.retry", "queue.hold", "queue.release", "queue.remove"};
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i] + sizeof "queue", command + sizeof "queue") == 0)
			return verbs[i];
	abort();
}

static const char *done_text(const char *verb)
{
	static const struct {
		const char *verb, *text;
	} texts[] = {
		{"queue.retry", "Tried again now"},
		{"queue.hold", "Held back until released"},
		{"queue.release", "Released"},
		{"queue.remove", "Removed, without a word to the sender"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (strcmp(texts[i].verb, verb) == 0)
			return texts[i].text;
	return "";
}

int cli_queue_change(struct cli *c)
{
	const char *verb = verb_of(c->command->name);
	const char *all = cli_value(c, "--all");
	json_t *j, *args = filters(c);
	if ((c->argument_count > 0) + (json_object_size(args) > 0) + (all != NULL) != 1) {
		fprintf(stderr,
			"letterlock: say which mail: queue ids, or --all, or by what it is chosen, such as "
			"--domain D\n");
		json_decref(args);
		return CLI_USAGE;
	}
	if (all)
		json_object_set_new(args, "all", json_true());
	if (c->argument_count) {
		json_t *ids = json_array();
		for (size_t i = 0; i < c->argument_count; i++)
			json_array_append_new(ids, json_string(c->arguments[i]));
		json_object_set_new(args, "ids", ids);
	}
	int status = cli_ask_shown(c, verb, args, NULL, &j);
	if (!j)
		return status;
	long long n = json_integer_value(json_object_get(j, "recipients"));
	if (n == 0)
		printf("Nothing in the queue is concerned.\n");
	else
		printf("%s: %lld recipient%s.\n", done_text(verb), n, n == 1 ? "" : "s");
	json_decref(j);
	return status;
}
