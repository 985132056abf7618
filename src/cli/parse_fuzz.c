/* Any words as a command line. What is taken fits the subcommand's row; what is not is explained; words
 * behind "--" are arguments whatever they look like.
 *
 *   input = words, each with a NUL behind it */
#include "base/fuzz.h"
#include "cli/cli.h"

enum { WORDS = 40 };

static bool is_common(const struct cli_option *option)
{
	for (const struct cli_option *o = cli_common_options; o->name; o++)
		if (o == option)
			return true;
	return false;
}

static bool belongs(const struct cli_option *option, const struct cli_command *command)
{
	for (const struct cli_option *o = command ? command->options : NULL; o && o->name; o++)
		if (o == option)
			return true;
	return is_common(option);
}

static void check_taken(const struct cli *c, const char *const *words, int n)
{
	for (size_t i = 0; i < c->given_count; i++) {
		const struct cli_option *o = c->given[i].option;
		assert(belongs(o, c->command) && c->given[i].value);
		assert(o->value || c->given[i].value[0] == 0);
		assert(cli_value_n(c, o->name, 0));
		assert(o->many || !cli_value_n(c, o->name, 1));
	}
	if (!c->command || c->help)
		return;
	assert(c->home && c->home[0] != 0);
	assert(c->argument_count >= c->command->min && c->argument_count <= c->command->max);
	for (size_t i = 0; i < c->argument_count; i++) {
		int found = 0;
		for (int k = 0; k < n; k++)
			found += words[k] == c->arguments[i];
		assert(found == 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *words[WORDS + 1] = {(char *)(uintptr_t) "letterlock"};
	char *text = malloc(size + 1); /* style: words of exactly their size */
	int n = 1;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	unsetenv("LETTERLOCK_HOME");
	for (size_t at = 0; at < size && n < WORDS; at += strlen(text + at) + 1)
		words[n++] = text + at;
	struct cli c = {.arena = arena_new()};
	if (cli_parse(&c, n, words) == 0)
		check_taken(&c, (const char *const *)words, n);
	else
		assert(c.usage.kind != ERR_NONE && c.usage.log[0]);
	arena_free(c.arena);
	free(text);
	return 0;
}
