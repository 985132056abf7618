#include <stdlib.h>

#include "cli/cli.h"

/* command-line = *option [ subcommand ] *( option / argument ) [ "--" *argument ]
 * option       = "--" name [ ( "=" / blank ) value ]
 *
 * A subcommand is one word or two ("queue list"). Options may stand anywhere; those of the
 * subcommand only behind it. */

static const char default_home[] = "/var/lib/letterlock";

/* The words that may name a subcommand, as far as they are seen. */
struct parser {
	struct cli *c;
	int argc;
	char **argv;
	int at;
};

static bool word_is(const char *name, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(name, word, n) == 0;
}

/* The subcommand `first second`, or `first` alone; *ret_words: how many words it has. Without one:
 * *ret_group tells whether `first` is the beginning of some. */
static const struct cli_command *find_command(
	const char *first, const char *second, int *ret_words, bool *ret_group)
{
	*ret_group = false;
	for (size_t i = 0; i < cli_command_count; i++) {
		const char *name = cli_commands[i].name;
		size_t n = strcspn(name, " ");
		if (!word_is(name, n, first))
			continue;
		*ret_words = name[n] ? 2 : 1;
		if (!name[n] || (second && strcmp(name + n + 1, second) == 0))
			return &cli_commands[i];
		*ret_group = true;
	}
	return NULL;
}

static const struct cli_option *find_option(
	const struct cli_option *list, const char *name, size_t n)
{
	for (; list && list->name; list++)
		if (word_is(name, n, list->name))
			return list;
	return NULL;
}

static int take_option(struct parser *p)
{
	struct cli *c = p->c;
	const char *word = p->argv[p->at], *value = strchr(word, '=');
	size_t n = value ? (size_t)(value - word) : strlen(word);
	const struct cli_option *o = find_option(cli_common_options, word, n);
	if (!o && c->command)
		o = find_option(c->command->options, word, n);
	if (!o)
		return err_say(&c->usage, "unknown option %.*s", (int)(n < 60 ? n : 60), word);
	if (!o->value && value)
		return err_say(&c->usage, "%s takes no value", o->name);
	if (!o->value)
		value = "";
	else if (value)
		value++;
	else if (++p->at < p->argc)
		value = p->argv[p->at];
	else
		return err_say(&c->usage, "%s needs a value: %s", o->name, o->value);
	if (!o->many && cli_value(c, o->name))
		return err_say(&c->usage, "%s is given twice", o->name);
	c->given[c->given_count++] = (struct cli_given){o, value};
	return 0;
}

static int take_command(struct parser *p)
{
	struct cli *c = p->c;
	const char *first = p->argv[p->at];
	const char *second = p->at + 1 < p->argc ? p->argv[p->at + 1] : NULL;
	int words;
	bool group;
	c->command = find_command(first, second, &words, &group);
	if (c->command) {
		p->at += words - 1;
		return 0;
	}
	/* `letterlock queue --help` */
	c->arguments[c->argument_count++] = first;
	if (group && second && second[0] != '-')
		return err_say(&c->usage, "there is no subcommand \"%.60s %.60s\"", first, second);
	if (group)
		return err_say(&c->usage, "%.60s what?", first);
	return err_say(&c->usage, "there is no subcommand \"%.60s\"", first);
}

/* Whether the rest asks for help, so that `queue --help` is no mistake. */
static bool help_follows(const struct parser *p)
{
	for (int i = p->at; i < p->argc; i++)
		if (strcmp(p->argv[i], "--help") == 0)
			return true;
	return false;
}

static int check(struct cli *c)
{
	if (!c->command || c->help)
		return 0;
	/* As an unset variable in a script leaves it; it would mean the root of the file system. */
	if (!*c->home)
		return err_say(&c->usage, "--home needs a value: DIR");
	if (c->argument_count < c->command->min)
		return c->argument_count == 0
			? err_say(&c->usage, "%s needs %s", c->command->name, c->command->arguments)
			: err_say(&c->usage, "%s needs more: %s", c->command->name, c->command->arguments);
	if (c->argument_count > c->command->max)
		return err_say(
			&c->usage, "%s takes no \"%.60s\"", c->command->name, c->arguments[c->command->max]);
	return 0;
}

static void settle_common(struct cli *c)
{
	const char *environment = getenv("LETTERLOCK_HOME");
	const char *given = cli_value(c, "--home");
	c->home = given ? given : environment && *environment ? environment : default_home;
	c->json = cli_value(c, "--json") != NULL;
	c->help = c->help || cli_value(c, "--help") != NULL;
}

int cli_parse(struct cli *c, int argc, char **argv)
{
	struct parser p = {c, argc, argv, 1};
	bool only_arguments = false;
	int status = 0;
	c->arguments = arena_alloc(c->arena, ((size_t)argc + 1) * sizeof *c->arguments);
	c->given = arena_alloc(c->arena, ((size_t)argc + 1) * sizeof *c->given);
	for (; p.at < argc && status == 0; p.at++) {
		const char *word = argv[p.at];
		if (!only_arguments && strcmp(word, "--") == 0)
			only_arguments = true;
		else if (!only_arguments && word[0] == '-' && word[1] == '-')
			status = take_option(&p);
		else if (!only_arguments && word[0] == '-' && word[1])
			status = err_say(&c->usage, "unknown option %.60s", word);
		else if (!c->command) {
			c->help = help_follows(&p);
			status = take_command(&p);
		} else
			c->arguments[c->argument_count++] = word;
	}
	settle_common(c);
	return status == 0 ? check(c) : -1;
}

const char *cli_value_n(const struct cli *c, const char *name, size_t n)
{
	for (size_t i = 0; i < c->given_count; i++)
		if (strcmp(c->given[i].option->name, name) == 0 && n-- == 0)
			return c->given[i].value;
	return NULL;
}

const char *cli_value(const struct cli *c, const char *name)
{
	const char *value = NULL;
	for (size_t i = 0; i < c->given_count; i++)
		if (strcmp(c->given[i].option->name, name) == 0)
			value = c->given[i].value;
	return value;
}
