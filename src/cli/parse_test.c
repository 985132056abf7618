#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "cli/help.h"

static struct cli c;

/* Parses a line of words (no quoting). */
static int parse(const char *words)
{
	static char line[400];
	static char *argv[32];
	int argc = 0;
	arena_free(c.arena);
	c = (struct cli){.arena = arena_new()};
	snprintf(line, sizeof line, "letterlock %s", words);
	for (char *at = line; at && argc < 31; argc++) {
		argv[argc] = at;
		at = strchr(at, ' ');
		if (at)
			*at++ = 0;
	}
	return cli_parse(&c, argc, argv);
}

static int tear_down(void **state)
{
	(void)state;
	arena_free(c.arena);
	c.arena = NULL;
	return 0;
}

static void subcommands_are_one_word_or_two(void **state)
{
	(void)state;
	assert_int_equal(parse("status"), 0);
	assert_string_equal(c.command->name, "status");
	assert_int_equal(parse("queue list"), 0);
	assert_string_equal(c.command->name, "queue list");
	assert_int_equal(c.argument_count, 0);
	assert_int_equal(parse("config set smtp.tls off"), 0);
	assert_int_equal(c.argument_count, 2);
	assert_string_equal(c.arguments[1], "off");
}

static void the_home_stands_anywhere(void **state)
{
	(void)state;
	setenv("LETTERLOCK_HOME", "/env", 1);
	assert_int_equal(parse("status"), 0);
	assert_string_equal(c.home, "/env");
	assert_int_equal(parse("--home /a status"), 0);
	assert_string_equal(c.home, "/a");
	assert_int_equal(parse("queue list --home=/b"), 0);
	assert_string_equal(c.home, "/b");
	assert_int_equal(parse("queue list --home="), -1);
	assert_int_equal(parse("--json config get --home /c smtp.tls"), 0);
	assert_string_equal(c.home, "/c");
	assert_true(c.json);
	unsetenv("LETTERLOCK_HOME");
	assert_int_equal(parse("status"), 0);
	assert_string_equal(c.home, "/var/lib/letterlock");
}

static void options_belong_to_their_subcommand(void **state)
{
	(void)state;
	assert_int_equal(parse("connector add hop h:25 --for * --tls verify --sni=x.example"), 0);
	assert_string_equal(cli_value(&c, "--for"), "*");
	assert_string_equal(cli_value(&c, "--tls"), "verify");
	assert_string_equal(cli_value(&c, "--sni"), "x.example");
	assert_null(cli_value(&c, "--trust"));
	assert_int_equal(parse("queue retry --all"), 0);
	assert_string_equal(cli_value(&c, "--all"), "");
	assert_int_equal(parse("setup --hostname h --set a=1 --set b=2"), 0);
	assert_string_equal(cli_value_n(&c, "--set", 0), "a=1");
	assert_string_equal(cli_value_n(&c, "--set", 1), "b=2");
	assert_null(cli_value_n(&c, "--set", 2));
	/* An empty value is one: it clears a list. */
	assert_int_equal(parse("config set listen.smtp "), 0);
	assert_string_equal(c.arguments[1], "");
}

static void two_dashes_end_the_options(void **state)
{
	(void)state;
	assert_int_equal(parse("config set a.b -- --json"), 0);
	assert_false(c.json);
	assert_string_equal(c.arguments[1], "--json");
	/* A dash alone is a file name: standard input. */
	assert_int_equal(parse("cert import -"), 0);
	assert_string_equal(c.arguments[0], "-");
}

static void mistakes_are_usage_errors(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"nonsense",
		"queue",
		"queue nonsense",
		"queue --json",
		"config set",
		"config set a",
		"config set a b c",
		"status extra",
		"status --nonsense",
		"status -x",
		"--hostname x setup", /* before its subcommand */
		"domain add x --route",
		"queue list --limit 1 --limit 2",
		"queue retry --all=yes",
		"trace",
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		assert_int_equal(parse(wrong[i]), -1);
		assert_true(strlen(c.usage.log) > 5);
		assert_false(c.help);
	}
}

static void help_is_no_mistake(void **state)
{
	(void)state;
	parse("--help");
	assert_true(c.help);
	parse("queue --help");
	assert_true(c.help);
	assert_int_equal(parse("config set --help"), 0);
	assert_true(c.help);
	assert_string_equal(c.command->name, "config set");
}

/* ---- documents made of the tables */

static struct str read_file(const char *path)
{
	struct str s = {0};
	if (!cli_read_file(&c, path, 1 << 20, &s))
		fail_msg("%s: run this test from the top of the tree", path);
	return s;
}

static void the_manual_page_is_current(void **state)
{
	(void)state;
	struct buf b;
	parse("help --man");
	buf_init(&b, 1 << 20);
	help_man(&b);
	if (!str_eq(buf_str(&b), read_file("doc/letterlock.1")))
		fail_msg("doc/letterlock.1 is not what `letterlock help --man` writes");
	buf_done(&b);
}

static void the_api_description_is_current(void **state)
{
	(void)state;
	parse("help --openapi");
	json_t *api = help_openapi();
	assert_non_null(api);
	char *text = json_dumps(api, JSON_INDENT(2));
	struct str made = arena_fmt(c.arena, "%s\n", text);
	if (!str_eq(made, read_file("doc/openapi.json")))
		fail_msg("doc/openapi.json is not what `letterlock help --openapi` writes");
	free(text);
	json_decref(api);
}

static void every_subcommand_is_described(void **state)
{
	(void)state;
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *k = &cli_commands[i];
		assert_non_null(k->run);
		assert_true(k->text[strlen(k->text) - 1] == '.' || k->text[strlen(k->text) - 1] == '?');
		assert_true(k->min <= k->max);
		assert_true((k->max > 0) == (k->arguments[0] != 0));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(cli_commands[j].name, k->name);
		for (const struct cli_option *o = k->options; o && o->name; o++)
			assert_true(str_starts(str_from_c(o->name), STR("--")) && strlen(o->text) > 0);
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(subcommands_are_one_word_or_two),
		TEST(the_home_stands_anywhere),
		TEST(options_belong_to_their_subcommand),
		TEST(two_dashes_end_the_options),
		TEST(mistakes_are_usage_errors),
		TEST(help_is_no_mistake),
		TEST(the_manual_page_is_current),
		TEST(the_api_description_is_current),
		TEST(every_subcommand_is_described),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
