#include <stdlib.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/mail.h"
#include "cli/table.h"

enum { LIMIT_MAX = 10000 };

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

int cli_queue_list(struct cli *c)
{
	json_t *j, *m;
	size_t i;
	uint64_t limit;
	struct table t;
	const char *given = cli_value(c, "--limit");
	json_t *args =
		cli_args("domain", cli_value(c, "--domain"), "connector", cli_value(c, "--connector"),
			"state", cli_value(c, "--state"), "after", cli_value(c, "--after"), NULL);
	if (given && (!str_to_u64(str_from_c(given), LIMIT_MAX, &limit) || limit == 0)) {
		json_decref(args);
		fprintf(stderr, "letterlock: --limit takes a number from 1 to %d\n", LIMIT_MAX);
		return CLI_USAGE;
	}
	if (given)
		json_object_set_new(args, "limit", json_integer((json_int_t)limit));
	bool filtered = json_object_size(args) > 0;
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
	const char *domain = cli_value(c, "--domain"), *connector = cli_value(c, "--connector");
	const char *all = cli_value(c, "--all");
	json_t *j;
	if ((c->argument_count > 0) + (domain != NULL) + (connector != NULL) + (all != NULL) != 1) {
		fprintf(stderr,
			"letterlock: say which mail, in one way: queue ids, --domain D, --connector C or "
			"--all\n");
		return CLI_USAGE;
	}
	json_t *args = cli_args("domain", domain, "connector", connector, NULL);
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
